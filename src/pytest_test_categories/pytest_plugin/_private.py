"""The private names of pytest and pluggy that the plugin uses; no other file uses any.

Each function says what is lost with a pytest that lacks the name; then ``tests/unit/test_private.py`` fails.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.stack import is_project_file
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Self

    import pytest

CALLS_HOOKS: Final = "_multicall"
"""pluggy's function that calls the implementations of a hook. For what is lost without it, see ``hook_of``."""

_NOTHING: Final[Mapping[str, Sequence[Any]]] = {}
_FIXTURES: Final = operator.attrgetter("_fixtureinfo.name2fixturedefs")


class _Applies:
    """Tells for each name in an expression whether it applies to one test."""

    def __init__(
        self, item: pytest.Item, holds: Callable[[pytest.Item, str], bool | None], own: Callable[..., bool]
    ) -> None:
        self._item = item
        self._holds = holds
        self._own = own

    def __call__(self, name: str, /, **arguments: str | int | bool | None) -> bool:
        found = None if arguments else self._holds(self._item, name)
        return self._own(name, **arguments) if found is None else found


@contextlib.contextmanager
def deselecting_by(ours: pytest.Config, holds: Callable[[pytest.Item, str], bool | None]) -> Iterator[None]:
    """Within the block, let ``holds`` decide whether a name in the expression of ``-m`` applies to a test.

    If it returns None, pytest's own rule applies, which looks at markers. pytest still parses the expression, rejects
    an invalid one, and deselects in its usual place among the hooks. Without these names ``-m`` selects by markers
    alone.

    Args:
        ours: The session's config: the expression of a session inside of this one is left alone.
        holds: Called with a test and a name.
    """
    try:
        from _pytest import mark
        from _pytest.mark.expression import Expression

        by_mark, own_markers = mark.deselect_by_mark, mark.MarkMatcher.from_markers
    except (ImportError, AttributeError):
        yield
        return

    def deselect(items: list[pytest.Item], config: pytest.Config) -> None:
        if config is not ours or not config.option.markexpr:
            by_mark(items, config)
            return
        by_mark([], config)  # raises if the expression is invalid
        expression = Expression.compile(config.option.markexpr)
        chosen: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            applies = _Applies(item, holds, own_markers(item.iter_markers()))
            (chosen if expression.evaluate(applies) else others).append(item)
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = chosen

    mark.deselect_by_mark = deselect
    try:
        yield
    finally:
        if mark.deselect_by_mark is deselect:
            mark.deselect_by_mark = by_mark


def toml_value(config: pytest.Config, name: str) -> object:
    """Return a key's value in the TOML file: a table or a text that ``getini`` does not accept; None without a file.

    Without it such a value is an error, with pytest's message.
    """
    value: object = getattr(getattr(config, "_inicfg", {}).get(name), "value", None)
    return value


def fixtures_of(item: pytest.Item) -> Mapping[str, Sequence[Any]]:
    """Return the fixture definitions of a test by name, overridden ones first.

    Without them a broad fixture is held to the test that sets it up, and pytest sets up ``network_isolation`` as usual.
    """
    info: Any = getattr(item, "_fixtureinfo", None)
    return _NOTHING if info is None else getattr(info, "name2fixturedefs", _NOTHING)


def fixtures_of_each(items: list[pytest.Item]) -> list[Mapping[str, Sequence[Any]]]:
    """Return ``fixtures_of`` each item, without a call for each."""
    try:
        return list(map(_FIXTURES, items))
    except AttributeError:  # one of them has none
        return list(map(fixtures_of, items))


def names_of(item: pytest.Item) -> tuple[Iterable[str], Iterable[str]]:
    """Return the names of the fixtures that a test uses directly, and those of them that are its arguments.

    Without them an autouse fixture that a test also requests by name is held to the largest size, like others.
    """
    info: Any = getattr(item, "_fixtureinfo", None)
    return getattr(info, "initialnames", ()), getattr(info, "argnames", ())


