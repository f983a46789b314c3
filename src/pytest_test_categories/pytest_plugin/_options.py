"""Options: the ini keys, the command line, and the one immutable record that they are parsed into."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import pytest

# Nothing of the rest of the package: in off mode it stays unloaded, and runs inside of this run load it each anew.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_test_categories._report.baseline import Baseline
    from pytest_test_categories._report.baselines import BaselineFiles
    from pytest_test_categories._report.gates import Gate
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories._rules.policy import EnforcementMode, TestSize
    from pytest_test_categories._sizing.held import Held
    from pytest_test_categories.pytest_plugin._bazel import Target

_T = TypeVar("_T")

OFF: Final = "off"
KERNEL: Final = (OFF, "auto", "require")
COUNT: Final = "count"
ERROR: Final = "error"
UNWATCHED: Final = (COUNT, ERROR)
PRINT: Final = "print"
APPLY: Final = "apply"
NONE, MACHINE, ALL = AVAILABLE = ("none", "machine", "all")
BUILDOZER: Final = "buildozer"
SUGGEST: Final = (PRINT, APPLY, BUILDOZER)
SELECTED: Final = "test-categories-selected"
"""Name under which the plugin that selects by size is registered."""
ON: Final = "on"
FAKES: Final = (ON, OFF)
BAZEL: Final = (ON, OFF)
HANDED: Final = "_pytest_test_categories_handed"
"""Name of the module with a run's settings that pytest-xdist's controller leaves in each of its workers."""
_OF_BAZEL: Final = "_PYTEST_TEST_CATEGORIES_BAZEL"
"""Variable that is set while a run is a Bazel test: runs inside of its tests are not."""

MARKERS: Final = {
    "small": "a test that touches no network (pytest-test-categories)",
    "medium": "a test that touches this machine only (pytest-test-categories)",
    "large": "a test that touches any network (pytest-test-categories)",
    "xlarge": "a test that touches any network, and takes its time (pytest-test-categories)",
}
ALLOW_MARKER: Final = "network_allow"
ONLY_MARKER: Final = "network_only"
_ENTRIES: Final = {
    ALLOW_MARKER: "what a test may reach beyond its size, such as '127.0.0.1:8126' (pytest-test-categories)",
    ONLY_MARKER: "all that a test may reach of what its size permits, such as 'db:5432' (pytest-test-categories)",
}

_SIZES: Final = "|".join(MARKERS)


class Key(NamedTuple):
    """One setting of the project: an ini key and the command-line option with the same stem.

    Attributes:
        ini: The ini key.
        metavar: What ``--help`` shows as the option's value: the choices, if there are any.
        text: What it sets, as ``--help`` says it.
        default: The value if neither the command line nor the ini file gives one.
        many: Whether it takes several values: one per line of the ini file. The option is repeatable and adds to them.
        beats: Whether several values of the command line replace those of the ini file.
        variable: The setting's environment variable. A single value overrides the ini file; several are added to it.
    """

    ini: str
    metavar: str
    text: str
    default: str = ""
    many: bool = False
    beats: bool = False
    variable: str = ""

    @property
    def option(self) -> str:
        """The option: ``--network-X`` for ``test_categories_network_X``, otherwise named like the key."""
        stem = "network" if self.ini.startswith("test_categories_network_") else "test_categories"
        return f"--{stem}{self.ini.removeprefix('test_categories').removeprefix('_network')}".replace("_", "-")

    @property
    def field(self) -> str:
        """The attribute of ``config.option`` that holds the option's value."""
        return self.option[2:].replace("-", "_")


