"""The pages that say what is seen, made from the results of ``run_ways``: ``python -m tests.ways.table``.

One has the numbers of each group of ways, the other, an appendix, has every way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.ways.run_ways import RESULTS, ROOT

PAGE: Final = ROOT / "docs" / "reference" / "what-it-sees.md"
APPENDIX: Final = ROOT / "docs" / "reference" / "ways.md"
BEGIN: Final = "<!-- made by `python -m tests.ways.table`: begin -->"
END: Final = "<!-- end -->"
_LAYERS: Final = {"python": "without the kernel layer", "kernel": "with the kernel layer"}
_VARIANTS: Final = {
    "small-foreign": "small",
    "small-local": "small, this machine",
    "medium-foreign": "medium",
}
_GOOD: Final = "stopped"
_ANSWERED: Final = "answered here"
_UNSTARTED: Final = "not started"
_PLATFORMS: Final = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}


def verdict(outcome: dict[str, bool]) -> str:
    """Return an outcome in words."""
    if outcome["stopped"] and outcome.get("answered"):
        return _ANSWERED
    if outcome["stopped"] and outcome.get("unstarted"):
        return _UNSTARTED
    if outcome["stopped"] and outcome["failed"]:
        return _GOOD if outcome["named"] else "stopped, under another name"
    if outcome["stopped"]:
        return "stopped, not reported"
    return "reported, not stopped" if outcome["failed"] else "not seen"


def cell(outcomes: dict[str, dict[str, bool]]) -> str:
    """Return what became of a way, said once where sizes and targets don't differ."""
    by_verdict: dict[str, list[str]] = {}
    for variant, outcome in outcomes.items():
        by_verdict.setdefault(verdict(outcome), []).append(_VARIANTS[variant])
    if len(by_verdict) == 1:
        return next(iter(by_verdict))
    return "; ".join(f"{said} ({'; '.join(variants)})" for said, variants in by_verdict.items())


def _is_good(entry: dict[str, Any], layer: str) -> bool:
    return layer in entry and all(
        verdict(outcome) in {_GOOD, _ANSWERED, _UNSTARTED} for outcome in entry[layer].values()
    )


def _tried(results: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """Return the ways that lead out without the plugin, the layers they were tried with, and their groups."""
    ways = [entry for entry in results["ways"] if "missing" not in entry and any(entry["out"].values())]
    layers = {layer: text for layer, text in _LAYERS.items() if any(layer in entry for entry in ways)}
    return ways, layers, list(dict.fromkeys(entry["group"] for entry in ways))


def summary(results: dict[str, Any]) -> str:
    """Return how many ways of each group were stopped."""
    ways, layers, groups = _tried(results)
    platform = _PLATFORMS.get(results["platform"], results["platform"])
    lines = [
        f"Tried on {platform} ({results['machine']}) with CPython {results['python']}: {len(ways)} ways.",
        "",
        *_row("group", "ways", *(f"stopped {text}" for text in layers.values())),
        *_row("---", "---", *("---" for _ in layers)),
    ]
    for group in groups:
        members = [entry for entry in ways if entry["group"] == group]
        counts = [_count(members, layer) for layer in layers]
        lines += _row(group, str(len(members)), *counts)
    lines += _row("all", str(len(ways)), *(_count(ways, layer) for layer in layers))
    return "\n".join(lines)


def every_way(results: dict[str, Any]) -> str:
    """Return what became of each way, group by group."""
    ways, layers, groups = _tried(results)
    lines: list[str] = []
    for group in groups:
        lines += ["", f"## {group}", "", *_row("way", *layers.values()), *_row("---", *("---" for _ in layers))]
        for entry in ways:
            if entry["group"] == group:
                lines += _row(
                    entry["title"], *(cell(entry[layer]) if layer in entry else "not tried" for layer in layers)
                )
    if lacking := [entry for entry in results["ways"] if "missing" in entry]:
        lines += ["", "## Not tried", "", *_row("way", "what was missing"), *_row("---", "---")]
        lines += [line for entry in lacking for line in _row(entry["title"], entry["missing"])]
    return "\n".join(lines).strip("\n")


PAGES: Final = {PAGE: summary, APPENDIX: every_way}


def _count(entries: list[dict[str, Any]], layer: str) -> str:
    return str(sum(_is_good(entry, layer) for entry in entries))


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"]


def page(text: str, current: str) -> str:
    """Return a page with the part between its markers made anew."""
    before, _, rest = current.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def load() -> dict[str, Any]:
    """Return the results that are kept."""
    results: dict[str, Any] = json.loads(Path(RESULTS).read_text(encoding="utf-8"))
    return results


def write() -> None:
    """Make the pages anew."""
    results = load()
    for path, render in PAGES.items():
        path.write_text(page(render(results), path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