def is_autouse(definition: Any) -> bool:
    """Tell whether a fixture is autouse. Without it, such a fixture is held to the smallest size of all tests."""
    return bool(getattr(definition, "_autouse", False))


def home_of(definition: Any) -> str:
    """Return the directory or file that defines a session or package fixture; empty for others and in the root.

    Without it two such fixtures of the same name count as one in the baseline and in suggested sizes.
    """
    return place_of(definition) if getattr(definition, "scope", "") in {"session", "package"} else ""


def place_of(definition: Any) -> str:
    """Return the directory, file or class that defines a fixture; empty for the root directory and for plugins.

    Without it two fixtures of the same name and scope count as one in the file of ``--network-fixtures``.
    """
    node = getattr(definition, "node", None)  # since pytest 9.1; ``baseid`` is deprecated there
    home = str(getattr(definition, "baseid", "") or "" if node is None else node.nodeid)
    return "" if home == "." else home


def is_defined(session: pytest.Session, name: str) -> bool:
    """Tell whether any loaded file defines a fixture. Without it, no fixture is reported as unknown."""
    try:
        # None if no file defines the name; an empty list if the definitions are not visible to this node.
        return session._fixturemanager.getfixturedefs(name, session) is not None
    except AttributeError:
        return True


def own_definitions(session: pytest.Session) -> list[Any]:
    """Return the fixture definitions of the project's own files; those of plugins count only if tests name them.

    Without it, a broad fixture that tests only request dynamically is torn down under the guard of the last test.
    """
    manager = getattr(session, "_fixturemanager", None)
    by_node = getattr(manager, "_arg2node2fixturedefs", None)  # since pytest 9.1
    found = getattr(manager, "_arg2fixturedefs", {}).values() if by_node is None else by_node.values()
    root = str(session.config.rootpath)
    return [
        one
        for definitions in found
        for one in (definitions if by_node is None else itertools.chain(*definitions.values()))
        if (file := getattr(getattr(one.func, "__code__", None), "co_filename", "")).startswith(root)
        and "site-packages" not in file
    ]


def values_to_fill(item: pytest.Item, name: str) -> dict[str, Any] | None:
    """Return where to store a fixture's value so that pytest doesn't set it up; None if a project overrides it.

    Without it pytest sets the fixture up as usual, which costs time.
    """
    values: dict[str, Any] | None = getattr(item, "funcargs", None)
    info: Any = getattr(item, "_fixtureinfo", None)  # other kinds of items may have only one of the two
    return values if values is not None and info and len(info.name2fixturedefs.get(name, ())) == 1 else None


def item_of(request: Any) -> pytest.Item:
    """Return the test that a fixture of any scope is set up for."""
    item: pytest.Item = request._pyfuncitem
    return item


def keep_error(definition: Any, error: BaseException) -> bool:
    """Make pytest raise an error for every test that requests a fixture, not only the first; False if it can't.

    Without it ``Phases`` raises the error for the other tests at the end of their set-up. pytest is about to keep the
    results of fixtures in another place (pytest-dev/pytest#14770).
    """
    cached = getattr(definition, "cached_result", None)
    if cached is None:
        return False
    definition.cached_result = (None, cached[1], (error, error.__traceback__))
    return True


def parameter_marks(item: Any) -> Sequence[Any]:
    """Return the markers of a test's parameter set. Without them they count as the function's markers."""
    return getattr(getattr(item, "callspec", None), "marks", ())


def parameter_indices(item: Any) -> Mapping[str, int] | None:
    """Return the index of each parameter of a test. Without it, all parameters of a fixture are held to one size."""
    return getattr(getattr(item, "callspec", None), "indices", None)


def caught_by_unittest(item: pytest.Item) -> list[BaseException]:
    """Return the errors that unittest has reported for a test. Without them they are reported twice."""
    return [info.value for info in getattr(item, "_excinfo", None) or ()]