KEYS: Final = (
    Key(
        "test_categories_enforcement",
        "strict|warn|off",
        "what a violation does",
        OFF,
        variable="TEST_CATEGORIES_ENFORCEMENT",
    ),
    Key(
        "test_categories_default_size",
        _SIZES,
        "the size of tests that have none",
        variable="TEST_CATEGORIES_DEFAULT_SIZE",
    ),
    Key("test_categories_marker_sizes", "MARKER=SIZE", "a marker that stands for a size: unit = small", many=True),
    Key("test_categories_path_sizes", "PATH=SIZE", "the size of a directory's tests: tests/unit = small", many=True),
    Key("test_categories_fixture_sizes", "FIXTURE=SIZE", "the size of a fixture: docker = medium", many=True),
    Key(
        "test_categories_network_allow",
        "ENTRY",
        "what tests may reach beside what their size permits: postgres:5432",
        many=True,
        variable="TEST_CATEGORIES_NETWORK_ALLOW",
    ),
    Key(
        "test_categories_network_deny",
        "ENTRY",
        "what no test may reach, whatever its size: api.example.com",
        many=True,
        variable="TEST_CATEGORIES_NETWORK_DENY",
    ),
    Key(
        "test_categories_network_available",
        "|".join(AVAILABLE),
        "the network there is: skips tests that need more",
        ALL,
    ),
    Key("test_categories_network_kernel_guard", "|".join(KERNEL), "the kernel layer, on Linux", OFF),
    Key(
        "test_categories_unwatched",
        "|".join(UNWATCHED),
        "programs that no layer watches: count them, or fail their tests",
        COUNT,
    ),
    Key("test_categories_network_fakes", "|".join(FAKES), "whether a violation comes with a fake to paste", ON),
    Key(
        "test_categories_network_baseline",
        "FILE",
        "known violations, which warn while new ones fail; several files by directory",
        many=True,
        beats=True,
    ),
    Key("test_categories_bazel", "|".join(BAZEL), "whether a Bazel test has its target's size and directories", ON),
    Key("test_categories_gates", "NAME=N", "the most that a run may have of something: unsized = 0", many=True),
    Key("test_categories_network_fixtures", "FILE", "the sizes of broad fixtures, also for a part of the tests"),
)
"""Every setting of the project; the ini keys and the options are generated from this table."""

_KEYS: Final = {key.ini.removeprefix("test_categories_"): key for key in KEYS}

_RENAMED: Final = {"test_categories_network_kernel_guard": "test_categories_kernel_guard"}
"""The former name of each renamed ini key; former names still work."""


class Settings(NamedTuple):
    """The parsed settings of a run.

    Attributes:
        mode: Strict, warn or off; None also means off, so that off mode needs no import.
        default_size: Size of the tests that have none of their own.
        marker_sizes: ``(marker, size)`` for each marker of the project that stands for a size.
        path_sizes: ``(path relative to the root directory, size)``, the longest path first.
        fixture_sizes: ``(fixture, size)`` for each fixture with a declared size.
        mode_from: The option, variable or ini key that set the mode; empty for the default.
        allow: Entries that widen a size.
        allow_from: The option, variable or ini key that gave each of these entries.
        available: How much network the environment has: one of ``AVAILABLE``.
        available_from: The setting that says so, as it was written.
        renamed: Former names of ini keys that the ini file uses.
        deny: Entries that no size permits and no allow entry overrides.
        deny_from: The option, variable or ini key that gave each of these entries.
        fakes: Whether a violation is shown with the request that was made and a fake to paste.
        kernel: Whether to use the Linux kernel layer: one of ``KERNEL``.
        kernel_from: The setting that says so, as it was written.
        unwatched: How a program that no layer watches is treated: one of ``UNWATCHED``.
        reports: Files to write reports to.
        suggest: What to do with suggested sizes: ``print``, ``apply`` or, if empty, nothing.
        force: Whether to write markers into files with uncommitted changes, too.
        explain: Whether to explain each test's size instead of running it.
        baseline_files: The files of the baseline.
        baseline: The content of the baseline.
        baseline_update: Whether to rewrite the baseline.
        baseline_strict: Whether an entry that no longer happens fails the run.
        target: The Bazel test target that the run is; None if it is none.
        fixtures_file: Path of the file that says what broad fixtures are held to; empty if there is none.
        fixtures: The content of that file.
        fixtures_update: Whether to rewrite it.
        gates: The most that the run may have of something.
        since: The report that the gate for new hosts compares with; empty if there is none.
    """

    mode: EnforcementMode | None = None
    default_size: TestSize | None = None
    marker_sizes: tuple[tuple[str, TestSize], ...] = ()
    path_sizes: tuple[tuple[str, TestSize], ...] = ()
    fixture_sizes: tuple[tuple[str, TestSize], ...] = ()
    mode_from: str = ""
    allow: tuple[AllowEntry, ...] = ()
    allow_from: tuple[str, ...] = ()
    available: str = ALL
    available_from: str = ""
    renamed: tuple[str, ...] = ()
    deny: tuple[AllowEntry, ...] = ()
    deny_from: tuple[str, ...] = ()
    fakes: bool = True
    kernel: str = OFF
    kernel_from: str = ""
    unwatched: str = COUNT
    reports: tuple[str, ...] = ()
    suggest: str = ""
    force: bool = False
    explain: bool = False
    baseline_files: BaselineFiles | None = None
    baseline: Baseline | None = None
    baseline_update: bool = False
    baseline_strict: bool = False
    fixtures_file: str = ""
    fixtures: Held | None = None
    fixtures_update: bool = False
    gates: tuple[Gate, ...] = ()
    since: str = ""
    target: Target | None = None

    @property
    def unstated_size(self) -> TestSize | None:
        """The size of tests that have none from a marker or path rule: that of the Bazel target, else the default."""
        return (self.target and self.target.size) or self.default_size

    @property
    def active(self) -> bool:
        """Whether anything is watched; in off mode only if a report, a suggestion or an explanation needs it."""
        return self.mode is not None

    @property
    def recordings(self) -> tuple[str, ...]:
        """The files among ``reports`` that are recordings."""
        return tuple(path for path in self.reports if path.lower().endswith(".jsonl"))

    @property
    def observing(self) -> bool:
        """Whether permitted attempts are recorded, too: for a report, for suggested sizes or for a gate."""
        counted = any(gate.observes for gate in self.gates)
        return bool(self.reports or self.suggest or counted) and not self.explain


