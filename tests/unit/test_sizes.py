"""The size of an item: the closest marker, then the longest path, then the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_test_categories._rules.policy import EnforcementMode, TestSize
from pytest_test_categories.pytest_plugin._options import MARKERS, Settings
from pytest_test_categories.pytest_plugin._sizes import SizeConflictError, Sizes

if TYPE_CHECKING:
    from collections.abc import Callable

    Collect = Callable[[str], dict[str, pytest.Item]]

SMALL, MEDIUM, LARGE, XLARGE = TestSize


@pytest.fixture
def collect(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Collect:
    """Collect real items, without the plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nmarkers =\n    " + "\n    ".join([*MARKERS, "unit"]))

    def make(text: str) -> dict[str, pytest.Item]:
        items = pytester.getitems(f"import pytest, unittest\nfrom pytest import mark\n{text}")
        return {item.nodeid.partition("::")[2]: item for item in items}

    return make


def sizes(root: object = "/project", **settings: object) -> Sizes:
    return Sizes(Settings(**{"mode": EnforcementMode.STRICT, **settings}), str(root))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("def test_it(): pass", {"test_it": None}, id="none"),
        pytest.param("@mark.small\ndef test_it(): pass", {"test_it": SMALL}, id="function"),
        pytest.param("@mark.unit\ndef test_it(): pass", {"test_it": SMALL}, id="the-projects-own"),
        pytest.param("@mark.skip\ndef test_it(): pass", {"test_it": None}, id="another-marker"),
        pytest.param(
            "@mark.small\n@mark.unit\n@mark.small\ndef test_it(): pass", {"test_it": SMALL}, id="one-size-thrice"
        ),
        pytest.param(
            "pytestmark = mark.large\n@mark.small\ndef test_it(): pass\ndef test_other(): pass",
            {"test_it": SMALL, "test_other": LARGE},
            id="function-over-module",
        ),
        pytest.param(
            "pytestmark = mark.large\n@mark.medium\nclass TestIt:\n    def test_it(self): pass\n"
            "    @mark.small\n    def test_own(self): pass",
            {"TestIt::test_it": MEDIUM, "TestIt::test_own": SMALL},
            id="class-over-module",
        ),
        pytest.param(
            "@mark.large\nclass TestOuter:\n    class TestInner:\n        def test_it(self): pass\n"
            "    @mark.small\n    class TestSized:\n        def test_it(self): pass",
            {"TestOuter::TestInner::test_it": LARGE, "TestOuter::TestSized::test_it": SMALL},
            id="inner-class-over-outer",
        ),
        pytest.param(
            "@mark.large\n@mark.parametrize('n', [1, pytest.param(2, marks=mark.small)])\ndef test_it(n): pass",
            {"test_it[1]": LARGE, "test_it[2]": SMALL},
            id="parameter-set-over-function",
        ),
        pytest.param(
            "@mark.parametrize('n', [pytest.param(2, marks=mark.skip)])\n@mark.small\ndef test_it(n): pass",
            {"test_it[2]": SMALL},
            id="parameter-set-with-another-marker",
        ),
        pytest.param(
            "@mark.large\nclass Base:\n    def test_it(self): pass\n"
            "@mark.small\nclass TestDerived(Base): pass\nclass TestPlain(Base): pass",
            {"TestDerived::test_it": SMALL, "TestPlain::test_it": LARGE},
            id="derived-class-over-base",
        ),
        pytest.param(
            "@mark.large\nclass Case(unittest.TestCase):\n    def test_it(self): pass\n"
            "@mark.small\nclass Derived(Case): pass",
            {"Case::test_it": LARGE, "Derived::test_it": SMALL},
            id="unittest",
        ),
        pytest.param(
            "pytestmark = mark.large\n@mark.skip\nclass TestIt:\n    def test_it(self): pass\n    def test_two(self): pass",
            {"TestIt::test_it": LARGE, "TestIt::test_two": LARGE},
            id="module-over-a-class-with-another-marker",
        ),
        pytest.param(
            "class TestIt:\n    pytestmark = [mark.small]\n    def test_it(self): pass",
            {"TestIt::test_it": SMALL},
            id="attribute-of-a-class",
        ),
    ],
)
def test_the_closest_marker_gives_the_size(collect: Collect, text: str, expected: dict[str, TestSize | None]) -> None:
    found = sizes(marker_sizes=(("unit", SMALL),))
    items = collect(text)
    assert {name: found.of(item) for name, item in items.items()} == expected
    assert {name: found.of(item) for name, item in items.items()} == expected  # and so they are remembered


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("@mark.small\n@mark.large\ndef test_it(): pass", "test_it", id="function"),
        pytest.param("@mark.small\n@mark.large\nclass TestIt:\n    def test_it(self): pass", "TestIt", id="class"),
        pytest.param("pytestmark = [mark.small, mark.large]\ndef test_it(): pass", "", id="module"),
        pytest.param(
            "@mark.parametrize('n', [pytest.param(1, marks=[mark.small, mark.large])])\ndef test_it(n): pass",
            "test_it[1]",
            id="parameter-set",
        ),
    ],
)
def test_two_sizes_in_one_place_are_a_conflict_that_names_them(collect: Collect, text: str, place: str) -> None:
    found = sizes()
    item = next(iter(collect(text).values()))
    node = (
        next(
            node for node in (item, *item.listchain()) if node.nodeid.partition("::")[2] == place and node.nodeid != ""
        )
        if place
        else item.getparent(pytest.Module)
    )
    assert node is not None
    with pytest.raises(SizeConflictError) as conflict:
        found.check(node)  # type: ignore[arg-type]
    assert str(conflict.value) == (
        f"{node.nodeid} has two sizes: @pytest.mark.large, @pytest.mark.small. Keep one of them"
    )
    with pytest.raises(SizeConflictError):
        found.of(item)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("def test_it(): pass", id="no-marker"),
        pytest.param("@mark.small\ndef test_it(): pass", id="one"),
        pytest.param(
            "@mark.large\n@mark.parametrize('n', [pytest.param(2, marks=mark.small)])\ndef test_it(n): pass",
            id="parameter-set-beside-a-function",
        ),
        pytest.param(
            "@mark.large\nclass Base:\n    def test_it(self): pass\n@mark.small\nclass TestIt(Base): pass",
            id="derived-beside-base",
        ),
    ],
)
def test_sizes_in_two_places_are_no_conflict(collect: Collect, text: str) -> None:
    found = sizes()
    for item in collect(text).values():
        for node in item.listchain()[2:]:
            found.check(node)  # type: ignore[arg-type]


