"""``--network-explain``: for each selected test, the source of its size and what applies to it. Nothing is run."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories._attribution.stack import Place
from pytest_test_categories._host.files import write_whole
from pytest_test_categories._report.published import redacted, relative_place
from pytest_test_categories._rules.policy import EnforcementMode, TestSize, parse_allow, parse_narrowing
from pytest_test_categories._rules.wording import counted
from pytest_test_categories.pytest_plugin import _options, _private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories.pytest_plugin._fixtures import FixturePlan
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._sizes import Sizes

VERSION: Final = 1
_REACHES: Final = {
    None: "everything: no size restricts it",
    TestSize.SMALL: "nothing",
    TestSize.MEDIUM: "this machine only",
    TestSize.LARGE: "everything",
    TestSize.XLARGE: "everything",
}


class Explain:
    """Explains the tests instead of running them."""

    def __init__(self, config: pytest.Config, settings: Settings, run: Run, sizes: Sizes, plan: FixturePlan) -> None:
        self._config = config
        self._settings = settings
        self._run = run
        self._sizes = sizes
        self._plan = plan
        self._allow = tuple(zip(settings.allow, settings.allow_from, strict=True))
        denied = zip(settings.deny, settings.deny_from, strict=True)
        self._deny = [{"entry": entry.text, "from": where} for entry, where in denied]
        # Otherwise every worker would explain all tests.
        if getattr(config.option, "dist", "no") != "no":
            config.option.dist = "no"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Explain each selected test, instead of running it."""
        facts = [self._facts(item) for item in session.items]
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            for line in self._text(facts):
                terminal.write_line(line)
        for path in self._settings.reports:
            try:
                self._write(path, facts)
            except OSError as error:
                raise pytest.UsageError(f"--network-report: {path} could not be written: {error}") from None
            if terminal is not None:
                terminal.write_line(f"network report: {path}")
        return True

    # -- facts ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def _only(item: pytest.Item, cls: type | None) -> Iterator[dict[str, Any]]:
        given = getattr(cls, "network_only", None)
        lists = [] if cls is None or given is None else [(given, f"network_only of {cls.__name__}")]
        lists += [
            (mark.args, f"@pytest.mark.{_options.ONLY_MARKER}") for mark in item.iter_markers(_options.ONLY_MARKER)
        ]
        for entries, where in lists:
            with contextlib.suppress(ValueError):  # in off mode an invalid entry is ignored
                yield {"entries": [entry.text for entry in parse_narrowing(entries)], "from": where}

    def _facts(self, item: pytest.Item) -> dict[str, Any]:
        size = self._sizes.of(item)
        sources = [{"size": given.value, "from": where} for where, given in self._sizes.sources(item)]
        cls = getattr(item.parent, "obj", None) if isinstance(item.parent, pytest.Class) else None
        mode = None if self._run.mode is EnforcementMode.OFF else getattr(cls, "network_mode", None)
        selected: Any = self._config.pluginmanager.get_plugin(_options.SELECTED)
        restricted = size is not None and size.rank < TestSize.LARGE.rank
        allow = [(entry.text, where, _applies(entry, size)) for entry, where in self._allow]
        own = [] if cls is None else [(getattr(cls, "network_allow", ()), f"network_allow of {cls.__name__}")]
        own += [
            (mark.args, f"@pytest.mark.{_options.ALLOW_MARKER}") for mark in item.iter_markers(_options.ALLOW_MARKER)
        ]
        with contextlib.suppress(ValueError):
            own += [(entries, f"@pytest.mark.{name}") for name, entries in self._sizes.entries_of_size(item)]
        for given, where in own:
            with contextlib.suppress(ValueError):
                # An entry of a test or class widens it whatever its size.
                allow += [(entry.text, where, restricted) for entry in parse_allow(given)]
        return {
            "id": redacted(item.nodeid),
            "size": "" if size is None else size.value,
            "sources": sources,
            "reaches": _REACHES[size],
            "mode": self._run.mode.value if mode is None else EnforcementMode.parse(mode).value,
            "allow": [{"entry": text, "from": where, "applies": applies} for text, where, applies in allow],
            "only": list(self._only(item, cls)),
            "deny": self._deny,
            "fixtures": list(self._fixtures(item)),
            "skipped": "" if selected is None else selected.skipped.get(item.nodeid, ""),
            "known": [f"{kind} {target}" for kind, target in sorted(self._known(item))],
        }

    @property
    def _layers(self) -> tuple[str, ...]:
        return _options.layers("kernel" if self._run.children_watched else "")

    def _known(self, item: pytest.Item) -> Iterable[tuple[str, str]]:
        return () if self._run.baseline is None else self._run.baseline.of(item.nodeid)

    def _fixtures(self, item: pytest.Item) -> Iterator[dict[str, Any]]:
        definitions = _private.fixtures_of(item)
        indices = _private.parameter_indices(item) or {}
        for name in self._plan.broad_names(item):
            definition = definitions[name][-1]
            held = self._plan.of(definition, indices.get(name, 0), item)
            size = list(TestSize)[held.rank].value if held.rank < len(TestSize) else ""
            code = getattr(definition.func, "__code__", None)
            place = None if code is None else Place(code.co_filename, code.co_firstlineno, code.co_name)
            yield {
                "name": name,
                "scope": definition.scope,
                "size": size,
                "because": redacted(held.by),
                "defined": "" if place is None else relative_place(place.text(self._run.root)),
                "autouse": held.ranks is not None,
            }

    # -- texts ---------------------------------------------------------------------------------------------------------

    def _text(self, facts: list[dict[str, Any]]) -> Iterator[str]:
        verbose = getattr(self._config.option, "verbose", 0) > 0
        yield ""
        for test in facts:
            yield test["id"]
            yield from (f"  {line}" for line in _lines(test, verbose=verbose))
        yield ""
        yield f"{counted(len(facts), 'test')} explained, none run; layers in force: {', '.join(self._layers)}"

    def _write(self, path: str, facts: list[dict[str, Any]]) -> None:
        data = {
            "version": VERSION,
            "mode": self._run.mode.value,
            "layers": list(self._layers),
            "tests": sorted(facts, key=lambda test: str(test["id"])),
        }
        place = os.path.join(str(self._config.invocation_params.dir), path)
        write_whole(place, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _lines(test: dict[str, Any], *, verbose: bool) -> Iterator[str]:
    deciding, *others = test["sources"] or [None]
    if deciding is None:
        yield "size: none, since no marker, path rule or default gives it one"
    else:
        yield f"size: {test['size']}, from {deciding['from']}"
        if verbose:
            yield from (f"  not from {other['from']} ({other['size']}), which comes after it" for other in others)
    yield f"network: {test['reaches']} (enforcement {test['mode']})"
    for entry in test["allow"]:
        if entry["applies"]:
            yield f"allowed: {entry['entry']}, from {entry['from']}"
        elif verbose:
            yield f"not widened by: {entry['entry']}, from {entry['from']}"
    for only in test["only"]:
        yield f"only: {', '.join(only['entries']) or 'nothing'}, from {only['from']}"
    for entry in test["deny"]:
        yield f"denied: {entry['entry']}, from {entry['from']}"
    for fixture in test["fixtures"]:
        if fixture["autouse"] and fixture["defined"].startswith("...") and not verbose:
            continue  # a fixture of a plugin
        held = fixture["size"] or "no size"
        line = f"fixture {fixture['name']} ({fixture['scope']}): held to {held}"
        if fixture["autouse"]:
            yield f"{line}, the largest size among the tests that it is set up for"
        else:
            yield f"{line}, because of {fixture['because']}"
        if verbose and fixture["defined"]:
            yield f"  defined at {fixture['defined']}"
    if test["skipped"]:
        yield f"skipped: {test['skipped']}"
    for known in test["known"]:
        yield f"in the baseline: {known}"


def _applies(entry: AllowEntry, size: TestSize | None) -> bool:
    return size is not None and TestSize(entry.size).rank <= size.rank < TestSize.LARGE.rank
