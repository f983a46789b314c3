"""pytest's private names, and pluggy's: they are read in this file and in no other.

Each function says what is lost where another pytest has the name no more; ``tests/unit/test_private.py`` fails then.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.stack import is_project_file
from pytest_test_categories._rules.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Self

    import pytest

CALLS_HOOKS: Final = "_multicall"
"""The function of pluggy's that calls a hook's implementations. Without it, see ``hook_of``."""

_NOTHING: Final[Mapping[str, Sequence[Any]]] = {}


class _Applies:
    """Says of each name in an expression whether it applies to one test."""

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
    """Within the block, let ``holds`` say whether a name in the expression of ``-m`` applies to a test.

    Where it returns None, pytest's own rule holds, by markers. pytest goes on to parse the expression, to refuse what
    is none, and to deselect when its turn is among the hooks. Without these names ``-m`` selects by markers alone.

    Args:
        ours: The session's: the expression of another session, inside of it, is left alone.
        holds: Is asked for a test and a name.
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
        by_mark([], config)  # raises what is to be said of the expression
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


def toml_table(config: pytest.Config, name: str) -> Mapping[str, Any] | None:
    """Return the table that a key of pytest's own table in a TOML file holds, if it is one: ``getini`` takes none.

    Without it such a table is an error, in pytest's words.
    """
    value = getattr(getattr(config, "_inicfg", {}).get(name), "value", None)
    return value if isinstance(value, dict) else None


def fixtures_of(item: pytest.Item) -> Mapping[str, Sequence[Any]]:
    """Return the fixture definitions of a test by name, those that are overridden first.

    Without them broad fixtures are held to the tests that set them up, and ``network_isolation`` is set up as others.
    """
    info: Any = getattr(item, "_fixtureinfo", None)
    return _NOTHING if info is None else getattr(info, "name2fixturedefs", _NOTHING)


def names_of(item: pytest.Item) -> tuple[Iterable[str], Iterable[str]]:
    """Return the names of the fixtures that a test has by itself, and those of its arguments among them.

    Without them an autouse fixture that a test also asks for by name is held to the largest size, like others.
    """
    info: Any = getattr(item, "_fixtureinfo", None)
    return getattr(info, "initialnames", ()), getattr(info, "argnames", ())


def is_autouse(definition: Any) -> bool:
    """Tell whether every test gets a fixture: without it, it is held to the smallest size of them all."""
    return bool(getattr(definition, "_autouse", False))


def home_of(definition: Any) -> str:
    """Return the directory or file that defines a fixture of a session or package; else, and at the top, nothing.

    Without it two such fixtures of one name are taken for one in the baseline and in suggested sizes.
    """
    if getattr(definition, "scope", "") not in {"session", "package"}:
        return ""
    node = getattr(definition, "node", None)  # from pytest 9.1 on; what was there before is deprecated
    home = str(getattr(definition, "baseid", "") or "" if node is None else node.nodeid)
    return "" if home == "." else home


def is_defined(session: pytest.Session, name: str) -> bool:
    """Tell whether any loaded file defines a fixture: without it, none is called unknown."""
    try:
        # None for a name that no file has; what this node can't see is an empty list.
        return session._fixturemanager.getfixturedefs(name, session) is not None
    except AttributeError:
        return True


def own_definitions(session: pytest.Session) -> list[Any]:
    """Return the fixture definitions of the project's own files: of what plugins bring only what tests name counts.

    Without it, a broad fixture that tests ask for dynamically alone is torn down by whatever test is the last.
    """
    manager = getattr(session, "_fixturemanager", None)
    by_node = getattr(manager, "_arg2node2fixturedefs", None)  # from pytest 9.1 on
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
    """Return where to put a fixture's value so that it needn't be set up; None if a project has one of its own.

    Without it the fixture is set up as others, at the cost of others.
    """
    values: dict[str, Any] | None = getattr(item, "funcargs", None)
    info: Any = getattr(item, "_fixtureinfo", None)  # an item of another kind may have one of the two alone
    return values if values is not None and info and len(info.name2fixturedefs.get(name, ())) == 1 else None


def item_of(request: Any) -> pytest.Item:
    """Return the test that a fixture of whatever scope is set up for."""
    item: pytest.Item = request._pyfuncitem
    return item