_key: Final = pytest.StashKey[Settings]()
_handed: Final = pytest.StashKey[dict[str, Any]]()


def add(parser: pytest.Parser) -> None:
    """Add ini keys and options to pytest's parser."""
    group = parser.getgroup("test categories")
    for key in KEYS:
        others = f"{key.variable} and the ini file" if key.variable else "the ini file"
        adds = f" (repeatable; {'beats' if key.beats else 'adds to'} {others})"
        more = adds if key.many else f"; beats {others}"
        kind: Literal["linelist", "string"] = "linelist" if key.many else "string"
        text = key.text if key.many else f"{key.text}: {key.metavar}"
        parser.addini(key.ini, text, type=kind, default=[] if key.many else None)
        # Without argparse's ``choices``: our own error is one line, which lists them.
        group.addoption(
            key.option, action="append" if key.many else "store", metavar=key.metavar, help=f"{key.text}{more}"
        )
    for new, old in _RENAMED.items():
        parser.addini(old, f"the former name of {new}", type="string", default=None)
    group.addoption(
        "--network-report",
        action="append",
        metavar="FILE",
        help="write what tests reach for, permitted or not, to FILE: .json, .html, .sarif, .md or .jsonl (repeatable)",
    )
    group.addoption(
        "--network-suggest-sizes",
        nargs="?",
        const=PRINT,
        metavar="|".join(SUGGEST),
        help="refuse nothing, and print the smallest size that each test would pass with; "
        "--network-suggest-sizes=apply writes the markers into the sources; with =buildozer it prints commands that set"
        " the sizes of Bazel's targets",
    )
    group.addoption(
        "--network-suggest-sizes-force",
        action="store_true",
        help="write markers into files with uncommitted changes, too",
    )
    group.addoption(
        "--network-explain",
        action="store_true",
        help="run nothing; say what gives each selected test its size, and what holds for it (-v says more)",
    )
    group.addoption(
        "--network-baseline-update",
        action="store_true",
        help="refuse nothing, and write the violations into the file that --network-baseline names",
    )
    group.addoption(
        "--network-baseline-strict",
        action="store_true",
        help="fail the run if a violation of the baseline no longer happens",
    )
    group.addoption(
        "--network-since",
        metavar="FILE",
        help="the JSON report of the main branch that the gate 'new hosts' compares with",
    )
    group.addoption(
        "--network-fixtures-update",
        action="store_true",
        help="write the sizes that broad fixtures are held to into the file that --network-fixtures names",
    )


