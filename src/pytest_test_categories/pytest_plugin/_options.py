"""Options: ini keys, command line, and the one frozen object they become."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_test_categories._report.baseline import Baseline
    from pytest_test_categories._rules.address import AllowEntry
    from pytest_test_categories._rules.policy import EnforcementMode, TestSize

_T = TypeVar("_T")

OFF: Final = "off"
KERNEL: Final = (OFF, "auto", "require")
COUNT: Final = "count"
ERROR: Final = "error"
UNWATCHED: Final = (COUNT, ERROR)
PRINT: Final = "print"
APPLY: Final = "apply"
SUGGEST: Final = (PRINT, APPLY)

MARKERS: Final = {
    "small": "a test that touches no network (pytest-test-categories)",
    "medium": "a test that touches this machine only (pytest-test-categories)",
    "large": "a test that touches any network (pytest-test-categories)",
    "xlarge": "a test that touches any network, and takes its time (pytest-test-categories)",
}
_SIZED: Final = ("marker", "path", "fixture")
ALLOW_MARKER: Final = "network_allow"
ONLY_MARKER: Final = "network_only"
_ENTRIES: Final = {
    ALLOW_MARKER: "what a test may reach beyond its size, such as '127.0.0.1:8126' (pytest-test-categories)",
    ONLY_MARKER: "all that a test may reach of what its size permits, such as 'db:5432' (pytest-test-categories)",
}

_INI: Final[tuple[tuple[str, str, str, object], ...]] = (
    ("test_categories_enforcement", "string", "What a violation does: strict, warn or off (default)", OFF),
    ("test_categories_default_size", "string", "Size of tests that have none: small, medium, large, xlarge", ""),
    ("test_categories_marker_sizes", "linelist", "Markers that stand for a size, such as: unit = small", []),
    ("test_categories_path_sizes", "linelist", "Sizes by directory, such as: tests/unit = small", []),
    ("test_categories_fixture_sizes", "linelist", "Sizes of fixtures, such as: docker_services = medium", []),
    ("test_categories_network_allow", "linelist", "What widens a size, such as: postgres:5432", []),
    ("test_categories_network_deny", "linelist", "What no test may reach, such as: api.example.com", []),
    ("test_categories_kernel_guard", "string", "The Linux kernel layer: off (default), auto or require", OFF),
    ("test_categories_unwatched", "string", "Programs that no layer watches: count (default) or error", COUNT),
    ("test_categories_network_baseline", "string", "File of known violations, which warn while new ones fail", ""),
)


class Settings(NamedTuple):
    """What the project and the command line ask for, parsed.

    Attributes:
        mode: Strict, warn or off; None for off, so that off mode needs no import.
        default_size: Size of tests that have none.
        marker_sizes: Size for each marker that stands for one, ours included.
        path_sizes: ``(path relative to the root directory, size)``, the longest path first.
        fixture_sizes: Declared sizes of fixtures.
        allow: Entries that widen a size.
        deny: Entries that neither a size nor such an entry lifts.
        kernel: Whether the Linux kernel layer is wanted: one of ``KERNEL``.
        unwatched: What a program is that no layer watches: one of ``UNWATCHED``.
        reports: Files to write reports into.
        suggest: What to do with the sizes that would do: ``print``, ``apply`` or nothing.
        force: Whether to write markers into files with uncommitted changes, too.
        explain: Whether to explain each test's size instead of running it.
        baseline_file: Path of the baseline, empty if there is none.
        baseline: What it holds.
        baseline_update: Whether to write it anew.
        baseline_strict: Whether an entry that no longer happens fails the run.
    """

    mode: EnforcementMode | None = None
    default_size: TestSize | None = None
    marker_sizes: tuple[tuple[str, TestSize], ...] = ()
    path_sizes: tuple[tuple[str, TestSize], ...] = ()
    fixture_sizes: tuple[tuple[str, TestSize], ...] = ()
    allow: tuple[AllowEntry, ...] = ()
    deny: tuple[AllowEntry, ...] = ()
    kernel: str = OFF
    unwatched: str = COUNT
    reports: tuple[str, ...] = ()
    suggest: str = ""
    force: bool = False
    explain: bool = False
    baseline_file: str = ""
    baseline: Baseline | None = None
    baseline_update: bool = False
    baseline_strict: bool = False

    @property
    def active(self) -> bool:
        """Whether anything is watched: in off mode too, where a report asks for it."""
        return self.mode is not None

    @property
    def observing(self) -> bool:
        """Whether somebody wants to know of permitted attempts, too."""
        return bool(self.reports or self.suggest) and not self.explain


_key: Final = pytest.StashKey[Settings]()


def add(parser: pytest.Parser) -> None:
    """Add ini keys and options to pytest's parser."""
    for name, kind, text, default in _INI:
        parser.addini(name, text, type=kind, default=default)  # type: ignore[arg-type]  # the literals above
    group = parser.getgroup("test categories")
    group.addoption(
        "--test-categories-enforcement",
        metavar="MODE",
        help="what a violation does: strict, warn or off; beats the ini file",
    )
    group.addoption(
        "--test-categories-default-size",
        metavar="SIZE",
        help="size of tests that have none: small, medium, large, xlarge; beats the ini file",
    )
    group.addoption(
        "--network-allow",
        action="append",
        metavar="ENTRY",
        help="widen a size by an entry such as postgres:5432 (repeatable; adds to the ini file's)",
    )
    group.addoption(
        "--network-deny",
        action="append",
        metavar="ENTRY",
        help="deny an entry such as api.example.com to tests of every size (repeatable; adds to the ini file's)",
    )
    group.addoption(
        "--network-kernel-guard",
        metavar="WANTED",
        help="the Linux kernel layer, for native code and child processes: off, auto or require; beats the ini file",
    )
    group.addoption(
        "--network-unwatched",
        metavar="count|error",
        help="count programs that no layer watches, or make each a violation of the test that started it; "
        "beats the ini file",
    )
    group.addoption(
        "--network-report",
        action="append",
        metavar="FILE",
        help="write what the tests reach for, permitted or not, into FILE: .json, .html, .sarif or .md (repeatable)",
    )
    group.addoption(
        "--network-suggest-sizes",
        nargs="?",
        const=PRINT,
        metavar="HOW",
        help="refuse nothing, and print the smallest size that each test would pass with; "
        "--network-suggest-sizes=apply writes the markers into the sources",
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
        help="refuse nothing, and write the violations into the file that test_categories_network_baseline names",
    )
    group.addoption(
        "--network-baseline-strict",
        action="store_true",
        help="fail the run if a violation of the baseline no longer happens",
    )


