"""Try a call of each of many native clients, and keep by what it is seen.

    python -m tests.ecosystem.native.survey                  # all of them
    python -m tests.ecosystem.native.survey uvloop gevent    # some, by id
    python -m tests.ecosystem.native.survey --write          # kept, for the page in the reference
    python -m tests.ecosystem.native.survey --new --write    # what is new or has changed since it was kept
    python -m tests.ecosystem.native.survey --prepare        # only install
    python -m tests.ecosystem.native.survey --page           # only make the page anew

The cells are in ``list/``, in the form of ``tests/ways``; ``requirements.txt`` pins their packages. Each package gets an
environment of its own, in the user's cache. Each call is made by a medium test that connects to a remote host, in a
network of its own: without the plugin, in strict mode without the table of native clients, with the table, and with the
kernel layer. What got out is read from the network interfaces. A call to this machine has to do with the table what it
does without the plugin.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.ways import world
from tests.ways.run_ways import Outcome, World, escapes, in_networks, judge, why_not_here
from tests.ways.ways import Way, all_ways

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[3]
HERE: Final = Path(__file__).parent
LIST: Final = HERE / "list"
PLUGIN: Final = HERE / "plugin"
RESULTS: Final = HERE / "results.json"
REQUIREMENTS: Final = HERE / "requirements.txt"
PAGE: Final = ROOT / "docs" / "reference" / "native-clients.md"
BEGIN: Final = "<!-- made by `python -m tests.ecosystem.native.survey --write`: begin -->"
END: Final = "<!-- end -->"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "pytest-test-categories" / "native"
VARIANT: Final = "medium-foreign"
HERE_VARIANT: Final = "medium-local"
BESIDE: Final = ("pytest", "wrapt")

SEEN: Final = "seen"
ROW: Final = "seen by name"
KERNEL: Final = "only with the kernel layer"
UNSEEN: Final = "not seen"
VERDICTS: Final = {
    SEEN: "the call uses Python's sockets or Python's name look-ups",
    ROW: "the plugin knows the native client and watches this call",
    KERNEL: "without the kernel layer the call connects and is not reported",
    UNSEEN: "the call connects and is not reported, with all layers",
}

NOT_TRIED: Final = {
    "_mysql_connector": "its wheel's extension does not load beside an OpenSSL older than 3.2, which pytest has loaded",
    "win32file": "Windows only",
    "win32pipe": "Windows only",
}
"""Modules of the table that no cell imports, each with its reason."""

LEFT_OUT: Final = {
    "cycurl": "its wheel lacks a library that it is linked to",
    "mitmproxy-rs": "its current release needs Python 3.12",
    "noble-tls": "loads its library from GitHub at the first call",
    "onepassword-sdk": "connects only with the token of a real account",
    "pyuv": "can't be built any more",
    "requestx": "has no wheel for Python 3.11, and is not built here",
    "websocket-rs": "needs Python 3.12",
    "zeroc-ice": "its current release has no wheel for Python 3.11",
}
"""Packages that were looked at and have no cell."""


def pins() -> dict[str, str]:
    """Return the versions of packages, by their names as the cells give them."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def cells() -> list[Way]:
    """Return what is tried, in its order."""
    return all_ways(LIST)


def pinned(cell: Way) -> list[str]:
    """Return the requirements of a cell."""
    versions = pins()
    return [f"{name}=={versions[name]}" for name in (cell.package, *cell.beside)]


_installing: Final[dict[str, threading.Lock]] = collections.defaultdict(threading.Lock)
"""By environment, which several cells may share."""


def install(cell: Way) -> tuple[Path | None, str]:
    """Make the environment of a cell, if it is not there; return its interpreter, or None and why it can't be made."""
    with _installing[" ".join(pinned(cell))]:
        return _install(cell)


