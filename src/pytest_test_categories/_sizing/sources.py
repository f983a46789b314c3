"""One source file: reads its size markers, and returns its text with other markers.

Everything except the markers stays unchanged, byte for byte; libcst keeps comments, blank lines and line ends.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst
import libcst.helpers

from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

_PYTEST: Final = "pytest"
_MARKS: Final = "pytestmark"
_UNBOUND: Final = frozenset({"staticmethod", "classmethod"})
_BLANK: Final = cst.EmptyLine(indent=False)

Definition = cst.FunctionDef | cst.ClassDef
Assignment = cst.Assign | cst.AnnAssign
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


class SourceError(ValueError):
    """libcst can't parse a source file, or can't reproduce it exactly."""


class _Scope:
    """A module, class or function of the source, with all definitions that it may have at run time."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = []
        self.marks: Assignment | None = None
        self.readable = True


class _Names(NamedTuple):
    """The names that a source uses for pytest and its markers."""

    pytest: set[str]
    mark: set[str]
    marks: dict[str, str]


class Source:
    """A source file, parsed.

    Args:
        data: The bytes of the file.
        sizes: The size that each marker stands for.

    Raises:
        SourceError: libcst can't parse the file, or can't reproduce it exactly.
    """

    def __init__(self, data: bytes, sizes: Mapping[str, str]) -> None:
        self.data = data
        self._sizes = sizes
        try:
            self._module = cst.parse_module(data)
        except (cst.ParserSyntaxError, UnicodeDecodeError, LookupError, RecursionError) as error:
            raise SourceError(f"it can't be parsed: {' '.join(str(error).split())[:120]}") from error
        if self._module.bytes != data:
            raise SourceError("libcst does not give it back as it is: a form feed, or line ends of old")
        self._names = _Names(set(), set(), {})
        self._scopes: dict[str, _Scope] = {"": _Scope()}
        self._imports: list[tuple[int, str]] = []
        self._gather(self._module.body)
        self._scan(self._module.body, "", certain=True)

    # -- reading -------------------------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        """Whether a class or function with that dotted name is defined; the module itself has the empty name."""
        return name in self._scopes

    def can_write(self, name: str) -> bool:
        """Whether a marker can be written there: it is defined, and its ``pytestmark`` can be read."""
        return name in self._scopes and self._scopes[name].readable

    def size_of(self, name: str) -> str:
        """Return the size in the markers of a class, a function or the module itself; empty if there is none."""
        scope = self._scopes.get(name)
        if scope is None:
            return ""
        found = [size for node in scope.definitions for d in node.decorators if (size := self._size(d.decorator))]
        if scope.marks is not None:
            found += [size for item in _items(scope.marks.value) if (size := self._size(item))]
        return found[0] if found else ""

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """Dotted names of the functions that pytest or unittest would collect as tests."""
        return tuple(name for name in self._scopes if self._is_test(name))

    def _is_test(self, name: str) -> bool:
        owner, _dot, last = name.rpartition(".")
        if not last.startswith("test"):
            return False
        node = self._scopes[name].definitions[-1]
        if not isinstance(node, cst.FunctionDef):
            return False
        if any("fixture" in self._module.code_for_node(decorator) for decorator in node.decorators):
            return False
        return not owner or self._is_collected(owner)

    def _is_collected(self, name: str) -> bool:
        node = self._scopes[name].definitions[-1]
        assert isinstance(node, cst.ClassDef)
        has_init = f"{name}.__init__" in self._scopes
        says_no = any(_binds(line, "__test__") for line in _lines(node.body.body))
        return not says_no and (bool(node.bases) or (node.name.value.startswith("Test") and not has_init))

    def _size(self, expression: cst.BaseExpression) -> str:
        return self._sizes.get(self._marker(expression), "")

    def _marker(self, expression: cst.BaseExpression) -> str:
        """Return the name of the marker that an expression creates; empty if it creates none."""
        if isinstance(expression, cst.Call):
            expression = expression.func
        if isinstance(expression, cst.Name):
            return self._names.marks.get(expression.value, "")
        if isinstance(expression, cst.Attribute) and self._is_mark(expression.value):
            return expression.attr.value
        return ""

    def _is_mark(self, expression: cst.BaseExpression) -> bool:
        if isinstance(expression, cst.Name):
            return expression.value in self._names.mark
        return (
            isinstance(expression, cst.Attribute)
            and expression.attr.value == "mark"
            and isinstance(expression.value, cst.Name)
            and expression.value.value in self._names.pytest
        )

    def _gather(self, body: Sequence[cst.CSTNode]) -> None:
        """Note the names of pytest and its markers, and the lines that certainly import them."""
        for index, statement in enumerate(body):
            certain = isinstance(statement, cst.SimpleStatementLine)
            for line in _lines([statement]):
                for bound, target in _pytest_names(line):
                    (self._names.pytest if target == _PYTEST else self._names.mark).add(bound)
                    if certain:
                        self._imports.append((index, f"{bound}.mark" if target == _PYTEST else bound))
                for small in line.body:
                    if isinstance(small, cst.Assign) and isinstance(small.targets[0].target, cst.Name):
                        marker = self._marker(small.value)
                        if marker and small.targets[0].target.value != _MARKS:
                            self._names.marks[small.targets[0].target.value] = marker

    def _scan(self, body: Iterable[cst.CSTNode], prefix: str, *, certain: bool) -> None:
        scope = self._scopes[prefix.removesuffix(".")]
        for statement in body:
            if isinstance(statement, Definition):
                self._define(statement, prefix + statement.name.value, certain=certain)
            elif isinstance(statement, cst.SimpleStatementLine):
                self._read_marks(statement, scope, certain=certain)
            else:
                for block in _blocks(statement):
                    self._scan(block, prefix, certain=False)

    def _define(self, node: Definition, name: str, *, certain: bool) -> None:
        if certain:  # the last definition wins; one in a branch may or may not
            for old in [old for old in self._scopes if old == name or old.startswith(name + ".")]:
                del self._scopes[old]
        scope = self._scopes.setdefault(name, _Scope())
        scope.definitions.append(node)
        if isinstance(node, cst.ClassDef) and isinstance(node.body, cst.IndentedBlock):
            self._scan(node.body.body, name + ".", certain=True)

    def _read_marks(self, line: cst.SimpleStatementLine, scope: _Scope, *, certain: bool) -> None:
        for small in line.body:
            if not _binds_small(small, _MARKS):
                continue
            plain = isinstance(small, cst.AnnAssign) or (isinstance(small, cst.Assign) and len(small.targets) == 1)
            if certain and plain and len(scope.definitions) < 2:  # noqa: PLR2004  # one definition is not two
                assert isinstance(small, Assignment)
                scope.marks = small
                value = small.value
                scope.readable = isinstance(value, (cst.List, cst.Tuple)) or bool(value and self._marker(value))
            else:
                scope.readable = False

    # -- writing -------------------------------------------------------------------------------------------------------

    def can_drop(self, name: str) -> bool:
        """Whether the size there can be removed cleanly: it is given by decorators only."""
        scope = self._scopes[name]
        return scope.marks is None or not self._has_size(scope.marks)

    def sized(self, sizes: Mapping[str, str]) -> bytes:
        """Return the file's content with the given size markers; an empty size removes the markers.

        Args:
            sizes: The sizes by dotted name; the module itself has the empty name.
        """
        definitions: dict[int, str] = {}
        marks: dict[int, str] = {}
        for name, size in sizes.items():
            scope = self._scopes[name]
            in_marks = scope.marks is not None and (name == "" or self._has_size(scope.marks))
            if in_marks:
                marks[id(scope.marks)] = size
            for node in scope.definitions:
                if not in_marks or any(self._size(d.decorator) for d in node.decorators):
                    definitions[id(node)] = size
        top = self._module.body
        header = _header_end(top)
        new_marks = bool(sizes.get("")) and self._scopes[""].marks is None
        edited = definitions.keys() | marks.keys()
        first = header if new_marks else next((i for i, s in enumerate(top) if _holds(s, edited)), 0)
        prefix, importing = self._mark_name(first)
        writer = _Writer(self, definitions, marks, prefix)
        module = self._module.visit(writer)
        assert isinstance(module, cst.Module)
        body: list[Statement] = list(module.body)
        lines = list(module.header)
        if new_marks:
            assign = cst.Assign([cst.AssignTarget(cst.Name(_MARKS))], writer.marker(sizes[""]))
            _insert(body, lines, header, cst.SimpleStatementLine([assign], leading_lines=[_BLANK] if header else []))
        if importing and writer.added:
            _insert_import(body, lines, min(header, first))
        return module.with_changes(body=body, header=lines).bytes

    def _has_size(self, marks: Assignment) -> bool:
        return any(self._size(item) for item in _items(marks.value))

    def _mark_name(self, before: int) -> tuple[str, bool]:
        """Return how to write ``pytest.mark`` at a statement, and whether ``import pytest`` must be added for it."""
        usable = [spelling for index, spelling in self._imports if index < before]
        if not usable:
            return f"{_PYTEST}.mark", True
        return next((spelling for spelling in usable if "." in spelling), usable[0]), False