def gives_up(report: pytest.TestReport) -> bool:
    """Tell whether a test called ``pytest.xfail()``. Without it, such a test counts as run to its end."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", "")).startswith("_pytest.outcomes.XFailed")


def add_to_junit(config: pytest.Config, name: str, value: str) -> None:
    """Add a property of the suite to JUnit XML. Without it, violations that belong to no test are not in the file."""
    try:
        from _pytest.junitxml import xml_key

        xml = config.stash.get(xml_key, None)
        if xml is not None:
            xml.add_global_property(name, value)
    except (ImportError, AttributeError):
        return


def deselects_by_option() -> bool:
    """Tell whether pytest or this plugin calls a hook, two frames up, and no plugin that leaves tests to other shards.

    Without it, what ``-k`` and ``-m`` leave out counts as lost where recordings are combined.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "pluggy":
        frame = frame.f_back
    name = "" if frame is None else frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in {"_pytest", "pytest_test_categories"}


def hook_of(multicall: FrameType) -> str:
    """Return the hook that a frame of pluggy's ``_multicall`` is calling; empty if it is unknown.

    Without it the traffic of reporters is charged to the running test.
    """
    hook: str = multicall.f_locals.get("hook_name", "")
    return hook


def set_crash(report: pytest.TestReport, message: str, path: str = "", line: int = 0) -> None:
    """Set a failed test's line in the short summary. Without it, the class name of our error fills the line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = message
        if path:
            crash.path, crash.lineno = path, line


class Folding:
    """Hides frames of libraries in the traceback of a refusal, while pytest makes a report.

    Not with ``-vv`` or ``--full-trace``, and not in native tracebacks, which the exception itself prints.

    Args:
        item: The test: pytest calls its ``_traceback_filter``. If it has none, all frames are shown.
        chain: The exceptions that pytest shows, the failure first, then its cause and so on.
    """

    def __init__(self, item: pytest.Item, chain: Sequence[BaseException]) -> None:
        self._item: Any = item
        self._chain = chain
        self._texts: dict[int, str] = {}

    def __enter__(self) -> Self:
        """Begin to hide frames."""
        option = self._item.config.option
        self._filter = getattr(self._item, "_traceback_filter", None)
        # Both are options of the terminal reporter, which a run may do without.
        verbose, style = getattr(option, "verbose", 0), getattr(option, "tbstyle", "auto")
        # pytest prints groups as Python does.
        grouped = any(isinstance(error, BaseExceptionGroup) for error in self._chain)
        if self._filter is not None and verbose < _ALL_FRAMES and style != "native" and not grouped:
            self._item._traceback_filter = self._folded
        return self

    def __exit__(self, *_: object) -> None:
        """Show all frames again."""
        vars(self._item).pop("_traceback_filter", None)

    def _folded(self, info: pytest.ExceptionInfo[BaseException]) -> Any:
        assert self._filter is not None
        whole = self._filter(info)
        test_file = str(self._item.path)
        own, names = [], []
        for entry in whole:
            file = entry.frame.code.raw.co_filename
            if file == test_file or is_project_file(file):
                own.append(entry)
            else:
                names.append(str(entry.frame.f_globals.get("__name__") or "").partition(".")[0])
        names = [name for name in names if name not in _WRAPPING]
        # The traceback of a cause begins where the library caught it, so it may have no line of the project.
        if not names or (not own and info.value is self._chain[0]):
            return whole
        distinct = list(dict.fromkeys(names))
        shown = " and ".join([", ".join(distinct[:-1]), distinct[-1]]) if len(distinct) > 1 else distinct[0]
        them = "them" if len(names) > 1 else "it"
        self._texts[id(info.value)] = f"{counted(len(names), 'frame')} in {shown} (-vv shows {them})"
        return type(whole)(own)

    def tell(self, report: pytest.TestReport) -> None:
        """Add to each traceback of the report how many frames are hidden, and how to see them."""
        described = reversed(getattr(report.longrepr, "chain", ()))
        for error, (traceback, *_) in zip(self._chain, described, strict=False):
            if text := self._texts.get(id(error)):
                traceback.extraline = text


_ALL_FRAMES: Final = 2
_WRAPPING: Final = frozenset({"pytest_test_categories", "wrapt", ""})