_FROM_1X_INI: Final = (
    "test_categories_distribution_enforcement",
    "test_categories_small_target",
    "test_categories_medium_target",
    "test_categories_large_target",
    "test_categories_tolerance",
)
_FROM_1X_VALUED: Final = (
    *(f"--{name.replace('_', '-')}" for name in _FROM_1X_INI),
    "--test-size-report-file",
    "--test-categories-suggest-output",
)
_FROM_1X_BARE: Final[dict[str, dict[str, Any]]] = {
    "--test-size-report": {"nargs": "?", "const": "basic"},
    "--test-categories-suggest": {"action": "store_const", "const": "yes"},
}


class _Note(argparse.Action):
    """Keeps the value of each of an option's names: one option with many names costs each run less than many do."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, value: object, name: str | None = None) -> None:
        """Note a value."""
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), name: value})


def add_from_1x(parser: pytest.Parser) -> None:
    """Add the names of version 1, so that a project that still uses them learns what becomes of each."""
    for name in _FROM_1X_INI:
        parser.addini(name, "A setting of version 1, without effect", type="string", default="")
    group = parser.getgroup("test categories")
    group.addoption(*_FROM_1X_VALUED, dest="test_categories_from_1x", action=_Note, help=argparse.SUPPRESS)
    for name, settings in _FROM_1X_BARE.items():
        group.addoption(name, help=argparse.SUPPRESS, **settings)


def from_1x(config: pytest.Config) -> dict[str, str]:
    """Return the options and ini keys of version 1 that a run sets, by name."""
    given = dict(getattr(config.option, "test_categories_from_1x", None) or {})
    for name in _FROM_1X_BARE:
        value = getattr(config.option, name[2:].replace("-", "_"), None)
        if value is not None:
            given[name] = str(value)
    for name in _FROM_1X_INI:
        try:
            value = config.getini(name)
        except (TypeError, pytest.UsageError):  # it is a number in a native TOML table
            value = "a number"
        if value and f"--{name.replace('_', '-')}" not in given:  # the command line overrides the file
            given[name] = value
    return given


def wants_annotations() -> bool:
    """Tell whether the run is a step of a GitHub workflow: GitHub shows annotations beside the lines of code."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def register_markers(config: pytest.Config) -> None:
    """Register our markers, for ``--strict-markers`` and ``pytest --markers``."""
    for name, text in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {text}")
    for name, text in _ENTRIES.items():
        config.addinivalue_line("markers", f"{name}(*entries): {text}")


def of(config: pytest.Config) -> Settings:
    """Return the run's settings, which are parsed only once.

    Raises:
        pytest.UsageError: A setting is not one of its choices.
    """
    settings = config.stash.get(_key, None)
    if settings is None:
        settings = config.stash[_key] = _parse(config)
    return settings


def selects_by_size(config: pytest.Config) -> bool:
    """Tell whether the sizes of tests decide which tests run; never in a project that sets none of our settings."""
    settings = of(config)
    expression = getattr(config.option, "markexpr", "") or ""
    return settings != Settings() and (settings.available != ALL or any(size in expression for size in MARKERS))


