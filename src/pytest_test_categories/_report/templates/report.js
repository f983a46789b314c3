"use strict";
// Everything that is shown comes from the report's data, as text: nothing here makes HTML of it.

const data = JSON.parse(document.getElementById("data").textContent);
const { accesses, texts, lines } = data;
const column = (runs) => runs.flatMap(([value, count]) => Array(count).fill(value));
const tests = Object.fromEntries(["file", "size", "outcome", "unwatched"].map((name) => [name, column(data.tests[name])]));
tests.id = data.tests.name.map((name, test) => (name ? `${tests.file[test]}::${name}` : tests.file[test]));
const NOTHING = "nothing"; // stands for tests that did not use the network, beside the verdicts
const VERDICTS = [...data.verdicts, NOTHING];
const SIZES = data.sizes.map((size) => size || "none");
const CHUNK = 200; // items of a list at a time
const MARGIN = 10; // cells of the matrix on each side of what is in sight
const TESTS = 25; // tests below a line of code at a time

const byId = (id) => document.getElementById(id);
const FORMAT = new Intl.NumberFormat("en"); // kept: toLocaleString would make one for each number
const number = (value) => FORMAT.format(value);
const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

function element(name, properties = {}, ...children) {
  const { data: dataset, aria, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, dataset);
  for (const [key, value] of Object.entries(aria ?? {})) made.setAttribute(key === "role" ? key : `aria-${key}`, value);
  made.append(...children);
  return made;
}

function badge(verdict) {
  const name = VERDICTS[verdict];
  const sign = element("span", { aria: { hidden: true } }, data.symbols[name] ?? "\u2013");
  return element("span", { className: `badge ${name}` }, sign, ` ${name === NOTHING ? "no network" : name}`);
}

function group(indexes, column) {
  const found = new Map();
  for (const index of indexes) {
    const key = column(index);
    const same = found.get(key);
    if (same) same.push(index);
    else found.set(key, [index]);
  }
  return found;
}

const worst = (indexes) => indexes.reduce((most, index) => Math.max(most, accesses.verdict[index]), 0);
const attempts = (indexes) => indexes.reduce((sum, index) => sum + accesses.count[index], 0);

// -- state: all of it stands in the address, so that any view can be linked to ------------------------------------------

const DEFAULTS = { view: "hosts", query: "", verdicts: data.verdicts, sizes: SIZES, host: null, test: null };
let state = DEFAULTS;

function listOf(text, choices, usual) {
  if (text === null) return usual;
  return text === "all" ? choices : choices.filter((choice) => text.split(",").includes(choice));
}

function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const host = said.get("host");
  const test = said.get("test");
  const view = host !== null ? "hosts" : test !== null ? "tests" : said.get("view");
  return {
    view: ["hosts", "tests", "matrix"].includes(view) ? view : "hosts",
    query: said.get("q") ?? "",
    // A link to a test has to show it, also if it reached for nothing.
    verdicts: listOf(said.get("verdict"), VERDICTS, test === null ? DEFAULTS.verdicts : VERDICTS),
    sizes: listOf(said.get("size"), SIZES, SIZES),
    host,
    test,
  };
}

function addressOf(changed) {
  const { view, query, verdicts, sizes } = { ...state, ...changed };
  const said = new URLSearchParams({ view });
  if (query) said.set("q", query);
  if (verdicts.join() !== DEFAULTS.verdicts.join()) said.set("verdict", verdicts.length === VERDICTS.length ? "all" : verdicts.join());
  if (sizes.join() !== SIZES.join()) said.set("size", sizes.join());
  return `#${said}`;
}

const linkTo = (kind, name) => `#${new URLSearchParams({ [kind]: name })}`;

// -- filter -------------------------------------------------------------------------------------------------------------

let haystacks = null; // made at the first search

function haystackOf(index) {
  const a = accesses;
  return [
    tests.id[a.test[index]], texts[a.target[index]], texts[a.where[index]], texts[a.from[index]],
    ...lines[a.notes[index]], ...lines[a.cures[index]],
  ].join("\n").toLowerCase();
}