class _Writer(cst.CSTTransformer):
    """Writes markers as decorators and into ``pytestmark``."""

    def __init__(self, source: Source, definitions: dict[int, str], marks: dict[int, str], prefix: str) -> None:
        super().__init__()
        self._source = source
        self._definitions = definitions
        self._marks = marks
        self._prefix = prefix
        self.added = False

    def marker(self, size: str) -> cst.BaseExpression:
        """Return the expression of a new marker."""
        self.added = True
        return cst.parse_expression(f"{self._prefix}.{size}")

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Visit everything except the inside of functions, which contains no tests."""
        return not isinstance(node, cst.FunctionDef)

    def on_leave(  # type: ignore[override]  # libcst's own is as wide as each kind of node
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode:
        """Return the node, with its markers if it is one that can have markers."""
        if isinstance(updated_node, Definition):
            return updated_node.with_changes(**self._decorated(original_node, updated_node))
        if isinstance(updated_node, Assignment):
            return updated_node.with_changes(**self._marked(original_node, updated_node))
        return updated_node

    def _decorated(self, original: cst.CSTNode, updated: Definition) -> dict[str, object]:
        size = self._definitions.get(id(original))
        if size is None:
            return {}
        decorators: list[cst.Decorator] = []
        orphans: list[cst.EmptyLine] = []  # comments of removed markers
        done = not size
        for decorator in updated.decorators:
            if not self._source._size(decorator.decorator):
                decorators.append(decorator.with_changes(leading_lines=[*orphans, *decorator.leading_lines]))
                orphans = []
            elif not done:
                decorators.append(decorator.with_changes(decorator=self._resized(decorator.decorator, size)))
                done = True
            else:
                orphans += decorator.leading_lines
                if decorator.trailing_whitespace.comment is not None:
                    orphans.append(cst.EmptyLine(comment=decorator.trailing_whitespace.comment))
        if not done:
            # A marker rejects what is not callable, such as a class method's descriptor: it goes below that decorator.
            bound = [i for i, d in enumerate(decorators) if _name(d.decorator) in _UNBOUND]
            decorators.insert(bound[-1] + 1 if bound else 0, cst.Decorator(self.marker(size)))
        return {"decorators": decorators, "lines_after_decorators": [*orphans, *updated.lines_after_decorators]}

    def _marked(self, original: cst.CSTNode, updated: Assignment) -> dict[str, object]:
        size = self._marks.get(id(original))
        value = updated.value
        if size is None or value is None:
            return {}
        if isinstance(value, (cst.List, cst.Tuple)):
            sized = [bool(self._source._size(element.value)) for element in value.elements]
            if any(sized):
                elements = [
                    element.with_changes(value=self._resized(element.value, size)) if is_size else element
                    for element, is_size in zip(value.elements, sized, strict=True)
                ]
            else:
                # At the front, where no comment belongs to the previous line.
                comma = _comma_like(value) if value.elements else cst.MaybeSentinel.DEFAULT
                elements = [cst.Element(self.marker(size), comma=comma), *value.elements]
            return {"value": value.with_changes(elements=elements)}
        if self._source._size(value):
            return {"value": self._resized(value, size)}
        return {"value": cst.List([cst.Element(value), cst.Element(self.marker(size))])}

    def _resized(self, marker: cst.BaseExpression, size: str) -> cst.BaseExpression:
        if self._source._size(marker) == size:
            return marker
        if isinstance(marker, cst.Call):
            return marker.with_changes(func=self._resized(marker.func, size))
        if isinstance(marker, cst.Attribute):
            return marker.with_changes(attr=cst.Name(size))
        return self.marker(size)


# -- what stands where -------------------------------------------------------------------------------------------------


def _blocks(statement: cst.CSTNode) -> Iterator[Sequence[cst.CSTNode]]:
    """Yield the bodies of a compound statement, and of its other branches."""
    body = getattr(statement, "body", None)
    if isinstance(body, cst.IndentedBlock):
        yield body.body
    elif isinstance(body, cst.SimpleStatementSuite):
        yield [cst.SimpleStatementLine(body.body)]
    for name in ("handlers", "cases"):
        for branch in getattr(statement, name, ()):
            yield from _blocks(branch)
    for name in ("orelse", "finalbody"):
        branch = getattr(statement, name, None)
        if branch is not None:
            yield from _blocks(branch)


def _lines(statements: Iterable[cst.CSTNode]) -> Iterator[cst.SimpleStatementLine]:
    """Yield the simple statements of a scope, including those in branches."""
    for statement in statements:
        if isinstance(statement, cst.SimpleStatementLine):
            yield statement
        elif not isinstance(statement, Definition):
            for block in _blocks(statement):
                yield from _lines(block)


def _is_import(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and any(
        isinstance(small, (cst.Import, cst.ImportFrom)) for small in statement.body
    )


def _pytest_names(line: cst.SimpleStatementLine) -> Iterator[tuple[str, str]]:
    """Yield the names that a line binds to pytest or ``pytest.mark``, each with ``"pytest"`` or ``"mark"``."""
    for small in line.body:
        if isinstance(small, cst.Import):
            for alias in small.names:
                if alias.evaluated_name == _PYTEST:
                    yield alias.evaluated_alias or _PYTEST, _PYTEST
        elif isinstance(small, cst.ImportFrom) and not isinstance(small.names, cst.ImportStar):
            for alias in small.names:
                if _name(small.module) == _PYTEST and alias.evaluated_name == "mark":
                    yield alias.evaluated_alias or "mark", "mark"


def _binds(line: cst.SimpleStatementLine, name: str) -> bool:
    return any(_binds_small(small, name) for small in line.body)


def _binds_small(small: cst.BaseSmallStatement, name: str) -> bool:
    if isinstance(small, cst.Assign):
        return any(_name(target.target) == name for target in small.targets)
    if isinstance(small, (cst.AnnAssign, cst.AugAssign)):
        return _name(small.target) == name
    if isinstance(small, cst.ImportFrom) and not isinstance(small.names, cst.ImportStar):
        return any((alias.evaluated_alias or alias.evaluated_name) == name for alias in small.names)
    return False


def _name(node: cst.CSTNode | None) -> str:
    return node.value if isinstance(node, cst.Name) else ""


def _items(value: cst.BaseExpression | None) -> Iterator[cst.BaseExpression]:
    if isinstance(value, (cst.List, cst.Tuple)):
        yield from (element.value for element in value.elements)
    elif value is not None:
        yield value


def _holds(statement: cst.CSTNode, nodes: AbstractSet[int]) -> bool:
    if id(statement) in nodes:
        return True
    return not isinstance(statement, cst.FunctionDef) and any(_holds(child, nodes) for child in statement.children)


def _header_end(body: Sequence[cst.CSTNode]) -> int:
    """Return the index after the docstring and the imports at the top, including other statements between them."""
    end = 0
    for index, statement in enumerate(body):
        if isinstance(statement, cst.SimpleStatementLine):
            small = statement.body[0]
            is_docstring = index == 0 and isinstance(small, cst.Expr) and isinstance(small.value, cst.BaseString)
            if is_docstring or _is_import(statement):
                end = index + 1
        elif isinstance(statement, (cst.If, cst.Try)) and not _defines(statement):
            if any(_is_import(line) for line in _lines([statement])):
                end = index + 1
        else:
            break
    return end


def _defines(statement: cst.CSTNode) -> bool:
    """Whether a statement contains definitions: what they use must come before it."""
    return isinstance(statement, Definition) or any(_defines(inner) for block in _blocks(statement) for inner in block)


# -- new lines ---------------------------------------------------------------------------------------------------------


def _insert(
    body: list[Statement], header: list[cst.EmptyLine], index: int, line: cst.SimpleStatementLine, blank: bool = True
) -> None:
    """Insert a one-line statement into a module, with suitable blank lines."""
    if index < len(body):
        following = body[index]
        leading = list(following.leading_lines)
        if index == 0:  # libcst's module header may end in comments that belong to the first statement
            at = len(header)
            while at and header[at - 1].comment is not None:
                at -= 1
            if at:
                leading = header[at:] + leading
                del header[at:]
        has = next((i for i, each in enumerate(leading) if each.comment is not None), len(leading))
        wants = 2 if isinstance(following, Definition) else 1
        if blank and not _is_import(following):
            leading = [_BLANK] * (wants - has) + leading
        body[index] = following.with_changes(leading_lines=leading)
    body.insert(index, line)


def _insert_import(body: list[Statement], header: list[cst.EmptyLine], end: int) -> None:
    """Insert ``import pytest`` among the imports at the top, which end at an index."""
    line = cst.SimpleStatementLine([cst.Import([cst.ImportAlias(cst.Name(_PYTEST))])])
    imports = [index for index in range(end) if _is_import(body[index])]
    after = next((index for index in imports if _comes_after(body[index])), None)
    if after is None:
        at = imports[-1] + 1 if imports else end
        _insert(body, header, at, line.with_changes(leading_lines=[_BLANK] if at else []))
        return
    following = body[after]
    leading = list(following.leading_lines)
    split = next((i for i, each in enumerate(leading) if each.comment is not None), len(leading))
    body[after] = following.with_changes(leading_lines=leading[split:])
    body.insert(after, line.with_changes(leading_lines=leading[:split]))


def _comes_after(statement: cst.CSTNode) -> bool:
    """Whether an import belongs after ``import pytest`` in sorted imports: the standard library first, then by name."""
    assert isinstance(statement, cst.SimpleStatementLine)
    small = statement.body[0]
    if isinstance(small, cst.Import):
        name = small.names[0].evaluated_name
        return name.partition(".")[0] not in sys.stdlib_module_names and name > _PYTEST
    if isinstance(small, cst.ImportFrom):
        top = "" if small.module is None or small.relative else cst.helpers.get_full_name_for_node(small.module) or ""
        return top.partition(".")[0] not in sys.stdlib_module_names
    return False


def _comma_like(value: cst.List | cst.Tuple) -> cst.Comma:
    """Return a comma that is followed by a line break if the first element starts on a new line."""
    opening = value.lbracket if isinstance(value, cst.List) else (value.lpar[0] if value.lpar else None)
    space = opening.whitespace_after if opening is not None else None
    if isinstance(space, cst.ParenthesizedWhitespace):
        first = cst.TrailingWhitespace(newline=space.first_line.newline)
        return cst.Comma(whitespace_after=space.with_changes(first_line=first, empty_lines=[]))
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