def _parse(config: pytest.Config) -> Settings:
    # While the first conftests load, only ``known_args_namespace`` holds the command line's values. If one of those
    # conftests loads the plugin, the namespace lacks our options.
    option = config.known_args_namespace
    if not hasattr(option, "network_allow"):
        option = config.option
    if (module := sys.modules.pop(HANDED, None)) is not None:  # popped: a run inside of this one has its own settings
        import json

        handed = config.stash[_handed] = json.loads(module.text)
        vars(option).update(handed["options"])
    mode, where = _given(config, option, "enforcement")
    size, size_where = _given(config, option, "default_size")
    kernel, kernel_from = _given(config, option, "network_kernel_guard")
    kernel = _checked(_one_of(KERNEL), kernel, kernel_from)
    available, available_from = _given(config, option, "network_available")
    available = _checked(_one_of(AVAILABLE), available, available_from)
    fakes = _checked(_one_of(FAKES), *_given(config, option, "network_fakes")) == ON
    unwatched = _checked(_one_of(UNWATCHED), *_given(config, option, "unwatched"))
    lists = {key.ini: _listed(config, option, key) for key in KEYS if key.many}
    baseline = lists.pop("test_categories_network_baseline")
    wanted = _wanted(config, option, baseline, off=mode.strip().lower() == OFF)
    contract = _contract(config)
    if _checked(_one_of(BAZEL), *_given(config, option, "bazel")) == OFF:
        contract = {}
    renamed = tuple(old for old in _RENAMED.values() if config.getini(old) is not None)
    if mode == OFF and available == ALL and not wanted and not size and not any(lists.values()):
        return Settings(mode_from=where, renamed=renamed)

    _forget_replaced()
    from pytest_test_categories._rules import policy

    if contract:
        from pytest_test_categories.pytest_plugin import _bazel

        target = wanted["target"] = _bazel.read(contract)
        wanted["reports"] = _bazel.relative_to_outputs(target, wanted.get("reports", ()))

    parsed = _checked(policy.EnforcementMode.parse, mode, where)
    off = policy.EnforcementMode.OFF
    if wanted.get("baseline_update"):
        parsed = policy.EnforcementMode.WARN  # every violation is listed, and none is refused
    if wanted.get("suggest"):
        parsed = off
    observing = any(wanted.get(name) for name in ("reports", "suggest", "explain"))
    markers, paths, fixtures = (_rules(lists[f"test_categories_{of}_sizes"]) for of in ("marker", "path", "fixture"))
    allow, deny = (
        [(entry, given) for given, texts in lists[key].items() for entry in _checked(parse, texts, given)]
        for key, parse in (
            ("test_categories_network_allow", policy.parse_allow),
            ("test_categories_network_deny", policy.parse_narrowing),
        )
    )
    gates = _gates(lists["test_categories_gates"])
    since = getattr(option, "network_since", None) or ""
    if since and not any(gate.name == "new hosts" for gate in gates):
        raise pytest.UsageError("--network-since needs a gate: add --test-categories-gates='new hosts = 0'")
    if parsed is off or wanted.get("explain") or wanted.get("baseline_update"):
        gates = ()  # such a run counts otherwise than one that enforces sizes
    return Settings(
        gates=gates,
        since=since,
        mode=None if parsed is off and not observing else parsed,
        default_size=_checked(policy.TestSize.parse, size, size_where) if size else None,
        marker_sizes=markers,
        path_sizes=tuple(sorted(paths, key=lambda rule: -len(rule[0]))),
        fixture_sizes=fixtures,
        mode_from=where,
        allow=tuple(entry for entry, _ in allow),
        allow_from=tuple(given for _, given in allow),
        deny=tuple(entry for entry, _ in deny),
        deny_from=tuple(given for _, given in deny),
        available=available,
        available_from=_as_written(available, available_from),
        renamed=renamed,
        kernel=kernel,
        kernel_from=_as_written(kernel, kernel_from),
        fakes=fakes,
        unwatched=unwatched,
        **wanted,
    )


