"""Laws of writing markers, for modules that hypothesis thinks of."""

from __future__ import annotations

import ast
import difflib
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_test_categories._sizing.apply import Place, Plan, Target, apply, plan

SIZES = ("small", "medium", "large", "xlarge")
FILE = "test_it.py"

LAWS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


class Module(NamedTuple):
    """A test module, and the dotted names of its tests."""

    text: str
    tests: tuple[str, ...]


HEADERS = st.sampled_from(
    [
        "",
        "# licence\n",
        "# licence\n\n",
        '"""Doc."""\n',
        "import os\n",
        "import pytest\n\n",
        "import pytest as pt\nimport os\n",
        "from pytest import mark\n\n\n",
        '"""Doc."""\nfrom __future__ import annotations\nimport os\nfrom shop import x\n\n\n',
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pytest\n",
    ]
)
GAPS = st.sampled_from(["", "\n", "\n\n", "# about it\n", "\n# apart\n\n"])
OTHERS = st.sampled_from(["", "@wraps(1)\n", "@a.b\n@c\n", "@a(  # why\n    1)\n"])
MARKED = st.sampled_from(["", "", "@pytest.mark.small\n", "@pytest.mark.large  # big\n", "@pytest.mark.slow\n"])
MODULE_MARKS = st.sampled_from(
    ["", "pytestmark = pytest.mark.slow\n", "pytestmark = [pytest.mark.medium,  pytest.mark.slow]\n"]
)


def indented(text: str, by: str) -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


@st.composite
def modules(draw: st.DrawFn, *, marked: bool) -> Module:
    """Test modules, without size markers or with some."""
    marks = MARKED if marked else st.just("")
    parts = [draw(HEADERS)]
    if marked:
        parts.append("import pytest\n" + draw(MODULE_MARKS))
    tests = []
    for number in range(draw(st.integers(1, 4))):
        gap = draw(GAPS)
        if draw(st.booleans()):
            keyword = draw(st.sampled_from(["def", "async def"]))
            parts.append(f"{gap}{draw(marks)}{draw(OTHERS)}{keyword} test_{number}(): pass\n")
            tests.append(f"test_{number}")
            continue
        by = draw(st.sampled_from(["    ", "\t", "  "]))
        inner = draw(st.integers(1, 3))
        body = "".join(f"{draw(GAPS)}{draw(marks)}{draw(OTHERS)}def test_{n}(self): pass\n" for n in range(inner))
        parts.append(f"{gap}{draw(marks)}{draw(OTHERS)}class Test{number}:\n{indented(body, by)}")
        tests += [f"Test{number}.test_{n}" for n in range(inner)]
    text = "".join(parts)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return Module(text, tuple(tests))


def targets_of(names: tuple[str, ...], sizes: list[str]) -> list[Target]:
    return [
        Target(
            f"{FILE}::{name.replace('.', '::')}",
            size,
            "",
            FILE,
            (Place(FILE, name),),
            ((Place(FILE, name.partition(".")[0]),),) if "." in name else (),
        )
        for name, size in zip(names, sizes, strict=True)
    ]


def read_back(text: str, names: tuple[str, ...]) -> list[str]:
    """Read the sizes with a reader of the test's own: the closest marker of a size, and never two in one place."""
    tree = ast.parse(text)

    def only(found: list[str]) -> str:
        sizes = [name for name in found if name in SIZES]
        assert len(sizes) <= 1
        return sizes[0] if sizes else ""

    def last(node: ast.expr) -> str:
        return node.attr if isinstance(node, ast.Attribute) else ""

    own: dict[str, str] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                own[prefix + node.name] = only([last(d) for d in node.decorator_list])
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                values = node.value.elts if isinstance(node.value, ast.List) else [node.value]
                own[""] = only([last(value) for value in values])

    visit(tree.body, "")
    return [own[name] or own.get(name.rpartition(".")[0] or "-", "") or own.get("", "") for name in names]


def applied(text: str, targets: list[Target]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        path.write_bytes(text.encode())
        planned = plan(folder, targets)
        assert planned.omitted == ()
        assert apply(folder, planned.changes) == ()
        assert plan(folder, targets) == Plan((), ())
        return path.read_bytes().decode()


@LAWS
@given(modules(marked=False) | modules(marked=True), st.data())
def test_the_sizes_read_back_are_those_that_were_asked_for(module: Module, data: st.DataObject) -> None:
    sizes = data.draw(
        st.lists(st.sampled_from(SIZES), min_size=len(module.tests), max_size=len(module.tests))
        | st.sampled_from(SIZES).map(lambda size: [size] * len(module.tests))
    )
    after = applied(module.text, targets_of(module.tests, sizes))
    assert read_back(after, module.tests) == sizes
    again = data.draw(st.lists(st.sampled_from(SIZES), min_size=len(sizes), max_size=len(sizes)))
    assert read_back(applied(after, targets_of(module.tests, again)), module.tests) == again


@LAWS
@given(modules(marked=False), st.data())
def test_without_the_lines_that_were_added_the_text_is_what_it_was(module: Module, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.sampled_from(SIZES), min_size=len(module.tests), max_size=len(module.tests)))
    after = applied(module.text, targets_of(module.tests, sizes))
    before_lines, lines = module.text.splitlines(keepends=True), after.splitlines(keepends=True)
    ways = {kind for kind, *_ in difflib.SequenceMatcher(None, before_lines, lines, autojunk=False).get_opcodes()}
    assert ways <= {"equal", "insert"}


@LAWS
@given(modules(marked=True), st.data())
def test_tests_that_are_to_stay_keep_the_sizes_that_they_had(module: Module, data: st.DataObject) -> None:
    before = read_back(module.text, module.tests)
    sizes = data.draw(st.lists(st.sampled_from(("", *SIZES)), min_size=len(module.tests), max_size=len(module.tests)))
    targets = [
        target._replace(current=current)
        for target, current in zip(targets_of(module.tests, sizes), before, strict=True)
    ]
    after = read_back(applied(module.text, targets), module.tests)
    assert after == [size or current for size, current in zip(sizes, before, strict=True)]
