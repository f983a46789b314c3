"""Markers written into sources: where, in what words, and what is left alone."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from tests.collected import collect

from pytest_test_categories._sizing.apply import (
    ApplyError,
    Change,
    LibcstMissingError,
    Mark,
    Omission,
    Place,
    Plan,
    Target,
    UncommittedError,
    apply,
    lines,
    plan,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "test_a.py"


def to(size: str, *names: str, current: str = "", file: str = FILE, **more: Any) -> list[Target]:
    """Targets for functions that are defined in the file and class that they are collected from."""
    return [
        Target(
            f"{file}::{name}",
            size,
            current,
            file,
            (Place(file, name.replace("::", ".")),),
            tuple((Place(file, ".".join(name.split("::")[:depth])),) for depth in range(name.count("::"), 0, -1)),
            **more,
        )
        for name in names
    ]


def written(root: Path, text: str, targets: list[Target], aliases: dict[str, str] | None = None) -> str:
    """Plan and apply in a file, twice, and return what it says then."""
    path = root / FILE
    path.write_bytes(textwrap.dedent(text).encode())
    first = plan(str(root), targets, aliases)
    assert first.omitted == ()
    assert apply(str(root), first.changes) == ()
    assert plan(str(root), targets, aliases) == Plan((), ())
    return path.read_bytes().decode()


def expect(text: str) -> str:
    return textwrap.dedent(text)


# -- where -------------------------------------------------------------------------------------------------------------

TWO = """\
    import pytest


    def test_x():
        pass


    # about y
    def test_y():
        pass
    """


def test_a_module_that_agrees_gets_one_marker(tmp_path: Path) -> None:
    assert written(tmp_path, TWO, to("small", "test_x", "test_y")) == expect(TWO).replace(
        "import pytest\n", "import pytest\n\npytestmark = pytest.mark.small\n"
    )


def test_functions_that_differ_get_their_own(tmp_path: Path) -> None:
    result = written(tmp_path, TWO, to("small", "test_x") + to("medium", "test_y"))
    assert result == expect(TWO).replace("def test_x", "@pytest.mark.small\ndef test_x").replace(
        "def test_y", "@pytest.mark.medium\ndef test_y"
    )


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="not collected"),
        pytest.param(to("", "test_y"), id="undecided"),
        pytest.param(to("small", "test_y", observed=False), id="not observed in full"),
    ],
)
def test_a_module_is_not_marked_for_tests_nobody_saw(tmp_path: Path, others: list[Target]) -> None:
    result = written(tmp_path, TWO, to("small", "test_x") + others)
    assert "pytestmark" not in result
    assert "@pytest.mark.small\ndef test_x" in result


def test_what_is_no_test_does_not_keep_a_module_from_its_marker(tmp_path: Path) -> None:
    text = """\
        import pytest


        @pytest.fixture
        def test_data():
            return 1


        class Request:
            def test(self): ...


        class TestDouble:
            __test__ = False

            def test(self): ...


        class TestThing:
            def __init__(self): ...
            def test(self): ...


        def test_x(test_data): ...
        """
    assert "\npytestmark = pytest.mark.small\n" in written(tmp_path, text, to("small", "test_x"))


CLASSES = """\
    import unittest
    import pytest


    class TestA:
        def test_x(self): ...

        class TestInner:
            def test_y(self): ...
            async def test_z(self): ...


    class B(unittest.TestCase):
        @unittest.skipIf(False, "")
        def test_x(self): ...

        def test_y(self): ...
    """


def test_a_class_that_agrees_gets_one_marker_and_nested_ones_count(tmp_path: Path) -> None:
    targets = to("small", "TestA::test_x", "TestA::TestInner::test_y", "TestA::TestInner::test_z")
    targets += to("medium", "B::test_x", "B::test_y")
    result = written(tmp_path, CLASSES, targets)
    assert result == expect(CLASSES).replace("class TestA", "@pytest.mark.small\nclass TestA").replace(
        "class B", "@pytest.mark.medium\nclass B"
    )


def test_a_nested_class_gets_its_own_where_the_outer_one_differs(tmp_path: Path) -> None:
    targets = to("large", "TestA::test_x") + to("small", "TestA::TestInner::test_y", "TestA::TestInner::test_z")
    targets += to("medium", "B::test_x") + to("small", "B::test_y")
    assert written(tmp_path, CLASSES, targets) == expect(
        """\
        import unittest
        import pytest


        class TestA:
            @pytest.mark.large
            def test_x(self): ...

            @pytest.mark.small
            class TestInner:
                def test_y(self): ...
                async def test_z(self): ...


        class B(unittest.TestCase):
            @pytest.mark.medium
            @unittest.skipIf(False, "")
            def test_x(self): ...

            @pytest.mark.small
            def test_y(self): ...
        """
    )


def test_nothing_is_written_where_the_size_is_right_already(tmp_path: Path) -> None:
    # By a path rule, the default, a parameter set or a hook: none of them stands in the source.
    targets = to("small", "test_x", current="small") + to("medium", "test_y")
    result = written(tmp_path, TWO, targets)
    assert result == expect(TWO).replace("def test_y", "@pytest.mark.medium\ndef test_y")


def test_the_marker_of_a_module_stays_for_those_it_is_right_for(tmp_path: Path) -> None:
    text = expect(TWO).replace("import pytest\n", "import pytest\n\npytestmark = pytest.mark.medium\n")
    targets = to("small", "test_x", current="medium") + to("", "test_y", current="medium")
    assert written(tmp_path, text, targets) == text.replace("def test_x", "@pytest.mark.small\ndef test_x")


def test_a_later_run_whose_scope_agrees_differently_adds_only_what_differs(tmp_path: Path) -> None:
    once = written(tmp_path, TWO, to("small", "test_x", "test_y"))
    then = written(tmp_path, once, to("small", "test_x", current="small") + to("large", "test_y", current="small"))
    assert then == once.replace("def test_y", "@pytest.mark.large\ndef test_y")
    at_last = written(tmp_path, then, to("large", "test_x", current="small") + to("large", "test_y", current="large"))
    assert at_last == then.replace("pytestmark = pytest.mark.small", "pytestmark = pytest.mark.large")


# -- markers that are there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("@pytest.mark.small", "@pytest.mark.medium", id="plain"),
        pytest.param("@pytest.mark.small()  # why", "@pytest.mark.medium()  # why", id="called"),
        pytest.param("@a\n@pytest.mark.small\n@b", "@a\n@pytest.mark.medium\n@b", id="in between"),
        pytest.param("@pt.mark.small", "@pt.mark.medium", id="module by another name"),
        pytest.param("@mark.small", "@mark.medium", id="mark imported"),
        pytest.param("@m.small", "@m.medium", id="mark by another name"),
        pytest.param("@quick", "@pytest.mark.medium", id="a name for it"),
        pytest.param("@pytest.mark.unit", "@pytest.mark.medium", id="the project's own"),
        pytest.param("@pytest.mark.slow", "@pytest.mark.medium\n@pytest.mark.slow", id="not a size"),
        pytest.param("@a.mark.small", "@pytest.mark.medium\n@a.mark.small", id="not of pytest"),
    ],
)
def test_a_size_that_stands_on_a_function_is_replaced(tmp_path: Path, before: str, after: str) -> None:
    text = f"import pytest\nimport pytest as pt\nfrom pytest import mark\nfrom pytest import mark as m\nquick = mark.small\n\n\n{before}\ndef test_x(): ...\n\n\ndef test_y(): ...\n"
    targets = to("medium", "test_x", current="small") + to("", "test_y")
    assert written(tmp_path, text, targets, {"unit": "small"}) == text.replace(
        f"{before}\ndef test_x", f"{after}\ndef test_x"
    )


def test_a_projects_own_marker_of_the_size_stays(tmp_path: Path) -> None:
    text = "import pytest\n\n\n@pytest.mark.unit\ndef test_x(): ...\n"
    assert written(tmp_path, text, to("small", "test_x", current=""), {"unit": "small"}) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("pytestmark = pytest.mark.medium", "pytestmark = pytest.mark.small", id="single"),
        pytest.param(
            "pytestmark = pytest.mark.django_db",
            "pytestmark = [pytest.mark.django_db, pytest.mark.small]",
            id="another single",
        ),
        pytest.param(
            "pytestmark = [pytest.mark.medium, pytest.mark.django_db]",
            "pytestmark = [pytest.mark.small, pytest.mark.django_db]",
            id="list",
        ),
        pytest.param(
            "pytestmark = (  pytest.mark.django_db,)",
            "pytestmark = (  pytest.mark.small, pytest.mark.django_db,)",
            id="tuple",
        ),
        pytest.param(
            "pytestmark = pytest.mark.a, pytest.mark.medium",
            "pytestmark = pytest.mark.a, pytest.mark.small",
            id="bare tuple",
        ),
        pytest.param("pytestmark = []", "pytestmark = [pytest.mark.small]", id="empty"),
        pytest.param(
            "pytestmark: list = [pytest.mark.medium]", "pytestmark: list = [pytest.mark.small]", id="annotated"
        ),
        pytest.param(
            "pytestmark = [\n    # first\n    pytest.mark.a,  # a\n    b,  # b\n]",
            "pytestmark = [\n    # first\n    pytest.mark.small,\n    pytest.mark.a,  # a\n    b,  # b\n]",
            id="lines with comments",
        ),
    ],
)
def test_a_pytestmark_is_changed_or_extended(tmp_path: Path, before: str, after: str) -> None:
    text = f"import pytest\nb = object()\n{before}  # why\n\n\ndef test_x(): ...\n"
    assert written(tmp_path, text, to("small", "test_x")) == text.replace(before, after)


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param("pytestmark = marks_of_the_day()", id="computed"),
        pytest.param("pytestmark = [pytest.mark.a]\npytestmark += [pytest.mark.b]", id="grown"),
        pytest.param("if sys.platform:\n    pytestmark = pytest.mark.a", id="conditional"),
        pytest.param("from other import pytestmark", id="imported"),
    ],
)
def test_a_pytestmark_that_does_not_say_what_it_holds_stays(tmp_path: Path, marks: str) -> None:
    text = f"import sys\nimport pytest\n{marks}\n\n\ndef test_x(): ...\n"
    assert written(tmp_path, text, to("small", "test_x")) == text.replace("def", "@pytest.mark.small\ndef")


def test_sizes_that_would_hide_a_wider_one_go_and_their_comments_stay(tmp_path: Path) -> None:
    text = """\
        import pytest


        # above
        @pytest.mark.medium  # for the database
        @pytest.mark.slow
        # below
        @pytest.mark.large
        def test_x(): ...


        class TestA:
            pytestmark = [pytest.mark.medium, pytest.mark.slow]

            @pytest.mark.small  # as it is
            def test_y(self): ...


        @pytest.mark.large
        class TestB:
            def test_z(self): ...
        """
    assert written(tmp_path, text, to("small", "test_x", "TestA::test_y", "TestB::test_z", current="large")) == expect(
        """\
        import pytest

        pytestmark = pytest.mark.small


        # above
        # for the database
        @pytest.mark.slow
        # below
        def test_x(): ...


        class TestA:
            pytestmark = [pytest.mark.small, pytest.mark.slow]

            @pytest.mark.small  # as it is
            def test_y(self): ...


        class TestB:
            def test_z(self): ...
        """
    )


def test_a_size_in_the_attribute_of_a_class_is_replaced_there(tmp_path: Path) -> None:
    text = "import pytest\n\n\nclass TestA:\n    pytestmark = pytest.mark.large\n    def test_x(self): ...\n\n\ndef test_y(): ...\n"
    targets = to("small", "TestA::test_x", current="large") + to("medium", "test_y")
    result = written(tmp_path, text, targets)
    assert result == text.replace("large", "small").replace("def test_y", "@pytest.mark.medium\ndef test_y")


def test_parameter_sets_keep_their_sizes(tmp_path: Path) -> None:
    text = 'import pytest\n\n\n@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.medium)])\ndef test_x(n): ...\n'
    result = written(tmp_path, text, to("small", "test_x"))
    assert "pytest.param(2, marks=pytest.mark.medium)" in result
    assert "pytestmark = pytest.mark.small" in result


# -- the import --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "import pytest\n\n\n", id="nothing"),
        pytest.param('"""Doc."""\n\n\n', '"""Doc."""\n\nimport pytest\n\n\n', id="docstring"),
        pytest.param(
            "#!/bin/python\n# -*- coding: latin-1 -*-\n",
            "#!/bin/python\n# -*- coding: latin-1 -*-\nimport pytest\n\n\n",
            id="coding",
        ),
        pytest.param("# Licence\n\n# about x\n", "# Licence\n\nimport pytest\n\n\n# about x\n", id="comments"),
        pytest.param(
            "from __future__ import annotations\n\n\n",
            "from __future__ import annotations\n\nimport pytest\n\n\n",
            id="future",
        ),
        pytest.param(
            "import os\nimport sys\n\n\n", "import os\nimport sys\n\nimport pytest\n\n\n", id="standard library"
        ),
        pytest.param(
            "import os\n\nimport attr\nfrom shop import x\n\n\n",
            "import os\n\nimport attr\nimport pytest\nfrom shop import x\n\n\n",
            id="between",
        ),
        pytest.param(
            "import os\n\nfrom shop import x\n\n\n",
            "import os\n\nimport pytest\nfrom shop import x\n\n\n",
            id="new block",
        ),
        pytest.param(
            "import os\nfrom . import x\nimport shop.y\n\n\n",
            "import os\nimport pytest\nfrom . import x\nimport shop.y\n\n\n",
            id="relative",
        ),
        pytest.param("import attr\n\n\n", "import attr\n\nimport pytest\n\n\n", id="before p"),
        pytest.param(
            "import os\nif TYPE_CHECKING:\n    import pytest\n\n\n",
            "import os\n\nimport pytest\n\nif TYPE_CHECKING:\n    import pytest\n\n\n",
            id="type checking",
        ),
        pytest.param(
            "try:\n    import pytest\nexcept ImportError:\n    pytest = None\n\n\n",
            "try:\n    import pytest\nexcept ImportError:\n    pytest = None\n\nimport pytest\n\n\n",
            id="conditional",
        ),
        pytest.param(
            "def f():\n    import pytest\n\n\n",
            "import pytest\n\n\ndef f():\n    import pytest\n\n\n",
            id="in a function",
        ),
    ],
)
def test_pytest_is_imported_where_it_is_missing(tmp_path: Path, before: str, after: str) -> None:
    text = f"{before}def test_x(): ...\n\n\ndef test_y(): ...\n"
    targets = to("small", "test_x") + to("medium", "test_y")
    result = written(tmp_path, text, targets)
    assert result == after + "@pytest.mark.small\ndef test_x(): ...\n\n\n@pytest.mark.medium\ndef test_y(): ...\n"


def test_an_import_further_down_comes_too_late(tmp_path: Path) -> None:
    text = "def test_x(): ...\n\n\nimport pytest\n\n\ndef test_y(): ...\n"
    result = written(tmp_path, text, to("small", "test_x") + to("medium", "test_y"))
    assert result.startswith("import pytest\n\n\n@pytest.mark.small\ndef test_x")


def test_the_import_and_the_module_marker_stand_together(tmp_path: Path) -> None:
    assert written(tmp_path, "def test_x(): ...\n", to("small", "test_x")) == (
        "import pytest\n\npytestmark = pytest.mark.small\n\n\ndef test_x(): ...\n"
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param("import pytest as pt", "pt.mark", id="pytest"),
        pytest.param("from pytest import mark", "mark", id="mark"),
        pytest.param("from pytest import mark as m, raises", "m", id="mark as"),
    ],
)
def test_the_names_that_a_module_has_are_used(tmp_path: Path, line: str, name: str) -> None:
    text = f"{line}\n\n\ndef test_x(): ...\n"
    assert written(tmp_path, text, to("small", "test_x")) == text.replace(
        f"{line}\n", f"{line}\n\npytestmark = {name}.small\n"
    )


def test_an_import_of_pytest_comes_before_all_that_needs_it(tmp_path: Path) -> None:
    text = "import os\nif os:\n    import shop\n\n    def test_x(): ...\n"
    compile(text, FILE, "exec")
    result = written(tmp_path, text, to("small", "test_x", observed=False))
    assert result.startswith("import os\n\nimport pytest\n\nif os:\n")
    marks = "pytestmark = [shop.mark]\nimport requests\n\n\ndef test_x(): ...\n"
    assert written(tmp_path, marks, to("small", "test_x")).startswith(
        "import pytest\n\npytestmark = [pytest.mark.small, "
    )


# -- odd definitions ---------------------------------------------------------------------------------------------------


def test_of_two_functions_of_a_name_the_last_is_marked_and_in_branches_each(tmp_path: Path) -> None:
    text = """\
        import pytest, sys


        def test_x(): ...


        def test_x(): ...


        if sys.platform == "win32":
            def test_y(): ...
        else:
            def test_y(): ...

        try:
            import foo
        except ImportError:
            pass
        else:
            class TestA:
                def test_z(self): ...
        """
    result = written(tmp_path, text, to("small", "test_x") + to("medium", "test_y") + to("large", "TestA::test_z"))
    assert [n for n, line in enumerate(result.splitlines()) if "mark.small" in line] == [6]
    assert result.count("    @pytest.mark.medium\n    def test_y") == 2
    assert "    @pytest.mark.large\n    class TestA:" in result


def test_the_marker_of_a_static_or_class_method_stands_below_what_makes_it_one(tmp_path: Path) -> None:
    text = "import pytest\n\n\nclass TestA:\n    @classmethod\n    def test_x(cls): ...\n\n    @staticmethod\n    def test_y(): ...\n"
    result = written(tmp_path, text, to("small", "TestA::test_x") + to("medium", "TestA::test_y"))
    assert "    @classmethod\n    @pytest.mark.small\n    def test_x" in result
    assert "    @staticmethod\n    @pytest.mark.medium\n    def test_y" in result


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"import os\r\n\r\n\r\ndef test_x():\r\n\tpass\r\n", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfimport os\n\n\ndef test_x(): pass\n", id="BOM"),
        pytest.param(b"# -*- coding: latin-1 -*-\nimport os\n\n\ndef test_x():\n    'caf\xe9'\n", id="latin-1"),
        pytest.param(b"import os\n\n\nclass TestA:\n\tdef test_x(self):\n\t\tpass  # \xc3\xa9", id="no last newline"),
        pytest.param(
            b"import os\nx = 'a' \\\n  'b' ;y=2\n\n\ndef test_x( ): return  {1 :2}\n  \n#end", id="odd spaces"
        ),
        pytest.param(b"import os\n\n\ndef test_x(): pass\r\n\r\nx = 1\n", id="both line ends"),
    ],
)
@pytest.mark.parametrize("wide", [True, False])
def test_every_other_byte_stays(tmp_path: Path, text: bytes, wide: bool) -> None:
    (tmp_path / FILE).write_bytes(text)
    name = "TestA::test_x" if b"TestA" in text else "test_x"
    planned = plan(str(tmp_path), to("small", name, observed=wide))
    assert apply(str(tmp_path), planned.changes) == ()
    after = (tmp_path / FILE).read_bytes()
    left = iter(after.splitlines(keepends=True))
    assert all(line in left for line in text.splitlines(keepends=True))  # in this order, with others in between
    added = len(after.splitlines()) - len(text.splitlines())
    assert added <= (5 if wide else 4)  # the marker, the import, and blank lines about them
    compile(after, FILE, "exec")


# -- what is left out --------------------------------------------------------------------------------------------------


def inherited(
    size: str, cls: str, file: str = FILE, base: str = "base.py", name: str = "test_x", **more: Any
) -> Target:
    classes = ((Place(file, cls), Place(base, "Base")),)
    return Target(f"{file}::{cls}::{name}", size, "", file, (Place(base, f"Base.{name}"),), classes, **more)


BASE = "class Base:\n    def test_x(self): ...\n    def test_y(self): ...\n"
DERIVED = "import pytest\nfrom base import Base\n\n\nclass TestA(Base):\n    def test_own(self): ...\n"


def test_inherited_tests_follow_the_class_that_they_are_collected_in(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(BASE)
    targets = [inherited("small", "TestA"), *to("small", "TestA::test_own")]
    result = written(tmp_path, DERIVED, targets)
    assert "pytestmark = pytest.mark.small" in result
    assert (tmp_path / "base.py").read_text() == BASE


def test_an_inherited_test_is_marked_in_its_base_if_all_that_inherit_agree(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "test_b.py").write_text("from base import Base\n\n\nclass TestB(Base): ...\n")
    targets = [inherited("medium", "TestA"), *to("small", "TestA::test_own")]
    targets += [inherited("medium", "TestB", "test_b.py", name=n) for n in ("test_x",)]
    targets += [inherited("small", "TestB", "test_b.py", name="test_y"), inherited("small", "TestA", name="test_y")]
    written(tmp_path, DERIVED, targets)
    assert "    @pytest.mark.medium\n    def test_x" in (tmp_path / "base.py").read_text()


def test_an_inherited_test_on_which_those_that_inherit_differ_goes_by_the_class_around_the_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "test_b.py").write_text("from base import Base\n\n\nclass TestB(Base): ...\n")
    targets = [inherited("medium", "TestA"), *to("small", "TestA::test_own"), inherited("large", "TestB", "test_b.py")]
    result = written(tmp_path, DERIVED, targets)
    assert "@pytest.mark.medium\nclass TestA" in result
    assert "    @pytest.mark.small\n    def test_own" in result
    assert (tmp_path / "base.py").read_text() == BASE


def test_what_those_that_inherit_can_not_agree_on_is_left_out_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / FILE).write_text(DERIVED)
    (tmp_path / "test_b.py").write_text("from base import Base\n\n\nclass TestB(Base): ...\n")
    targets = [
        inherited("medium", "TestA", observed=False),
        *to("small", "TestA::test_own"),
        inherited("large", "TestB", "test_b.py"),
    ]
    planned = plan(str(tmp_path), targets)
    assert planned.omitted == (
        Omission(f"{FILE}::TestA::test_x", "its function is shared by tests that need other sizes"),
    )


def test_a_function_that_others_share_stays_where_those_are_to_stay(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / FILE).write_text(DERIVED)
    targets = [inherited("medium", "TestA", observed=False), inherited("", "TestB", "test_b.py")]
    planned = plan(str(tmp_path), targets)
    assert planned.changes == ()
    assert planned.omitted[0].why == "its function is shared by tests that are to stay as they are"


def test_a_size_on_a_function_that_can_not_be_written_hides_no_size_of_the_class(tmp_path: Path) -> None:
    # The base class is of a library, whose own marker on the function beats all that could be written here.
    library = tmp_path / "site-packages" / "base.py"
    library.parent.mkdir()
    library.write_text(f"import pytest\n{BASE}")
    (tmp_path / FILE).write_text(DERIVED)
    target = inherited("small", "TestA", base="site-packages/base.py")
    planned = plan(str(tmp_path), [target, *to("small", "TestA::test_own")])
    assert planned.omitted == ()
    assert [mark for change in planned.changes for mark in change.marks] == [Mark("", "small")]


def test_a_marker_that_hides_a_wide_one_and_can_not_go_keeps_it_from_being_written(tmp_path: Path) -> None:
    text = "import pytest\n\n\nclass TestA:\n    pytestmark = [pytest.mark.large]\n    pytestmark += []\n    def test_x(self): ...\n"
    result = written(tmp_path, text, to("small", "TestA::test_x", current="large"))
    assert result == text.replace("    def test_x", "    @pytest.mark.small\n    def test_x")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        pytest.param((), "no function of Python", id="an item of another kind"),
        pytest.param((Place(FILE, "make.<locals>.test"),), "generated", id="generated"),
        pytest.param((Place("/usr/lib/somewhere.py", "test_x"),), "outside of the root directory", id="outside"),
    ],
)
def test_what_has_no_function_in_a_source_is_left_out_with_the_reason(
    tmp_path: Path, function: tuple[Place, ...], why: str
) -> None:
    text = "pytestmark = computed()\n\n\ndef test_y(): ...\n"
    (tmp_path / FILE).write_text(text)
    planned = plan(str(tmp_path), [Target(f"{FILE}::test_x", "small", "", FILE, function), *to("medium", "test_y")])
    (omitted,) = planned.omitted
    assert omitted.what == f"{FILE}::test_x"
    assert why in omitted.why
    assert [mark for change in planned.changes for mark in change.marks] == [Mark("test_y", "medium")]


def test_a_function_on_another_drive_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relpath = os.path.relpath

    def as_on_windows(path: str, start: str) -> str:
        if not path.startswith(str(tmp_path)):
            raise ValueError("path is on mount 'C:', start on mount 'D:'")
        return relpath(path, start)

    monkeypatch.setattr(os.path, "relpath", as_on_windows)
    (tmp_path / FILE).write_text("pytestmark = computed()\n")
    place = Place("/usr/lib/somewhere.py", "test_x")
    planned = plan(str(tmp_path), [Target(f"{FILE}::test_x", "small", "", FILE, (place,))])
    assert [omitted.why for omitted in planned.omitted] == [
        "its function is in /usr/lib/somewhere.py: outside of the root directory"
    ]


def test_a_decorator_that_makes_tests_of_other_names_is_not_decorated_but_its_class_may_be(tmp_path: Path) -> None:
    text = (
        "import pytest\n\n\nclass TestA:\n    @expand([1, 2])\n    def test_x(self): ...\n\n    def test_y(self): ...\n"
    )
    place = Place(FILE, "TestA.test_x")

    def made(size: str, number: int) -> Target:
        return to(size, f"TestA::test_x_{number}")[0]._replace(function=(Place(FILE, f"TestA.test_x_{number}"), place))

    result = written(tmp_path, text, [made("small", 1), made("small", 2), *to("small", "TestA::test_y")])
    assert result == text.replace("import pytest\n", "import pytest\n\npytestmark = pytest.mark.small\n")
    (tmp_path / FILE).write_text(text)
    planned = plan(str(tmp_path), [made("small", 1), made("large", 2), *to("small", "TestA::test_y")])
    assert {mark.name for change in planned.changes for mark in change.marks} <= {"TestA", "TestA.test_y"}
    assert [omitted.what for omitted in planned.omitted] == [f"{FILE}::TestA::test_x_2"]


def test_a_file_that_does_not_parse_is_named_and_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "test_b.py").write_text("def test_x(:\n")
    (tmp_path / "test_c.py").write_text("import os\x0c\n\x0cdef test_x(): ...\n")
    (tmp_path / FILE).write_text("def test_x(): ...\n")
    planned = plan(
        str(tmp_path), [t for file in (FILE, "test_b.py", "test_c.py") for t in to("small", "test_x", file=file)]
    )
    assert [change.file for change in planned.changes] == [FILE]
    assert {o.what for o in planned.omitted} >= {"test_b.py", "test_b.py::test_x"}
    assert "can't be parsed" in next(o.why for o in planned.omitted if o.what == "test_b.py")


@pytest.mark.parametrize("place", ["lib/site-packages/pkg/test_a.py", "env/test_a.py", "test_a.yaml"])
def test_installed_packages_and_virtual_environments_stay(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("def test_x(): ...\n")
    (tmp_path / "env").mkdir(exist_ok=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    planned = plan(str(tmp_path), to("small", "test_x", file=place))
    assert planned.changes == ()
    assert len(planned.omitted) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_and_those_that_lead_out_are_not_written(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "test_out.py").write_text("def test_x(): ...\n")
    (root / "test_out.py").symlink_to(tmp_path / "test_out.py")
    (root / "real.py").write_text("def test_x(): ...\n")
    (root / "test_in.py").symlink_to("real.py")
    planned = plan(str(root), to("small", "test_x", file="test_out.py") + to("small", "test_x", file="test_in.py"))
    assert [change.file for change in planned.changes] == ["real.py"]
    apply(str(root), planned.changes)
    assert (root / "test_in.py").is_symlink()
    assert "mark.small" in (root / "test_in.py").read_text()


def test_a_result_that_would_not_compile_is_not_written(tmp_path: Path) -> None:
    # libcst's grammar is more generous than the interpreter.
    (tmp_path / FILE).write_text("import pytest\n\n\ndef test_x(): ...\n\n\nreturn\n")
    planned = plan(str(tmp_path), to("small", "test_x"))
    assert planned.changes == ()
    assert "would not compile" in planned.omitted[0].why


@pytest.mark.filterwarnings("error")
def test_a_warning_of_the_compiler_is_no_obstacle(tmp_path: Path) -> None:
    assert "mark.small" in written(tmp_path, "def test_x():\n    '\\d'\n", to("small", "test_x"))


def test_without_libcst_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("libcst"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.startswith("libcst") or n.endswith("_sizing.sources")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    (tmp_path / FILE).write_text("def test_x(): ...\n")
    with pytest.raises(LibcstMissingError, match=r"pip install 'pytest-test-categories\[apply\]'") as caught:
        plan(str(tmp_path), to("small", "test_x"))
    assert isinstance(caught.value, ApplyError)
    assert "\n" not in str(caught.value)


# -- writing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(*arguments: str) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, env=env)

    run("init")
    (tmp_path / ".gitignore").write_text("ignored*\n")
    for name in (FILE, "test_b.py", "test_c [x].py", "test_é.py"):
        (tmp_path / name).write_text("def test_x(): ...\n")
    run("add", "-A")
    run("commit", "-m", "all")
    return run


def planned_for(root: Path, *files: str) -> Plan:
    return plan(str(root), [target for file in files for target in to("small", "test_x", file=file)])


def test_committed_files_are_written(tmp_path: Path, git: Callable[..., None]) -> None:
    files = (FILE, "test_b.py", "test_c [x].py", "test_é.py")
    assert apply(str(tmp_path), planned_for(tmp_path, *files).changes) == ()
    assert all("mark.small" in (tmp_path / file).read_text() for file in files)


@pytest.mark.parametrize("how", ["changed", "staged", "untracked", "ignored", "renamed"])
def test_uncommitted_changes_are_named_and_nothing_is_written(
    tmp_path: Path, git: Callable[..., None], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    name = {"untracked": "test_new.py", "ignored": "ignored.py", "renamed": "test_moved.py"}.get(how, "test_é.py")
    if how == "renamed":
        git("mv", "test_b.py", name)
    (tmp_path / name).write_text("def test_x(): ...\n" + ("# new\n" if how != "renamed" else ""))
    if how == "staged":
        git("add", "-A")
    changes = planned_for(tmp_path, FILE, name).changes
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as a hook of git's would have it
    with pytest.raises(UncommittedError, match="--network-suggest-sizes-force") as caught:
        apply(str(tmp_path), changes)
    assert name in str(caught.value)
    assert FILE not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "mark" not in (tmp_path / FILE).read_text() + (tmp_path / name).read_text()
    assert apply(str(tmp_path), changes, force=True) == ()
    assert "mark.small" in (tmp_path / name).read_text()


def test_where_git_can_not_tell_nothing_is_written(
    tmp_path: Path, git: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = planned_for(tmp_path, FILE).changes
    (tmp_path / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(UncommittedError, match="git can't tell"):
        apply(str(tmp_path), changes)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UncommittedError, match="git can't tell"):
        apply(str(tmp_path), changes)
    assert "mark" not in (tmp_path / FILE).read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="no mode bits there")
def test_the_mode_of_a_file_stays_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("def test_x(): ...\n")
    (tmp_path / FILE).chmod(0o751)
    assert apply(str(tmp_path), planned_for(tmp_path, FILE).changes) == ()
    assert (tmp_path / FILE).stat().st_mode & 0o7777 == 0o751
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_file_that_changed_meanwhile_is_left_and_others_go_on(tmp_path: Path) -> None:
    for file in (FILE, "test_b.py", "test_c.py"):
        (tmp_path / file).write_text("def test_x(): ...\n")
    changes = planned_for(tmp_path, FILE, "test_b.py", "test_c.py").changes
    (tmp_path / FILE).write_text("def test_new(): ...\n")
    (tmp_path / "test_b.py").unlink()
    assert [omitted.what for omitted in apply(str(tmp_path), changes)] == [FILE, "test_b.py"]
    assert (tmp_path / FILE).read_text() == "def test_new(): ...\n"
    assert "mark.small" in (tmp_path / "test_c.py").read_text()


def test_the_terminal_is_told_what_was_written_and_what_was_not() -> None:
    marks = (Mark("", "small"), *(Mark(f"TestA.test_{n}", "medium") for n in range(4)), Mark("z", ""))
    change = Change(FILE, b"", b"", marks)
    left = Omission(f"{FILE}::test_x", "generated")
    assert list(lines([change], [left, left])) == [
        "size markers written into 1 file",
        f"  {FILE}: the module small, TestA.test_0 medium, TestA.test_1 medium and 2 more",
        "left out:",
        f"  {FILE}::test_x: generated",
    ]
    assert list(lines([], [])) == ["no size marker to write"]


def test_a_file_that_can_not_be_replaced_is_left_out_and_nothing_stays_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_text("def test_x(): ...\n")
    changes = planned_for(tmp_path, FILE).changes

    def full(*_paths: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert apply(str(tmp_path), changes) == (Omission(FILE, "it can't be written: No space left on device"),)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).read_text() == "def test_x(): ...\n"


# -- with pytest itself ------------------------------------------------------------------------------------------------


def test_pytest_collects_the_sizes_that_were_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "base.py").write_text(BASE)
    (root / "imported.py").write_text("def test_imported(): ...\n")
    (root / FILE).write_text(
        expect(
            """\
            import functools, unittest
            from base import Base
            from imported import test_imported


            def twice(function):
                @functools.wraps(function)
                def run(*args):
                    function(*args)
                return run


            def opaque(function):
                def run():
                    function()
                return run


            @twice
            def test_twice(): ...


            @opaque
            def test_opaque(): ...


            class TestA(Base):
                def test_own(self): ...


            class TestB(TestA):
                class TestInner:
                    @staticmethod
                    def test_static(): ...


            class Units(unittest.TestCase):
                def test_u(self): ...
                def test_v(self): ...
            """
        )
    )
    found = collect(root, scratch=tmp_path / "scratch")
    sizes = dict(zip(sorted(found.targets), ("small", "medium", "large") * 9, strict=False))
    for test in found.targets:  # those of one function agree
        if "Test" in test and "::test_" in test and "Inner" not in test:
            sizes[test] = "medium" if "test_own" in test else "small"
    targets = [target._replace(size=sizes[test]) for test, target in found.targets.items()]
    planned = plan(str(root), targets)
    assert planned.omitted == ()
    assert apply(str(root), planned.changes) == ()
    again = collect(root, scratch=tmp_path / "scratch")
    assert {test: target.current for test, target in again.targets.items()} == sizes
    assert plan(str(root), [t._replace(size=sizes[t.id]) for t in again.targets.values()]) == Plan((), ())