def _wanted(
    config: pytest.Config, option: object, baseline: Mapping[str, tuple[str, ...]], *, off: bool
) -> dict[str, Any]:
    """Return the settings that are not about enforcement, by field: reports, suggestions, baseline and others."""
    found: dict[str, Any] = {}
    if reports := getattr(option, "network_report", None):
        from pytest_test_categories._report import files

        for path in reports:
            _checked(files.check, path, "--network-report")
        found["reports"] = tuple(dict.fromkeys(reports))
    suggest = getattr(option, "network_suggest_sizes", None)
    if suggest:
        if suggest not in SUGGEST:
            raise pytest.UsageError(
                f"--network-suggest-sizes: {suggest!r} is not one of {', '.join(SUGGEST)}; "
                f"before a path write --network-suggest-sizes={PRINT}"
            )
        if suggest == APPLY and importlib.util.find_spec("libcst") is None:
            raise pytest.UsageError(
                "--network-suggest-sizes=apply needs libcst: pip install 'pytest-test-categories[apply]'"
            )
        found["suggest"] = suggest
        found["force"] = bool(getattr(option, "network_suggest_sizes_force", False))
    if getattr(option, "network_explain", False):
        found["explain"] = True
        if other := [path for path in found.get("reports", ()) if not path.lower().endswith(".json")]:
            raise pytest.UsageError(f"--network-report: with --network-explain a .json file only, not {other[0]}")
    if found.get("suggest") and getattr(option, "network_baseline_update", False):
        raise pytest.UsageError("--network-baseline-update and --network-suggest-sizes: choose one of them")
    if not found.get("suggest"):  # suggesting sizes enforces nothing
        found |= _baseline(config, option, baseline, off=off)
        found |= _fixtures(config, option, off=off)
    return found


def _gates(given: Mapping[str, Iterable[str]]) -> tuple[Gate, ...]:
    """Return the gates; for the same counter, the command line overrides the ini file."""
    if not given:
        return ()
    from pytest_test_categories._report.gates import Gate

    return tuple(
        {
            gate.name: gate
            for where, texts in given.items()
            for gate in (_checked(Gate.parse, t, where) for t in texts)
        }.values()
    )


def _fixtures(config: pytest.Config, option: object, *, off: bool) -> dict[str, Any]:
    path, where = _file(config, option, "network_fixtures")
    update = bool(getattr(option, "network_fixtures_update", False))
    if update and not path:
        raise pytest.UsageError("--network-fixtures-update needs a file: add --network-fixtures=FILE")
    if update and off:
        raise pytest.UsageError(
            "--network-fixtures-update: in off mode no fixture is held to a size; "
            "add --test-categories-enforcement=warn or =strict"
        )
    if not path or off:
        return {}
    from pytest_test_categories._report.lists import ListError
    from pytest_test_categories._sizing.held import Held

    try:
        known = Held() if update and not os.path.exists(path) else Held.load(path)
    except ListError as error:
        raise pytest.UsageError(f"{where}: {_on_one_line(os.path.basename(path))} {error}") from None
    return {"fixtures_file": path, "fixtures": known, "fixtures_update": update}


def _file(config: pytest.Config, option: object, name: str) -> tuple[str, str]:
    """Return the path of a setting's file, or an empty text, and the source of the setting.

    On the command line it is relative to the directory in which pytest was started, otherwise to that of the ini file.
    """
    file, where = _given(config, option, name)
    return _path(config, file, where), where


def _path(config: pytest.Config, file: str, where: str) -> str:
    file = file.strip()
    if "\0" in file:
        raise pytest.UsageError(f"{where}: {file!r} is not a valid file name")
    started, ini = config.invocation_params.dir, config.inipath
    base = started if where.startswith("-") else config.rootpath if ini is None else ini.parent
    return os.path.join(str(base), file) if file else ""


def _on_one_line(file: str) -> str:
    return file if file.isprintable() else repr(file)


def _baseline(
    config: pytest.Config, option: object, given: Mapping[str, tuple[str, ...]], *, off: bool
) -> dict[str, Any]:
    paths = {path: where for where, texts in given.items() for text in texts if (path := _path(config, text, where))}
    update, strict = (bool(getattr(option, f"network_baseline_{name}", False)) for name in ("update", "strict"))
    if not paths:
        for name, wanted in (("update", update), ("strict", strict)):
            if wanted:
                raise pytest.UsageError(f"--network-baseline-{name} needs a file: add --network-baseline=FILE")
        return {}
    if off and not update:
        return {}  # nothing is enforced, so there is nothing to compare
    from pytest_test_categories._report.baseline import Baseline, BaselineError
    from pytest_test_categories._report.baselines import BaselineFiles

    if _handed in config.stash:  # on another machine the files may be missing, or older; the controller compares
        return {"baseline": Baseline.parse(config.stash[_handed]["baseline"]), "baseline_update": update}
    try:
        files = BaselineFiles(list(paths), str(config.rootpath), update=update)
    except BaselineError as error:
        raise pytest.UsageError(f"{next(iter(paths.values()))}: {error}") from None
    return {
        "baseline_files": files,
        "baseline": files.baseline,
        "baseline_update": update,
        "baseline_strict": strict,
    }