function parseQuery(query) {
  const words = { plain: [], host: [], file: [] };
  for (const [, kind, quoted, bare] of query.matchAll(/(?:(host|file):)?(?:("(?:[^"\\]|\\.)*")|(\S+))/g)) {
    let word = bare;
    if (quoted) {
      try { word = JSON.parse(quoted); } catch { word = quoted; }
    }
    words[kind ?? "plain"].push(kind ? word : word.toLowerCase());
  }
  return words;
}

const qualified = (kind, name) => `${kind}:${/^[^\s"]+$/.test(name) ? name : JSON.stringify(name)}`;

/** Return the accesses that the filter lets through, and the tests that reached for nothing. */
function filtered() {
  const words = parseQuery(state.query);
  const verdicts = VERDICTS.map((verdict) => state.verdicts.includes(verdict));
  const sizes = SIZES.map((size) => state.sizes.includes(size));
  if (words.plain.length && !haystacks) haystacks = accesses.test.map((_, index) => haystackOf(index));
  const found = [];
  for (let index = 0; index < accesses.test.length; index++) {
    if (
      verdicts[accesses.verdict[index]] && sizes[accesses.size[index]] &&
      words.host.every((host) => data.hosts[accesses.host[index]] === host) &&
      words.file.every((file) => data.modules[accesses.module[index]] === file) &&
      words.plain.every((word) => haystacks[index].includes(word))
    ) found.push(index);
  }
  const idle = [];
  if (state.verdicts.includes(NOTHING) && !words.host.length) {
    const busy = new Set(accesses.test);
    tests.id.forEach((id, test) => {
      const kept = !busy.has(test) && sizes[tests.size[test]] && words.plain.every((word) => id.toLowerCase().includes(word));
      if (kept && words.file.every((file) => id.split("::")[0] === file)) idle.push(test);
    });
  }
  return { found, idle };
}

// -- lists --------------------------------------------------------------------------------------------------------------

/** Fill a list with a part of its items, around the one at `start`; buttons add what comes before and after. */
function fillPartly(parent, items, render, start = 0, chunk = CHUNK) {
  const list = element("ul", { className: "list" });
  let from = Math.floor(start / chunk) * chunk;
  let to = from;
  const earlier = element("button", { type: "button", className: "more" });
  const later = element("button", { type: "button", className: "more" });
  const label = () => {
    earlier.hidden = from === 0;
    later.hidden = to === items.length;
    earlier.textContent = `Show ${number(Math.min(chunk, from))} earlier`;
    later.textContent = `Show ${number(Math.min(chunk, items.length - to))} more of ${number(items.length - to)}`;
  };
  const focus = (item) => item?.querySelector("summary, a")?.focus();
  earlier.onclick = () => {
    const added = items.slice(Math.max(0, from - chunk), from).map(render);
    from = Math.max(0, from - chunk);
    list.prepend(...added);
    label();
    focus(added.at(-1));
  };
  const append = () => {
    const added = items.slice(to, to + chunk).map(render);
    to = Math.min(items.length, to + chunk);
    list.append(...added);
    label();
    return added[0];
  };
  later.onclick = () => focus(append());
  append();
  parent.append(earlier, list, later);
  return list.children[start - from];
}

function item(kind, name, verdict, facts, fill) {
  const summary = element(
    "summary", { id: `${kind}=${name}` }, badge(verdict), " ", element("span", { className: "name" }, name), " ",
    element("span", { className: "facts" }, facts.filter(Boolean).join(" \u00b7 ")),
  );
  const details = element("details", {}, summary);
  details.fill = () => {
    if (details.childElementCount > 1) return;
    const link = element("a", { href: linkTo(kind, name), className: "anchor" }, `Link to this ${kind}`);
    details.append(link);
    fill(details);
  };
  details.ontoggle = () => details.open && details.fill();
  return element("li", {}, details);
}

const sizeText = (size) => (size ? data.sizes[size] : "no size");

function card(index, ...title) {
  const a = accesses;
  const facts = [`needs ${data.sizes[a.needs[index]]}`, ...lines[a.notes[index]]];
  const cures = lines[a.cures[index]];
  const made = element("li", { className: "card" }, element("p", { className: "what" }, badge(a.verdict[index]), " ", ...title));
  if (texts[a.where[index]]) made.append(element("p", {}, "at ", element("code", {}, texts[a.where[index]])));
  made.append(element("p", { className: "facts" }, facts.join("; ")));
  if (cures.length) made.append(element("ul", { className: "cures", aria: { label: "How to fix" } }, ...cures.map((cure) => element("li", {}, cure))));
  return made;
}

const times = (count) => (count > 1 ? ` \u00d7${number(count)}` : "");
const calledFrom = (index) => (texts[accesses.from[index]] ? `, called from ${texts[accesses.from[index]]}` : "");

function testItem(test, indexes) {
  const facts = [
    sizeText(tests.size[test]), texts[tests.outcome[test]],
    indexes.length ? counted(attempts(indexes), "attempt") : "",
    tests.unwatched[test] ? `started ${counted(tests.unwatched[test], "program")} that ${tests.unwatched[test] === 1 ? "was" : "were"} not watched` : "",
  ];
  const verdict = indexes.length ? worst(indexes) : VERDICTS.indexOf(NOTHING);
  return item("test", tests.id[test], verdict, facts, (details) => {
    fillPartly(details, indexes, (index) => {
      const host = data.hosts[accesses.host[index]];
      const target = element("a", { href: linkTo("host", host) }, texts[accesses.target[index]]);
      return card(index, target, times(accesses.count[index]), calledFrom(index));
    });
  });
}

function hostItem(host, indexes) {
  const a = accesses;
  const needs = indexes.reduce((most, index) => Math.max(most, a.needs[index]), 0);
  const count = new Set(indexes.map((index) => a.test[index])).size;
  const facts = [counted(attempts(indexes), "attempt"), counted(count, "test"), `needs ${data.sizes[needs]}`];
  return item("host", data.hosts[host], worst(indexes), facts, (details) => {
    // What differs in the test alone is said once.
    const same = group(indexes, (index) => [a.verdict, a.target, a.where, a.needs, a.notes, a.cures].map((column) => column[index]).join());
    const groups = [...same.values()].sort((one, other) => a.verdict[other[0]] - a.verdict[one[0]]);
    fillPartly(details, groups, (members) => {
      const made = card(members[0], element("b", {}, texts[a.target[members[0]]]), times(attempts(members)));
      fillPartly(made, members, (index) => {
        const test = a.test[index];
        const link = element("a", { href: linkTo("test", tests.id[test]) }, tests.id[test]);
        return element("li", {}, link, ` (${sizeText(a.size[index])})${times(a.count[index])}${calledFrom(index)}`);
      }, 0, TESTS);
      return made;
    });
  });
}

function drawList(parent, keys, render, wanted) {
  parent.replaceChildren();
  if (!keys.length) {
    parent.append(element("p", {}, "Nothing matches the filter."));
    return;
  }
  const start = Math.max(0, keys.indexOf(wanted));
  const shown = fillPartly(parent, keys, render, start);
  if (keys.includes(wanted)) {
    const details = shown.querySelector("details");
    details.open = true;
    details.fill();
    shown.classList.add("target");
    details.firstChild.focus();
    shown.scrollIntoView({ block: "start" });
  }
}

// -- matrix -------------------------------------------------------------------------------------------------------------

/** A table of which only the part in sight is in the document: 400 files by 200 hosts are 80,000 cells. */
class Matrix {
  constructor(parent) {
    this.scroller = element("div", { className: "scroller" });
    this.scroller.onscroll = () => requestAnimationFrame(() => this.draw());
    this.scroller.onkeydown = (event) => this.onKey(event);
    this.scroller.onclick = (event) => this.onClick(event);
    new ResizeObserver(() => this.draw()).observe(this.scroller);
    parent.replaceChildren(this.scroller);
    this.cell = 26;
    this.heads = { width: 0, height: 0 };
    this.rows = [];
    this.columns = [];
  }

  show(found) {
    const rows = group(found, (index) => accesses.module[index]);
    this.rows = [...rows.keys()].sort((one, other) => one - other);
    this.columns = [...new Set(found.map((index) => accesses.host[index]))].sort((one, other) => one - other);
    this.cells = new Map([...rows].map(([module, indexes]) => [module, group(indexes, (index) => accesses.host[index])]));
    this.active = [0, 0];
    this.drawn = null;
    this.scroller.scrollTo(0, 0);
    this.scroller.hidden = !found.length;
    this.draw();
  }

  /** Return which part of a line of cells to draw: what is drawn already if all in sight is, else a few more than that. */
  span(offset, extent, count, drawn) {
    const first = Math.floor(offset / this.cell);
    const last = Math.min(count, first + Math.ceil(extent / this.cell) + 1);
    if (drawn && drawn[0] <= first && last <= drawn[1]) return drawn;
    return [Math.max(0, first - MARGIN), Math.min(count, last + MARGIN)];
  }

  draw() {
    const { scrollTop, scrollLeft, clientHeight, clientWidth } = this.scroller;
    if (!clientWidth || !this.rows.length) return;
    const rows = this.span(scrollTop, clientHeight - this.heads.height, this.rows.length, this.drawn?.rows);
    const columns = this.span(scrollLeft, clientWidth - this.heads.width, this.columns.length, this.drawn?.columns);
    if (rows === this.drawn?.rows && columns === this.drawn?.columns) return;
    this.drawn = { rows, columns };
    const [[top, bottom], [left, right]] = [rows, columns];
    const focused = this.scroller.contains(document.activeElement);
    this.scroller.classList.toggle("dense", this.cell < 20);
    const table = element("table", {
      className: "matrix",
      aria: { role: "grid", rowcount: this.rows.length + 1, colcount: this.columns.length + 1, labelledby: "matrix-heading", describedby: "matrix-hint" },
    });
    const shown = this.columns.slice(left, right);
    const widths = [left, ...shown.map(() => 1), this.columns.length - right];
    table.append(element("colgroup", {}, element("col", { className: "heads" }), ...widths.map((cells) => {
      const column = element("col");
      column.style.width = `${cells * this.cell}px`;
      return column;
    })));
    const space = () => element("td", { className: "space", aria: { role: "presentation" } });
    const corner = element("th", { scope: "col", className: "corner", aria: { colindex: 1 } }, "Test file");
    const heads = shown.map((host, at) => element(
      "th", { scope: "col", title: data.hosts[host], aria: { colindex: left + at + 2 } },
      element("a", { href: linkTo("host", data.hosts[host]), tabIndex: -1 }, data.hosts[host]),
    ));
    table.append(element("thead", {}, element("tr", { aria: { rowindex: 1 } }, corner, space(), ...heads, space())));
    const gap = (rows) => {
      const row = element("tr", { className: "space", aria: { role: "presentation" } });
      row.style.height = `${rows * this.cell}px`;
      return row;
    };
    const body = element("tbody", {}, gap(top));
    for (let at = top; at < bottom; at++) body.append(this.row(at, left, right, space));
    body.append(gap(this.rows.length - bottom));
    table.append(body);
    this.scroller.replaceChildren(table);
    const { width, height } = corner.getBoundingClientRect();
    this.heads = { width, height };
    if (focused) this.focus();
  }

  row(at, left, right, space) {
    const module = this.rows[at];
    const name = data.modules[module];
    const head = element(
      "th", { scope: "row", title: name, aria: { colindex: 1 } },
      element("a", { href: addressOf({ view: "tests", query: qualified("file", name) }), tabIndex: -1 }, element("bdi", {}, name)),
    );
    const row = element("tr", { aria: { rowindex: at + 2 } }, head, space());
    row.style.height = `${this.cell}px`;
    for (let column = left; column < right; column++) row.append(this.cellOf(at, column));
    row.append(space());
    return row;
  }

  cellOf(at, column) {
    const host = this.columns[column];
    const indexes = this.cells.get(this.rows[at]).get(host);
    const cell = document.createElement("td"); // there are thousands: no more than it takes
    cell.tabIndex = at === this.active[0] && column === this.active[1] ? 0 : -1;
    cell.dataset.row = at;
    cell.dataset.column = column;
    cell.ariaColIndex = column + 2;
    if (indexes) {
      const verdict = VERDICTS[worst(indexes)];
      const place = `${data.modules[this.rows[at]]}, ${data.hosts[host]}`;
      cell.className = verdict;
      cell.textContent = data.symbols[verdict];
      cell.title = `${place}: ${verdict}, ${counted(attempts(indexes), "attempt")}`;
      cell.ariaLabel = cell.title;
    }
    return cell;
  }

  focus() {
    const [row, column] = this.active;
    const cell = this.scroller.querySelector(`td[data-row="${row}"][data-column="${column}"]`);
    if (!cell) return;
    cell.tabIndex = 0;
    cell.focus({ preventScroll: true });
  }

  onKey(event) {
    const [row, column] = this.active;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.cell) - 8);
    const moves = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      PageUp: [row - page, column], PageDown: [row + page, column],
      Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? this.rows.length - 1 : row, this.columns.length - 1],
    };
    if (event.key === "Enter" || event.key === " ") {
      if (event.target.dataset.row === undefined) return; // a link
      event.preventDefault();
      this.open(row, column);
    } else if (moves[event.key]) {
      event.preventDefault();
      this.move(...moves[event.key]);
    }
  }

  move(row, column) {
    const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
    this.active = [clamp(row, this.rows.length), clamp(column, this.columns.length)];
    const into = (offset, extent, at) => {
      const start = at * this.cell;
      if (start < offset) return start;
      return Math.max(offset, start + this.cell - extent);
    };
    this.scroller.scrollTo(
      into(this.scroller.scrollLeft, this.scroller.clientWidth - this.heads.width, this.active[1]),
      into(this.scroller.scrollTop, this.scroller.clientHeight - this.heads.height, this.active[0]),
    );
    this.scroller.querySelector("td[tabindex='0']")?.setAttribute("tabindex", -1);
    this.draw();
    this.focus();
  }

  onClick(event) {
    const { row, column } = event.target.closest("td")?.dataset ?? {};
    if (row === undefined) return;
    this.active = [Number(row), Number(column)];
    this.open(...this.active);
  }

  open(row, column) {
    const [module, host] = [this.rows[row], this.columns[column]];
    if (!this.cells.get(module).has(host)) return;
    const query = `${qualified("file", data.modules[module])} ${qualified("host", data.hosts[host])}`;
    location.hash = addressOf({ view: "tests", query });
    byId("to-tests").focus();
  }
}