def wants_annotations() -> bool:
    """Tell whether the run is a step of a GitHub workflow, which shows annotations on the lines they name."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def register_markers(config: pytest.Config) -> None:
    """Make the size markers known, for ``--strict-markers`` and ``pytest --markers``."""
    for name, text in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {text}")
    for name, text in _ENTRIES.items():
        config.addinivalue_line("markers", f"{name}(*entries): {text}")


def of(config: pytest.Config) -> Settings:
    """Return the run's settings; parsed once.

    Raises:
        pytest.UsageError: A setting is not one of its choices.
    """
    settings = config.stash.get(_key, None)
    if settings is None:
        settings = config.stash[_key] = _parse(config)
    return settings


def _parse(config: pytest.Config) -> Settings:
    # While the first conftests load, only this holds what the command line says. Where one of them loads the plugin,
    # it does not know our options.
    option = config.known_args_namespace
    if not hasattr(option, "network_allow"):
        option = config.option
    mode, where = _given(config, option, "enforcement")
    size, size_where = _given(config, option, "default_size")
    kernel = _checked(_one_of(KERNEL), *_given(config, option, "kernel_guard", prefix="network"))
    unwatched = _checked(_one_of(UNWATCHED), *_given(config, option, "unwatched", prefix="network"))
    lists = {f"test_categories_{name}_sizes": config.getini(f"test_categories_{name}_sizes") for name in _SIZED}
    entries = {name: config.getini(f"test_categories_network_{name}") for name in ("allow", "deny")}
    given = {name: getattr(option, f"network_{name}", None) or () for name in entries}
    wanted = _wanted(config, option, off=mode.strip().lower() == OFF)
    if mode == OFF and not wanted and not size and not any((*lists.values(), *entries.values(), *given.values())):
        return Settings()

    _forget_replaced()
    from pytest_test_categories._rules import policy

    parsed = _checked(policy.EnforcementMode.parse, mode, where)
    off = policy.EnforcementMode.OFF
    if wanted.get("baseline_update"):
        parsed = policy.EnforcementMode.WARN  # whatever happens is listed, and nothing is stopped
    if wanted.get("suggest"):
        parsed = off
    observing = any(wanted.get(name) for name in ("reports", "suggest", "explain"))
    markers, paths, fixtures = (_rules(name, lines) for name, lines in lists.items())
    return Settings(
        mode=None if parsed is off and not observing else parsed,
        default_size=_checked(policy.TestSize.parse, size, size_where) if size else None,
        marker_sizes=(*((member.value, member) for member in policy.TestSize), *markers),
        path_sizes=tuple(sorted(((_directory(path), size) for path, size in paths), key=lambda rule: -len(rule[0]))),
        fixture_sizes=fixtures,
        allow=_both(policy.parse_allow, "allow", entries, given),
        deny=_both(policy.parse_narrowing, "deny", entries, given),
        kernel=kernel,
        unwatched=unwatched,
        **wanted,
    )


def _both(
    parse: Callable[..., tuple[_T, ...]],
    name: str,
    entries: Mapping[str, Iterable[str]],
    given: Mapping[str, Iterable[str]],
) -> tuple[_T, ...]:
    """Return the entries of the ini file and those of the command line."""
    return (
        *_checked(parse, tuple(entries[name]), f"test_categories_network_{name}"),
        # Once each: pytest 8 reads the command line twice, into the same list.
        *_checked(parse, tuple(dict.fromkeys(given[name])), f"--network-{name}"),
    )


def _wanted(config: pytest.Config, option: object, *, off: bool) -> dict[str, Any]:
    """Return what is asked for beside enforcement, by the names of the settings; empty if nothing is."""
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
    if not found.get("suggest"):  # such a run enforces nothing
        found |= _baseline(config, option, off=off)
    return found


def _baseline(config: pytest.Config, option: object, *, off: bool) -> dict[str, Any]:
    file = str(config.getini("test_categories_network_baseline")).strip()
    if "\0" in file:
        raise pytest.UsageError(f"test_categories_network_baseline: {file!r} can be no file's name")
    update, strict = (bool(getattr(option, f"network_baseline_{name}", False)) for name in ("update", "strict"))
    if not file:
        for name, given in (("update", update), ("strict", strict)):
            if given:
                raise pytest.UsageError(
                    f"--network-baseline-{name} wants a file: set test_categories_network_baseline in the ini file"
                )
        return {}
    if off and not update:
        return {}  # nothing is enforced: nothing is known of it either
    from pytest_test_categories._report.baseline import Baseline, BaselineError

    path = os.path.join(str(config.rootpath if config.inipath is None else config.inipath.parent), file)
    if update and not os.path.exists(path):
        known = Baseline()
    else:
        try:
            known = Baseline.load(path)
        except BaselineError as error:
            named = file if file.isprintable() else repr(file)  # one line, whatever it holds
            raise pytest.UsageError(f"test_categories_network_baseline: {named} {error}") from None
    return {
        "baseline_file": path,
        "baseline": known,
        "baseline_update": update,
        "baseline_strict": strict,
    }


def _forget_replaced() -> None:
    """Forget modules of ours that somebody has taken out of ``sys.modules``: pytester does, after each run inside.

    The package's attributes would go on naming them, and half of what is imported now would be theirs.
    """
    package = sys.modules["pytest_test_categories"]
    for name, value in list(vars(package).items()):
        if isinstance(value, ModuleType) and f"{package.__name__}.{name}" not in sys.modules:
            delattr(package, name)


def _directory(path: str) -> str:
    """Return a rule's path as it is compared: without leading and trailing slashes, empty for the root directory."""
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in {"", "."})


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def chosen(text: str) -> str:
        found = text.strip().lower()
        if found not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return found

    return chosen


