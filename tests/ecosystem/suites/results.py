"""What is kept of the runs, and the page made of it: ``python tests/ecosystem/suites/results.py`` writes it anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

KEPT: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).with_name("results.md")
_HEAD: Final = """# Results

Made by `run_suites.py --write` from `results.json`; README.md says what each run is and what the verdicts mean. A suite
is run with enforcement off, then in strict mode with every test held to the size that is named. The seconds are of a
machine with two processors that had other work, too.
"""
_PROMISES: Final = """
## What pytest-socket promises

pytest-socket's own tests, with `stand_in/pytest_socket.py` in its place: the same options, markers, fixtures and
functions, refused by this plugin, its messages put into pytest-socket's words. Once as they are written, and once with
each socket that a test makes bound to a port, since making a socket is free here.
"""


def load() -> dict[str, dict[str, Any]]:
    """Return the entries that are kept, by suite."""
    entries = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []
    return {entry["suite"]: entry for entry in entries}


def keep(entry: dict[str, Any]) -> None:
    """Keep an entry in the place of the one before: a line each, so that a change of one shows as one."""
    entries = load() | {entry["suite"]: entry}
    lines = ",\n".join(json.dumps(entries[name], ensure_ascii=False) for name in sorted(entries))
    KEPT.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = ("| " + " | ".join(map(str, row)) + " |" for row in (head, ("---",) * len(head), *rows))
    return "\n".join(lines) + "\n"


def _suites(entries: list[dict[str, Any]]) -> str:
    columns = {
        "suite": "suite",
        "version": "version",
        "size": "held to",
        "tests": "tests",
        "differ": "differ",
        "explained": "explained",
        "flaky": "flaky",
        "in company": "in company",
        "BREAK": "broken",
        "off": "seconds off",
        "strict": "seconds strict",
        "date": "date",
    }
    return _table(tuple(columns.values()), [tuple(entry[key] for key in columns) for entry in entries])


def _promises(entries: list[dict[str, Any]]) -> str:
    """Return a row for each test of pytest-socket's: parameters of one test share it."""
    rows: dict[str, dict[str, set[str]]] = {}
    for entry in entries:
        for test, reason in entry["promises"].items():
            name = re.sub(r"^tests/test_(\w+)\.py::test_(\w+).*$", r"\1: \2", test, flags=re.DOTALL).replace("_", " ")
            rows.setdefault(name, {}).setdefault(entry["suite"], set()).add(reason)
    told = [
        (name, *("; ".join(sorted(seen.get(entry["suite"], {"-"}))) or "holds" for entry in entries))
        for name, seen in rows.items()
    ]
    heads = ("as it is written" if entry["suite"] == "pytest-socket" else "with its sockets bound" for entry in entries)
    return _table(("promise", *heads), told)


def render() -> str:
    """Return the page."""
    entries = list(load().values())
    promising = [entry for entry in entries if "promises" in entry]
    reasons = [
        (entry["suite"], count, reason)
        for entry in entries
        if entry not in promising
        for reason, count in entry["reasons"].items()
    ]
    page = f"{_HEAD}\n{_suites(entries)}\n## Explanations\n\n{_table(('suite', 'tests', 'what they do'), reasons)}"
    return page + (f"{_PROMISES}\n{_promises(promising)}" if promising else "")


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write_page()