// -- page ---------------------------------------------------------------------------------------------------------------

const matrix = new Matrix(byId("matrix"));

function draw() {
  const { found, idle } = filtered();
  const byTest = group(found, (index) => accesses.test[index]);
  const byHost = group(found, (index) => accesses.host[index]);
  const ascending = (one, other) => one - other;
  for (const view of ["hosts", "tests", "matrix"]) {
    byId(`view-${view}`).hidden = view !== state.view;
    const link = byId(`to-${view}`);
    link.href = addressOf({ view });
    if (view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("hosts").replaceChildren();
  byId("tests").replaceChildren();
  if (state.view === "matrix") matrix.show(found);
  if (state.view === "hosts") {
    drawList(byId("hosts"), [...byHost.keys()].sort(ascending), (host) => hostItem(host, byHost.get(host)), data.hosts.indexOf(state.host));
  }
  if (state.view === "tests") {
    const keys = [...byTest.keys(), ...idle].sort(ascending);
    drawList(byId("tests"), keys, (test) => testItem(test, byTest.get(test) ?? []), tests.id.indexOf(state.test));
  }
  const shown = [counted(attempts(found), "attempt"), counted(byHost.size, "host"), counted(byTest.size + idle.length, "test")];
  byId("status").textContent = `${shown.join(", ")} match the filter.`;
}

function showAddress() {
  state = readAddress();
  if (byId("query").value !== state.query) byId("query").value = state.query;
  for (const box of byId("filter").elements) {
    if (box.name === "verdict") box.checked = state.verdicts.includes(box.value);
    if (box.name === "size") box.checked = state.sizes.includes(box.value);
  }
  draw();
  const results = byId("results");
  // A link to a part of the results, which stand below what to fix: bring them into sight.
  if (location.hash && !results.contains(document.activeElement) && results.getBoundingClientRect().top > innerHeight / 2) {
    results.scrollIntoView();
  }
}

function readFilter() {
  const checked = (name) => [...byId("filter").elements].filter((box) => box.name === name && box.checked).map((box) => box.value);
  const kept = { verdict: checked("verdict"), size: checked("size") };
  state = {
    ...state,
    query: byId("query").value.trim(),
    verdicts: VERDICTS.filter((verdict) => kept.verdict.includes(verdict)),
    sizes: SIZES.filter((size) => kept.size.includes(size)),
    host: null,
    test: null,
  };
  history.replaceState(null, "", addressOf({}));
  draw();
}

let typing = 0;
byId("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(readFilter, 120);
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", () => {
  history.replaceState(null, "", `#${new URLSearchParams({ view: state.view })}`);
  showAddress();
});
byId("dense").addEventListener("change", (event) => {
  matrix.cell = event.target.checked ? 14 : 26;
  matrix.drawn = null;
  matrix.draw();
});
addEventListener("hashchange", () => location.hash === "#results" || showAddress()); // that is the skip link
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  event.preventDefault();
  byId("query").focus();
});

const THEMES = ["system", "light", "dark"];
byId("theme").hidden = false;
byId("theme").addEventListener("click", (event) => {
  const root = document.documentElement;
  root.dataset.theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  event.target.textContent = `Theme: ${root.dataset.theme}`;
});

byId("results").hidden = false;
showAddress();