def test_a_marker_that_a_hook_adds_to_a_class_beats_those_written_on_it(collect: Collect) -> None:
    item = collect("@mark.large\nclass TestIt:\n    def test_it(self): pass")["TestIt::test_it"]
    assert item.parent is not None
    item.parent.add_marker("small")
    assert sizes().of(item) is SMALL


PATHS = (("tests/unit/slow", LARGE), ("tests/unit/test_one.py", XLARGE), ("tests/unit", SMALL), ("tests", MEDIUM))


@pytest.mark.parametrize(
    ("path", "size"),
    [
        pytest.param("/project/tests/unit/test_it.py", SMALL, id="directory"),
        pytest.param("/project/tests/unit/deep/er/test_it.py", SMALL, id="below"),
        pytest.param("/project/tests/unit/slow/test_it.py", LARGE, id="longest"),
        pytest.param("/project/tests/unit/test_one.py", XLARGE, id="file"),
        pytest.param("/project/tests/unit_tests/test_it.py", MEDIUM, id="only-the-same-start"),
        pytest.param("/project/src/tests/unit/test_it.py", None, id="elsewhere"),
        pytest.param("/projects/tests/unit/test_it.py", None, id="outside"),
        pytest.param("\\project\\tests\\unit\\test_it.py", SMALL, id="backslashes"),
    ],
)
def test_the_longest_path_rule_gives_the_size(path: str, size: TestSize | None) -> None:
    found = sizes(path_sizes=PATHS)
    assert found.of_path(path) is size
    assert found.of_path(path) is size
    assert sizes(path_sizes=PATHS, default_size=LARGE).of_path(path) is (size or LARGE)


def test_a_rule_for_the_root_directory_is_a_rule_for_all() -> None:
    found = sizes(path_sizes=(("tests", MEDIUM), ("", SMALL)))
    assert found.of_path("/project/test_it.py") is SMALL
    assert found.of_path("/project/tests/test_it.py") is MEDIUM


def test_a_marker_beats_a_path_rule_which_beats_the_default(collect: Collect, pytester: pytest.Pytester) -> None:
    items = collect("@mark.small\ndef test_marked(): pass\ndef test_plain(): pass")
    file = items["test_plain"].path.name
    for settings, expected in (
        ({"default_size": LARGE}, LARGE),
        ({"default_size": LARGE, "path_sizes": ((file, MEDIUM),)}, MEDIUM),
    ):
        found = sizes(pytester.path, **settings)
        assert found.of(items["test_plain"]) is expected
        assert found.of(items["test_marked"]) is SMALL