def _install(cell: Way) -> tuple[Path | None, str]:
    requirements = pinned(cell)
    name = "+".join(re.sub(r"[^\w.=-]", "_", requirement) for requirement in requirements)
    folder = CACHE / f"{sys.implementation.cache_tag}-{name}"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)], check=True)
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--prefer-binary"]
        made = subprocess.run([*command, *requirements, *BESIDE], check=False, capture_output=True, text=True)
        if made.returncode:
            errors = [line for line in made.stderr.splitlines() if line.startswith("ERROR:")]
            return None, (errors or made.stderr.splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")
        done.touch()
    return python, ""


def try_cell(network: World, cell: Way, *, verbose: bool = False) -> dict[str, Any]:
    """Run a cell in all four ways, and return its entry for the results."""
    entry: dict[str, Any] = {"id": cell.id, "package": cell.package, "requirements": pinned(cell), "code": cell.digest}
    python, why_not = install(cell)
    if python is None:
        return {**entry, "missing": why_not}

    def run(layers: str, rows: str = "", variant: str = VARIANT) -> dict[str, Any]:
        path = os.pathsep.join((str(ROOT / "src"), str(PLUGIN)))
        return network.run(
            cell,
            variant,
            layers=layers,
            verbose=verbose,
            python=str(python),
            settings={"PYTHONPATH": path, "SURVEY_ROWS": rows},
            options=("-p", "survey_rows") if layers else (),
        )

    bare = run("")
    entry["out"] = escapes(cell, VARIANT, bare["seen"])
    if not entry["out"]:
        return entry
    answers = {"without rows": run("python", "none"), "rows": run("python"), "kernel": run("kernel")}
    entry |= {name: judge(cell, VARIANT, answer).to_dict() for name, answer in answers.items()}
    if said := re.search(r"^rows of the table: (.*)$", answers["rows"]["output"], re.MULTILINE):
        entry |= json.loads(said[1])
    bare, guarded = run("", variant=HERE_VARIANT), run("python", variant=HERE_VARIANT)
    entry["here"] = here(cell, bare, guarded)
    return {**entry, "verdict": verdict(entry)}


def here(cell: Way, bare: dict[str, Any], guarded: dict[str, Any]) -> str:
    """Return how a call to this machine does with the table, against one without the plugin."""
    if escapes(cell, VARIANT, bare["seen"]):
        return "leads to a remote host all the same"
    before, after = ((answer["status"], sorted(_calls(answer))) for answer in (bare, guarded))
    return "same" if before == after else f"differs: {before} without the plugin, {after} with it"


def _calls(answer: dict[str, Any]) -> set[str]:
    """Return which of this machine's servers a run reached: what clients tell one another differs from run to run."""
    return {thing for thing in answer["seen"] if thing.endswith((f":{world.PORT}", " unix"))}


def verdict(entry: dict[str, Any]) -> str:
    """Return by what a call is seen first."""
    for name, word in (("without rows", SEEN), ("rows", ROW), ("kernel", KERNEL)):
        if Outcome(**entry[name]).good:
            return word
    return UNSEEN


def shortcomings(entry: dict[str, Any]) -> list[str]:
    """Return a line for each thing that makes an entry worth a look."""
    if "missing" in entry:
        return [f"can't be installed: {entry['missing']}"]
    if not entry["out"]:
        return ["does not lead out without the plugin: proves nothing"]
    lines = [f"a row names what is not there: {name}" for name in entry.get("lacking", ())]
    if entry.get("here", "").startswith("differs"):
        lines.append(f"a call to this machine {entry['here']}")
    if "modules" not in entry:
        lines.append("the run with the table did not come to its end")
    return lines


def try_all(chosen: list[Way], *, jobs: int, report: Callable[[dict[str, Any]], None], verbose: bool) -> None:
    """Try cells, several at a time, each in a network of its own."""
    in_networks(chosen, jobs, lambda network, cell: report(try_cell(network, cell, verbose=verbose)))


def load() -> dict[str, Any]:
    """Return the results that are kept."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"clients": []}
    return results


def is_current(cell: Way, kept: dict[str, dict[str, Any]]) -> bool:
    """Tell whether what is kept of a cell was had with its code and its versions."""
    entry = kept.get(cell.id, {})
    return (entry.get("code"), entry.get("requirements")) == (cell.digest, pinned(cell))


def save(entries: list[dict[str, Any]]) -> None:
    """Keep entries, beside those that are kept already: a line for each, in the list's order."""
    kept = {entry["id"]: entry for entry in (*load()["clients"], *entries)}
    lines = ",\n".join(json.dumps(kept[cell.id]) for cell in cells() if cell.id in kept)
    version = ".".join(str(part) for part in sys.version_info[:2])
    head = f'"python": "{version}", "platform": "{sys.platform}", "machine": "{os.uname().machine}"'
    RESULTS.write_text(f'{{{head}, "clients": [\n{lines}\n]}}\n', encoding="utf-8")


# -- the page ----------------------------------------------------------------------------------------------------------


def render(results: dict[str, Any]) -> str:
    """Return what stands between the page's markers."""
    by_id = {entry["id"]: entry for entry in results["clients"]}
    tried = [(cell, by_id[cell.id]) for cell in cells() if "verdict" in by_id.get(cell.id, {})]
    lacking = [(cell, by_id[cell.id]) for cell in cells() if "missing" in by_id.get(cell.id, {})]
    packages = {cell.package for cell, _ in tried}
    counted = f"{len(tried)} calls of {len(packages)} packages, each at the version that was current then"
    lines = [
        f"Tried on Linux ({results['machine']}) with CPython {results['python']}: {counted}.",
        "",
        *_row("verdict", "meaning", "calls"),
        *_row("---", "---", "---"),
    ]
    for word, meaning in VERDICTS.items():
        lines += _row(word, meaning, str(sum(entry["verdict"] == word for _, entry in tried)))
    for group in dict.fromkeys(cell.group for cell, _ in tried):
        lines += ["", f"## {group}", "", *_row("package", "version", "call", "verdict"), *_row(*("---",) * 4)]
        for cell, entry in tried:
            if cell.group == group:
                version = entry["requirements"][0].partition("==")[2]
                lines += _row(cell.package, version, cell.title, entry["verdict"])
    for word in (KERNEL, UNSEEN):
        if found := [cell for cell, entry in tried if entry["verdict"] == word]:
            lines += ["", f"## {word[0].upper()}{word[1:]}", "", *_row("package", "call", "why"), *_row(*("---",) * 3)]
            lines += [line for cell in found for line in _row(cell.package, cell.title, cell.note)]
    untried = {cell.package: cell.note or entry["missing"] for cell, entry in lacking} | LEFT_OUT
    lines += ["", "## Not tried", "", *_row("package", "why"), *_row("---", "---")]
    lines += [line for package, reason in sorted(untried.items()) for line in _row(package, reason)]
    return "\n".join(lines)


def _row(*texts: str) -> list[str]:
    return [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"]


def page(results: dict[str, Any], current: str) -> str:
    """Return the page with the part between its markers made anew."""
    before, _, rest = current.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render(results)}\n\n{END}{after}"


def write_page() -> None:
    """Make the page anew."""
    PAGE.write_text(page(load(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the survey, or a part of it."""
    parser = argparse.ArgumentParser(description="Try a call of each of many native clients.")
    parser.add_argument("ids", nargs="*", help="what to try; all without any")
    parser.add_argument("--new", action="store_true", help="only what is new, or has changed since it was kept")
    parser.add_argument("--write", action="store_true", help="keep the results, and make the page anew")
    parser.add_argument("--prepare", action="store_true", help="install, and try nothing")
    parser.add_argument("--page", action="store_true", help="make the page anew, and try nothing")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what each run says")
    options = parser.parse_args(arguments)
    if options.page:
        write_page()
        return 0
    chosen = cells()
    if unknown := set(options.ids) - {cell.id for cell in chosen}:
        parser.error(f"no such call: {', '.join(sorted(unknown))}")
    if options.ids:
        chosen = [cell for cell in chosen if cell.id in options.ids]
    if options.new:
        kept = {entry["id"]: entry for entry in load()["clients"]}
        chosen = [cell for cell in chosen if not is_current(cell, kept)]
    if options.prepare:
        for cell in chosen:
            print(f"{cell.id}: {install(cell)[1] or 'installed'}", flush=True)
        return 0
    if reason := why_not_here():
        print(reason)
        return 3
    entries: list[dict[str, Any]] = []

    def report(entry: dict[str, Any]) -> None:
        entries.append(entry)
        print(": ".join((entry["id"], *filter(None, (entry.get("verdict"),)), *shortcomings(entry))), flush=True)

    try_all(chosen, jobs=1 if options.verbose else options.jobs, report=report, verbose=options.verbose)
    if options.write:
        save(entries)
        write_page()
    return 1 if any(shortcomings(entry) for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())
