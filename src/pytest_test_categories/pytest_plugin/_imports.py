"""Reads the sizes of a test module's tests from its source, before the module is imported.

Only literal markers count: ``@pytest.mark.small`` on a function or class, ``pytestmark``, our own base classes. If a
test of the module could have another size (a decorator or a base class from elsewhere, a star import that brings more
than plain names, a parameter set with marks), the sizes count as unknown.
"""

from __future__ import annotations

import ast
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_test_categories._rules.policy import TestSize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_LARGEST: Final = 10_000_000  # bytes; a longer file is generated

_FOLLOWED: Final = 20  # the most modules to read for the values of parameters

_BASES: Final = {f"{size.name.title().replace('Xl', 'XL')}Test": size for size in TestSize}
_PLAIN_BASES: Final = frozenset({"object", "TestCase", "IsolatedAsyncioTestCase"})
_MARKS: Final = "pytestmark"
_LISTS: Final = (ast.List, ast.Tuple)

_NO_TESTS: Final = _PLAIN_BASES | {"TestClient", "TestSize"}

# Packages whose decorators give a test no size, beside the standard library.
_SIZELESS: Final = frozenset(
    {"freezegun", "httpretty", "hypothesis", "mock", "moto", "requests_mock", "respx", "responses", "time_machine"}
)


class _UnknownError(Exception):
    """The sizes can't be read from the source."""


def stated_size(
    source: bytes,
    markers: Mapping[str, TestSize],
    otherwise: TestSize | None,
    functions: Sequence[str] = ("test",),
    classes: Sequence[str] = ("Test",),
    source_of: Callable[[str], bytes | None] = lambda _name: None,
) -> TestSize | None:
    """Return the largest size among the tests of a module; None if it is unknown, or if a test has no size.

    Args:
        source: The source of the module.
        markers: The size that each marker stands for.
        otherwise: The size of the tests that have no marker.
        functions: Prefixes or patterns of the names of test functions, as in pytest's ``python_functions``.
        classes: The same for test classes.
        source_of: Returns the source of an imported module; None if it is unknown.
    """
    if len(source) > _LARGEST:
        return None
    try:
        sizes = set(_Module(ast.parse(source), markers, otherwise, functions, classes, source_of).sizes())
    except (_UnknownError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    known = [size for size in sizes if size is not None]
    return max(known, key=lambda size: size.rank) if known and len(known) == len(sizes) else None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        fnmatchcase(name, pattern) if any(c in pattern for c in "*?[") else name.startswith(pattern)
        for pattern in patterns
    )


def _is_star(node: ast.ImportFrom) -> bool:
    return any(name.name == "*" for name in node.names)


