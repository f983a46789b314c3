"""What a module's source states about the sizes of its tests, before it is imported."""

from __future__ import annotations

from typing import Final

import pytest

from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories.pytest_plugin._imports import stated_size

MARKERS: Final = {size.value: size for size in TestSize} | {"unit": TestSize.SMALL}
HEAD: Final = "import os, unittest\nfrom unittest import mock\nimport pytest\nfrom pytest import mark, param\n"
SMALL: Final = "@pytest.mark.small\ndef test_small(): pass\n"


@pytest.mark.parametrize(
    ("source", "size"),
    [
        (SMALL, "small"),
        ("@mark.small\nasync def test_it(): pass\n", "small"),
        ("import pytest as t\n@t.mark.unit()\ndef test_it(): pass\n", "small"),
        ("pytestmark = pytest.mark.small\ndef test_it(): pass\n", "small"),
        ("pytestmark: list = [mark.skipif(os.name == 'x', reason='y'), mark.medium]\ndef test_it(): pass\n", "medium"),
        (SMALL + "@pytest.mark.medium\ndef test_it(): pass\n", "medium"),
        ("pytestmark = mark.medium\n" + SMALL + "def test_it(): pass\n", "medium"),
        ("pytestmark = mark.medium\n" + SMALL, "small"),
        ("@mark.small\nclass TestIt:\n    def test_it(self): pass\n    def not_it(self): pass\n", "small"),
        ("class TestIt:\n    pytestmark = [mark.small]\n    @mark.large\n    def test_it(self): pass\n", "large"),
        ("@mark.small\nclass TestIt:\n    class TestIn:\n        def test_it(self): pass\n", "small"),
        ("@mark.small\nclass It(unittest.TestCase):\n    def test_it(self): pass\n", "small"),
        (
            "from pytest_test_categories import SmallTest\nclass It(SmallTest):\n    def test_it(self): pass\n",
            "small",
        ),
        ("@mock.patch('os.sep')\n@mark.small\ndef test_it(sep): pass\n", "small"),
        ("@mark.small\n@mark.parametrize('n', [1, param(2, marks=mark.xfail)])\ndef test_it(n): pass\n", "small"),
        ("def cases(): return [1]\n@mark.small\n@mark.parametrize('n', cases())\ndef test_it(n): pass\n", "small"),
    ],
)
def test_the_largest_size_is_found(source: str, size: str) -> None:
    assert stated_size((HEAD + source).encode(), MARKERS, None) is TestSize(size)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def helper(): pass\n",
        "def test_it(:\n",
        SMALL + "def test_it(): pass\n",
        SMALL + "from app import decorated\n@decorated\ndef test_it(): pass\n",
        SMALL + "from app import *\n",
        SMALL + "from app import TestBase\n",
        SMALL + "from app import test_other\n",
        SMALL + "try:\n    from app import test_other\nexcept ImportError: pass\n",
        SMALL + "if os.name:\n    def test_other(): pass\n",
        SMALL + "test_other = mark.large(test_small)\n",
        SMALL + "globals()['test_other'] = test_small\n",
        SMALL + "__test__ = False\n",
        "from app import Base\nclass TestIt(Base):\n    @mark.small\n    def test_it(self): pass\n",
        "from app import Base\n@mark.small\nclass TestIt(Base):\n    def test_it(self): pass\n",
        "@mark.small\nclass Helper:\n    def test_it(self): pass\n",
        "@mark.small\nclass TestIt:\n    def __init__(self): pass\n    def test_it(self): pass\n",
        "class TestIt:\n    @mark.small\n    def test_it(self): pass\n    test_other = test_it\n",
        "pytestmark = [mark.small]\npytestmark += [mark.medium]\ndef test_it(): pass\n",
        "pytestmark = mark.small\nif os.name: pytestmark = mark.large\ndef test_it(): pass\n",
        "pytestmark = mark.small\npytestmark = mark.large\ndef test_it(): pass\n",
        "pytestmark = marks()\n" + SMALL,
        "@mark.small\n@mark.large\ndef test_it(): pass\n",
        "@mark.small\n@mark.parametrize('n', [param(1, marks=mark.large)])\ndef test_it(n): pass\n",
        "from app import CASES\n@mark.small\n@mark.parametrize('n', CASES)\ndef test_it(n): pass\n",
        "def cases(): return [param(1, marks=[mark.large])]\n@mark.small\ndef test_it(n): pass\n",
    ],
)
def test_a_source_that_leaves_it_open_tells_nothing(source: str) -> None:
    assert stated_size((HEAD + source).encode(), MARKERS, None) is None