def handed_over(config: pytest.Config) -> str:
    """Return the run's settings for its workers, as JSON.

    A worker on another machine has neither the environment nor, perhaps, the ini file and the baseline.
    """
    import json

    settings, option = of(config), config.option
    bazel: dict[str, str] = {}
    if settings.target is not None:
        from pytest_test_categories.pytest_plugin._bazel import VARIABLES

        bazel = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return json.dumps(
        {
            "single": {name: _given(config, option, name) for name, key in _KEYS.items() if not key.many},
            "several": {key.ini: _listed(config, option, key) for key in KEYS if key.many},
            "options": {
                name: value for name, value in vars(option).items() if name.startswith(("network_", "test_categories_"))
            },
            "baseline": "" if settings.baseline is None else settings.baseline.text(),
            "bazel": bazel,
        }
    )


def _contract(config: pytest.Config) -> Mapping[str, str]:
    """Return the environment of the Bazel test that a run is; empty if it is none, or a run inside of one."""
    if _handed in config.stash:
        found: dict[str, str] = config.stash[_handed]["bazel"]
        return found
    if not os.environ.get("BAZEL_TEST") or _OF_BAZEL in os.environ:
        return {}
    os.environ[_OF_BAZEL] = "1"
    config.add_cleanup(functools.partial(os.environ.__delitem__, _OF_BAZEL))
    return os.environ


def _forget_replaced() -> None:
    """Delete attributes for submodules that are no longer in ``sys.modules``: pytester removes them after each run.

    Otherwise the attributes still refer to the old modules, and imports from now on would mix old and new ones.
    """
    package = sys.modules["pytest_test_categories"]
    for name, value in list(vars(package).items()):
        if isinstance(value, ModuleType) and f"{package.__name__}.{name}" not in sys.modules:
            delattr(package, name)


def _directory(path: str) -> str:
    """Return a rule's path, normalized for comparison: no slash at either end; empty for the root directory."""
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in {"", "."})


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        chosen = text.strip().lower()
        if chosen not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return chosen

    return parse


def _given(config: pytest.Config, option: object, name: str) -> tuple[str, str]:
    """Return a setting and its source: the command line, else the environment, else the ini file."""
    if _handed in config.stash:
        text, where = config.stash[_handed]["single"][name]
        return text, where
    key = _KEYS[name]
    value = getattr(option, key.field, None)
    if value is not None:
        return str(value), key.option
    if key.variable and (value := os.environ.get(key.variable)):
        return value, key.variable
    for ini in (key.ini, _RENAMED.get(key.ini)):
        if ini is not None and (value := config.getini(ini)) is not None:
            return str(value), ini
    return key.default, ""


def _listed(config: pytest.Config, option: object, key: Key) -> dict[str, tuple[str, ...]]:
    """Return a setting's values by their source: the ini file, the environment and the command line."""
    if _handed in config.stash:
        return {where: tuple(texts) for where, texts in config.stash[_handed]["several"][key.ini].items()}
    found = {key.ini: tuple(_lines(config, key))}
    if key.variable and (value := os.environ.get(key.variable)):
        found[key.variable] = tuple(text for text in value.replace(",", "\n").splitlines() if text.strip())
    # Without duplicates: pytest 8 parses the command line twice, into the same list.
    found[key.option] = tuple(dict.fromkeys(getattr(option, key.field, None) or ()))
    found = {where: texts for where, texts in found.items() if texts}
    return dict(list(found.items())[-1:]) if key.beats else found


def _lines(config: pytest.Config, key: Key) -> Iterable[str]:
    """Return a setting's lines in the ini file; the rules of a TOML table in the form that a list has."""
    try:
        lines: list[str] = config.getini(key.ini)
    except (TypeError, pytest.UsageError):  # which of the two depends on the pytest version
        from pytest_test_categories.pytest_plugin import _private

        value = _private.toml_value(config, key.ini)
        if isinstance(value, dict) and key.metavar.endswith("=SIZE"):
            return [f"{name} = {size}" for name, size in value.items()]
        if isinstance(value, str) and key.beats:  # one file needs no list
            return [value]
        raise
    return lines