class _Module:
    """The parsed source of a module."""

    def __init__(
        self,
        tree: ast.Module,
        markers: Mapping[str, TestSize],
        otherwise: TestSize | None,
        functions: Sequence[str],
        classes: Sequence[str],
        source_of: Callable[[str], bytes | None],
    ) -> None:
        self._tree = tree
        self._source_of = source_of
        self._markers = markers
        self._otherwise = otherwise
        self._functions = (*functions, "test")  # unittest's prefix always counts
        self._classes = (*classes, "Test")
        self._origins: dict[str, str] = {}  # the full name of each imported name
        self._note_imports(tree)

    def _note_imports(self, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, ast.Import):
                for name in node.names:
                    first = name.name.partition(".")[0]
                    self._origins[name.asname or first] = name.name if name.asname else first
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    origin = f"{'.' * node.level}{node.module or ''}.{name.name}"
                    self._origins[name.asname or name.name] = origin
                if _is_star(node):
                    self._note_star(node)

    def _note_star(self, node: ast.ImportFrom) -> None:
        """Note the names that a star import brings: only imported names, none of which may be a test or a marker.

        Raises:
            _UnknownError: One may be a test or a marker, or the source is unknown.
        """
        source = self._source_of(node.module) if node.module and not node.level else None
        if source is None or len(source) > _LARGEST:
            raise _UnknownError
        tree = ast.parse(source)
        for statement in tree.body:
            stars = [inner for inner in ast.walk(statement) if isinstance(inner, ast.ImportFrom) and _is_star(inner)]
            if stars:
                raise _UnknownError
            self._look_for_others(statement)
            if any(isinstance(inner, ast.Name) and inner.id == _MARKS for inner in ast.walk(statement)):
                raise _UnknownError
        self._note_imports(tree)

    def sizes(self) -> Iterator[TestSize | None]:
        """Yield the size of each test.

        Raises:
            _UnknownError: A size is unknown.
        """
        self._check_parameter_sets()
        body = self._tree.body
        yield from self._tests_of(body, self._of_marks(body) or self._otherwise)

    def _tests_of(self, body: Iterable[ast.stmt], otherwise: TestSize | None) -> Iterator[TestSize | None]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if _matches(node.name, self._functions):
                    yield self._of_decorators(node) or otherwise
            elif isinstance(node, ast.ClassDef):
                yield from self._tests_of_class(node, otherwise)
            else:
                self._look_for_others(node)

    def _tests_of_class(self, node: ast.ClassDef, otherwise: TestSize | None) -> Iterator[TestSize | None]:
        own = self._of_decorators(node) or self._of_marks(node.body)
        if own is None:
            own = self._of_bases(node)
        elif any(self._name(base) not in _PLAIN_BASES and self._name(base) not in _BASES for base in node.bases):
            # Inherited methods may have their own sizes.
            raise _UnknownError
        sizes = list(self._tests_of(node.body, own or otherwise))
        names = {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)}
        if sizes and not node.bases and (not _matches(node.name, self._classes) or names & {"__init__", "__new__"}):
            raise _UnknownError  # pytest doesn't collect it; a plugin might
        yield from sizes

    def _may_be_test(self, name: str) -> bool:
        return _matches(name, self._functions) or _matches(name, self._classes) or name == "__test__"

    def _look_for_others(self, node: ast.stmt) -> None:
        """Look for tests that are not plain definitions.

        Raises:
            _UnknownError: There may be such tests.
        """
        for inner in ast.walk(node):
            names: tuple[str, ...] = ()
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names = (inner.name,)
            elif isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
                names = (inner.id,)
            elif isinstance(inner, ast.ImportFrom):
                names = tuple(name.asname or name.name for name in inner.names if name.name not in _NO_TESTS)
                if _is_star(inner) and inner not in self._tree.body:
                    raise _UnknownError  # star imports at the top level have been checked
            elif isinstance(inner, ast.Call) and self._name(inner.func) in {"globals", "locals", "setattr", "exec"}:
                raise _UnknownError
            if any(map(self._may_be_test, names)):
                raise _UnknownError

    # -- markers -------------------------------------------------------------------------------------------------------

    def _of_marks(self, body: Iterable[ast.stmt]) -> TestSize | None:
        """Return the size that a module's or class's ``pytestmark`` states."""
        stated: list[ast.expr] = []
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value and _MARKS in map(self._name, targets):
                stated.append(node.value)
            elif any(isinstance(inner, ast.Name) and inner.id == _MARKS for inner in ast.walk(node)):
                raise _UnknownError  # the statement may change it
        if len(stated) > 1:
            raise _UnknownError
        given = [one for value in stated for one in (value.elts if isinstance(value, _LISTS) else [value])]
        return self._one([size for one in given if (size := self._of_mark(one)) is not None])

    def _of_decorators(self, node: Function | ast.ClassDef) -> TestSize | None:
        found = []
        for decorator in node.decorator_list:
            if self._is_sizeless(decorator):
                continue
            size = self._of_mark(decorator)
            if size is not None:
                found.append(size)
        return self._one(found)

    def _one(self, found: list[TestSize]) -> TestSize | None:
        if len(set(found)) > 1:
            raise _UnknownError
        return found[0] if found else None

    def _of_mark(self, node: ast.expr) -> TestSize | None:
        """Return the size of a literal marker; None for a marker that is not a size.

        Raises:
            _UnknownError: It is not a literal marker, or its arguments may have markers.
        """
        if isinstance(node, ast.Call):
            self._check_arguments(node)
            node = node.func
        name = self._origin(node)
        if not name.startswith("pytest.mark."):
            raise _UnknownError
        return self._markers.get(name.removeprefix("pytest.mark."))

    def _check_arguments(self, call: ast.Call) -> None:
        """Check that a ``parametrize`` has no parameter sets from elsewhere that may have their own markers."""
        if self._origin(call.func).endswith(".parametrize"):
            for inner in ast.walk(call):
                if isinstance(inner, ast.Name) and self._may_bring_marks(
                    self._origins.get(inner.id, "builtins"), set()
                ):
                    raise _UnknownError

    def _may_bring_marks(self, name: str, seen: set[str]) -> bool:
        """Tell whether a name may refer to parameter sets with markers: unless the sources that define it have none."""
        if name.partition(".")[0] in {*sys.stdlib_module_names, "pytest"}:
            return False
        module, source = name, self._source_of(name)
        while source is None and "." in module:  # a name in a module, and not a module
            module = module.rpartition(".")[0]
            source = self._source_of(module)
        if module in seen:
            return False
        seen.add(module)
        if source is None or b"marks" in source or len(source) > _LARGEST or len(seen) > _FOLLOWED:
            return True
        for node in ast.walk(ast.parse(source)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                if node.level > 1:
                    return True
                # Relative to the package that it is, or that it is in: one of the two names doesn't exist.
                parent = module.rpartition(".")[0]
                homes = [f"{home}." for home in (module, parent) if home] if node.level else [""]
                start = f"{node.module}." if node.module else ""
                names = [f"{home}{start}{one.name}" for home in homes for one in node.names]
            if any(self._may_bring_marks(one, seen) for one in names):
                return True
        return False

    def _check_parameter_sets(self) -> None:
        """Check that no parameter set in the source has a size marker."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.keyword) and node.arg == "marks":
                given = node.value.elts if isinstance(node.value, _LISTS) else [node.value]
                if any(self._of_mark(one) is not None for one in given):
                    raise _UnknownError

    def _is_sizeless(self, node: ast.expr) -> bool:
        name = self._origin(node.func if isinstance(node, ast.Call) else node)
        first = name.partition(".")[0]
        return first in _SIZELESS or first in sys.stdlib_module_names or name in {"staticmethod", "classmethod"}

    def _of_bases(self, node: ast.ClassDef) -> TestSize | None:
        found = []
        for base in node.bases:
            name = self._name(base)
            origin = self._origin(base)
            if name in _BASES and origin.startswith("pytest_test_categories."):
                found.append(_BASES[name])
            elif name not in _PLAIN_BASES or not (name == "object" or origin.startswith("unittest.")):
                raise _UnknownError
        return self._one(found)

    def _name(self, node: ast.expr | None) -> str:
        """Return the last part of a dotted name; empty for other expressions."""
        return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

    def _origin(self, node: ast.expr) -> str:
        """Return the full name, with its module, of a dotted name; empty for other expressions."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._origins.get(node.id, node.id), *parts])