def test_tests_without_a_marker_count_with_the_size_that_they_are_given() -> None:
    source = (HEAD + SMALL + "def test_it(): pass\n").encode()
    assert stated_size(source, MARKERS, TestSize.MEDIUM) is TestSize.MEDIUM
    assert stated_size(source, MARKERS, TestSize.SMALL) is TestSize.SMALL


def test_names_of_tests_are_those_of_the_settings() -> None:
    source = (HEAD + SMALL + "def check_it(): pass\nclass SuiteIt:\n    def check_it(self): pass\n").encode()
    assert stated_size(source, MARKERS, None) is TestSize.SMALL
    assert stated_size(source, MARKERS, None, ["check_*"], ["Suite"]) is None


STARRED: Final = "from app import *\npytestmark = pytest.mark.small\ndef test_it(): pass\n"


def test_a_star_that_brings_plain_names_is_looked_into() -> None:
    source = "import pytest\nHOST = 'a'\ndef helper(): pass\n"
    assert stated_size(STARRED.encode(), MARKERS, None, source_of={"app": source.encode()}.get) is TestSize.SMALL


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\ndef test_other(): pass\n",
        "import pytest\nclass TestOther: pass\n",
        "import pytest\npytestmark = pytest.mark.large\n",
        "import pytest\nfrom other import *\n",
        "import pytest\nif 1:\n    from other import test_x\n",
        "import pytest(\n",
    ],
)
def test_a_star_that_may_bring_a_test_leaves_the_size_open(source: str) -> None:
    assert stated_size(STARRED.encode(), MARKERS, None, source_of={"app": source.encode()}.get) is None


VALUES: Final = "import pytest\nfrom app import cases\n@pytest.mark.small\n@pytest.mark.parametrize('n', cases())\ndef test_it(n): pass\n"


@pytest.mark.parametrize(
    "sources",
    [
        {"app": "def cases(): return [1]\n"},
        {"app": "import os, pytest\ndef cases(): return [pytest.param(1, id='one')]\n"},
        {"app": "from .data import cases\n", "app.data": "from more import cases\n", "more": "cases = list\n"},
        {"app.cases": "def __call__(): pass\n", "app": "from app import cases\n"},
        {"app": "import app.data\n", "app.data": "from . import more\n", "app.more": "import app\n"},
    ],
)
def test_values_from_a_module_without_a_word_of_markers_leave_a_size_as_it_is(sources: dict[str, str]) -> None:
    known = {name: source.encode() for name, source in sources.items()}
    assert stated_size(VALUES.encode(), MARKERS, None, source_of=known.get) is TestSize.SMALL


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"app": "import pytest\ndef cases(): return [pytest.param(1, marks=pytest.mark.large)]\n"},
        {"app": "from .data import cases\n", "app.data": "ARGUMENTS = {'marks': 1}\n"},
        {"app": "from .. import cases\n"},
        {"app": "from unknown import cases\n"},
        {"app": "def cases(: pass\n"},
        {"app": "import m0\n", **{f"m{at}": f"import m{at + 1}\n" for at in range(100)}},
    ],
)
def test_values_from_a_module_that_may_bring_markers_leave_a_size_open(sources: dict[str, str]) -> None:
    known = {name: source.encode() for name, source in sources.items()}
    assert stated_size(VALUES.encode(), MARKERS, None, source_of=known.get) is None