def _as_written(value: str, where: str) -> str:
    """Return a setting in the syntax of its source: ``key = value`` for an ini file, else ``name=value``."""
    return f"{where} = {value}" if where.islower() and not where.startswith("-") else f"{where}={value}"


def _checked(parse: Callable[..., _T], value: object, where: str) -> _T:
    try:
        return parse(value)
    except ValueError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def _rules(given: Mapping[str, Iterable[str]]) -> tuple[tuple[str, TestSize], ...]:
    """Return the rules of a setting; for the same name, the command line overrides the ini file.

    Raises:
        pytest.UsageError: A rule contradicts another rule of the same source, or redefines a size marker.
    """
    found: dict[str, TestSize] = {}
    for where, lines in given.items():
        known: dict[str, str] = {name: name for name in MARKERS} if "marker" in where else {}
        for name, size in (_rule(where, line) for line in lines):
            called = _directory(name) if "path" in where else name
            if (other := known.setdefault(called, size.value)) != size.value:
                why = f"@pytest.mark.{name} is the marker of that size" if name in MARKERS else f"it is {other}, too"
                raise pytest.UsageError(
                    f"{where}: '{name} = {size.value}' can't be: {why}; choose another name, or one size"
                )
            found[called] = size
    return tuple(found.items())


def _rule(where: str, line: str) -> tuple[str, TestSize]:
    from pytest_test_categories._rules.policy import TestSize

    name, equals, size = line.rpartition("=")
    if not equals or not name.strip():
        raise pytest.UsageError(f"{where}: {line!r} is not a rule; write NAME = SIZE, such as 'unit = small'")
    if "\0" in name:
        raise pytest.UsageError(f"{where}: {line!r} has a NUL in it, and no name has one")
    return name.strip(), _checked(TestSize.parse, size.strip(), where)


_WATCHES_CHILDREN: Final = sys.implementation.name == "cpython"
"""Whether the layers start in child processes, too: on PyPy child processes are counted, but not watched."""


def header(settings: Settings, kernel: str = "", *, verbose: bool = False) -> str:
    """Return the header line: the mode, and what is watched and what is not.

    Args:
        settings: The settings of the run.
        kernel: The name to show for the kernel layer; empty if it is not in force.
        verbose: Whether to name every layer and what the layers miss.
    """
    if settings.mode is None:
        return "test categories: enforcement off"
    what = f"enforcement {settings.mode.value}"
    if settings.baseline_update:
        what = "nothing is refused, the baseline is updated"
    elif settings.observing:
        what += ", all attempts are noted"
    if not verbose:
        watched = f"Python, {kernel}" if kernel else "Python (-v: what they miss)"
        return f"test categories: {what}; network layers: {watched}"
    other = "other " if _WATCHES_CHILDREN else ""
    return f"test categories: {what}; network layers: {', '.join(layers(kernel))}" + (
        "" if kernel else f"; not watched: native clients that are not on the list, {other}child processes"
    )


def notes(config: pytest.Config) -> list[str]:
    """Return further header lines: the former names that are in use and, with ``-v``, where the mode is set."""
    settings = of(config)
    lines = [
        f"test categories: {old} in the ini file is now called {new}"
        for new, old in _RENAMED.items()
        if old in settings.renamed
    ]
    if getattr(config.option, "verbose", 0) > 0:
        where = settings.mode_from
        in_file = f" in {config.inipath.name}" if where.islower() and where[0] != "-" and config.inipath else ""
        lines.append(f"test categories: the enforcement mode is {f'from {where}{in_file}' if where else 'the default'}")
    return lines


def layers(kernel: str = "") -> tuple[str, ...]:
    """Return the names of the layers in force."""
    children = ("Python child processes",) if _WATCHES_CHILDREN else ()
    return ("socket wrappers", "audit hook", *children, *([kernel] if kernel else ()))