def _given(config: pytest.Config, option: object, name: str, *, prefix: str = "test_categories") -> tuple[str, str]:
    """Return a setting and the name that it was given under: the command line beats the ini file."""
    value = getattr(option, f"{prefix}_{name}", None)
    if value is not None:
        return str(value), f"--{prefix}-{name}".replace("_", "-")
    return str(config.getini(f"test_categories_{name}")), f"test_categories_{name}"


def _checked(parse: Callable[..., _T], value: object, where: str) -> _T:
    try:
        return parse(value)
    except ValueError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def _rules(where: str, lines: Iterable[str]) -> tuple[tuple[str, TestSize], ...]:
    """Return the rules of a setting; refuse those that contradict another, or the name of a size."""
    found = tuple(_rule(where, line) for line in lines)
    known: dict[str, str] = {name: name for name in MARKERS} if where.endswith("marker_sizes") else {}
    for name, size in found:
        given = known.setdefault(_directory(name) if where.endswith("path_sizes") else name, size.value)
        if given != size.value:
            why = f"@pytest.mark.{name} is the marker of that size" if name in MARKERS else f"it is {given}, too"
            raise pytest.UsageError(
                f"{where}: '{name} = {size.value}' can't be: {why}; choose another name, or one size"
            )
    return found


def _rule(where: str, line: str) -> tuple[str, TestSize]:
    from pytest_test_categories._rules.policy import TestSize

    name, equals, size = line.partition("=")
    if not equals or not name.strip():
        raise pytest.UsageError(f"{where}: {line!r} is not a rule; write NAME = SIZE, such as 'unit = small'")
    if "\0" in name:
        raise pytest.UsageError(f"{where}: {line!r} has a NUL in it, and no name has one")
    return name.strip(), _checked(TestSize.parse, size.strip(), where)


_WATCHES_CHILDREN: Final = sys.implementation.name == "cpython"
"""Whether the layer begins in child processes: PyPy's are started and counted, but not watched."""


def header(settings: Settings, kernel: str = "") -> str:
    """Return the header line: the mode, and what is watched and what is not.

    Args:
        settings: The run's.
        kernel: The kernel layer, if it is in force, as it is to be named.
    """
    if settings.mode is None:
        return "test categories: enforcement off"
    what = f"enforcement {settings.mode.value}"
    if settings.baseline_update:
        what = "nothing is refused, the baseline is updated"
    elif settings.observing:
        what += ", all attempts are noted"
    other = "other " if _WATCHES_CHILDREN else ""
    return f"test categories: {what}; network layers: {', '.join(layers(kernel))}" + (
        "" if kernel else f"; not watched: native clients that are not on the list, {other}child processes"
    )


def layers(kernel: str = "") -> tuple[str, ...]:
    """Return the names of the layers in force."""
    children = ("Python child processes",) if _WATCHES_CHILDREN else ()
    return ("socket wrappers", "audit hook", *children, *([kernel] if kernel else ()))