def keep_error(definition: Any, error: BaseException) -> bool:
    """Have pytest tell every test that asks for a fixture, not only the first; False if that can't be done.

    Without it the others are told by ``Phases`` once they are set up. pytest is about to keep what
    fixtures return in another place (pytest-dev/pytest#14770).
    """
    cached = getattr(definition, "cached_result", None)
    if cached is None:
        return False
    definition.cached_result = (None, cached[1], (error, error.__traceback__))
    return True


def parameter_marks(item: Any) -> Sequence[Any]:
    """Return the markers of a test's parameter set: without them they count as the function's."""
    return getattr(getattr(item, "callspec", None), "marks", ())


def parameter_indices(item: Any) -> Mapping[str, int] | None:
    """Return which of its parameters a test has: without it, a fixture's are held to one size."""
    return getattr(getattr(item, "callspec", None), "indices", None)


def caught_by_unittest(item: pytest.Item) -> list[BaseException]:
    """Return the errors that unittest has reported of a test: without them they are told twice."""
    return [info.value for info in getattr(item, "_excinfo", None) or ()]


def gives_up(report: pytest.TestReport) -> bool:
    """Tell whether a test called ``pytest.xfail()``: without it, what it did not get to counts as over."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", "")).startswith("_pytest.outcomes.XFailed")


def add_to_junit(config: pytest.Config, name: str, value: str) -> None:
    """Add a property of the suite to JUnit XML: without it, violations that belong to no test are not in it."""
    try:
        from _pytest.junitxml import xml_key

        xml = config.stash.get(xml_key, None)
        if xml is not None:
            xml.add_global_property(name, value)
    except (ImportError, AttributeError):
        return


def hook_of(multicall: FrameType) -> str:
    """Return the hook whose functions a frame of pluggy's ``_multicall`` calls; empty if it doesn't say.

    Without it the traffic of reporters is the running test's.
    """
    hook: str = multicall.f_locals.get("hook_name", "")
    return hook


def set_crash(report: pytest.TestReport, message: str, path: str = "", line: int = 0) -> None:
    """Set what the short summary says of a failed test: without it, the name of our error's class fills the line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = message
        if path:
            crash.path, crash.lineno = path, line


class Folding:
    """Leaves the frames of libraries out at the end of the tracebacks of our own error, while a report is made.

    Not under ``-vv`` and ``--full-trace``, and not in native tracebacks, which the exception itself prints.

    Args:
        item: The test: pytest asks its ``_traceback_filter``. Where it has none, all frames are shown.
        ours: The class of our error.
    """

    def __init__(self, item: pytest.Item, ours: type[BaseException]) -> None:
        self._item: Any = item
        self._ours = ours
        self._text = ""

    def __enter__(self) -> Self:
        """Begin."""
        option = self._item.config.option
        self._filter = getattr(self._item, "_traceback_filter", None)
        # Both are options of the terminal reporter, which a run may do without.
        verbose, style = getattr(option, "verbose", 0), getattr(option, "tbstyle", "auto")
        if self._filter is not None and verbose < _ALL_FRAMES and style != "native":
            self._item._traceback_filter = self._folded
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        vars(self._item).pop("_traceback_filter", None)

    def _folded(self, info: pytest.ExceptionInfo[BaseException]) -> Any:
        assert self._filter is not None
        whole = self._filter(info)
        if not isinstance(info.value, self._ours):
            return whole
        test_file = str(self._item.path)
        files = [entry.frame.code.raw.co_filename for entry in whole]
        kept = max((n for n, file in enumerate(files, 1) if file == test_file or is_project_file(file)), default=0)
        names = [str(entry.frame.f_globals.get("__name__") or "").partition(".")[0] for entry in whole[kept:]]
        names = [name for name in names if name not in _WRAPPING]
        if not kept or not names:
            return whole
        distinct = list(dict.fromkeys(names))
        shown = " and ".join([", ".join(distinct[:-1]), distinct[-1]]) if len(distinct) > 1 else distinct[0]
        several = len(names) > 1
        self._text = f"{counted(len(names), 'frame')} in {shown} (-vv shows {'them' if several else 'it'})"
        return whole[:kept]

    def tell(self, report: pytest.TestReport) -> None:
        """Say in the report how many frames were left out, and how to see them."""
        described = getattr(report.longrepr, "reprtraceback", None)
        if self._text and described is not None and hasattr(described, "extraline"):
            described.extraline = self._text


_ALL_FRAMES: Final = 2
_WRAPPING: Final = frozenset({"pytest_test_categories", "wrapt", ""})
