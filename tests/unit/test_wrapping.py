"""Wrappers: ours goes on once and comes off by itself, whatever others patch meanwhile."""

from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import wrapt

from pytest_test_categories._wrapping import EntryPoint, install_all, remove_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Client:
    def call(self) -> list[str]:
        return ["original"]

    @classmethod
    def make(cls) -> list[str]:
        return [cls.__name__]

    @staticmethod
    def still() -> list[str]:
        return ["still"]


class Derived(Client):
    pass


def ours(wrapped: Callable[..., list[str]], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    return ["ours", *wrapped(*args, **kwargs)]


def theirs(
    wrapped: Callable[..., list[str]], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    return ["theirs", *wrapped(*args, **kwargs)]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that is imported, with a class of its own."""
    made = types.ModuleType("wrapped_module")
    made.Client = type("Client", (), dict(vars(Client)))  # type: ignore[attr-defined]
    made.call = lambda: ["original"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wrapped_module", made)
    return made


@pytest.fixture
def point(module: types.ModuleType) -> Iterator[EntryPoint]:
    made = EntryPoint(module.__name__, "Client.call", ours)
    yield made
    made.remove()


def test_a_wrapper_goes_on_and_leaves_nothing_behind(module: types.ModuleType, point: EntryPoint) -> None:
    before = dict(vars(module.Client))
    point.install()
    assert module.Client().call() == ["ours", "original"]
    point.remove()
    assert module.Client().call() == ["original"]
    assert dict(vars(module.Client)) == before


def test_an_inherited_method_leaves_no_copy_in_the_derived_class() -> None:
    point = EntryPoint(__name__, "call", ours, owner=Derived)
    point.install()
    assert Derived().call() == ["ours", "original"]
    assert Client().call() == ["original"]
    point.remove()
    assert "call" not in vars(Derived)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param("make", "Client", id="classmethod"),
        pytest.param("still", "still", id="staticmethod"),
    ],
)
def test_methods_of_each_kind_stay_what_they_are(module: types.ModuleType, name: str, answer: str) -> None:
    before = vars(module.Client)[name]
    point = EntryPoint(module.__name__, f"Client.{name}", ours)
    point.install()
    assert getattr(module.Client, name)() == ["ours", answer]
    assert getattr(module.Client(), name)() == ["ours", answer]
    point.remove()
    assert vars(module.Client)[name] is before


def test_installing_twice_wraps_once(module: types.ModuleType, point: EntryPoint) -> None:
    point.install()
    point.install()
    assert module.Client().call() == ["ours", "original"]
    point.remove()
    assert module.Client().call() == ["original"]


def test_removing_what_was_never_installed_does_nothing(module: types.ModuleType, point: EntryPoint) -> None:
    before = dict(vars(module.Client))
    point.remove()
    assert dict(vars(module.Client)) == before


def test_an_entry_point_that_is_absent_here_is_passed_over(module: types.ModuleType) -> None:
    before = dict(vars(module))
    point = EntryPoint(module.__name__, "Client.connect_by_magic", ours)
    point.install()
    point.remove()
    assert dict(vars(module)) == before


def test_a_module_whose_import_is_blocked_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blocked_module", None)
    point = EntryPoint("blocked_module", "call", ours)
    point.install()
    point.remove()


# -- patches of others -------------------------------------------------------------------------------------------------


def test_a_patch_from_before_stays_when_we_are_gone(module: types.ModuleType, point: EntryPoint) -> None:
    original = vars(module.Client)["call"]
    with mock.patch.object(module.Client, "call", lambda _self: ["fake"]):
        fake = vars(module.Client)["call"]
        point.install()
        assert module.Client().call() == ["ours", "fake"]
        point.remove()
        assert vars(module.Client)["call"] is fake
    assert vars(module.Client)["call"] is original


def test_a_patch_from_before_that_ends_while_we_are_there_leaves_the_original(
    module: types.ModuleType, point: EntryPoint
) -> None:
    original = vars(module.Client)["call"]
    patch = mock.patch.object(module.Client, "call", lambda _self: ["fake"])
    patch.start()
    point.install()
    patch.stop()
    point.remove()
    assert vars(module.Client)["call"] is original


def test_a_patch_inside_hides_us_and_gives_us_back(module: types.ModuleType, point: EntryPoint) -> None:
    original = vars(module.Client)["call"]
    point.install()
    with mock.patch.object(module.Client, "call", lambda _self: ["fake"]):
        assert module.Client().call() == ["fake"]
    assert module.Client().call() == ["ours", "original"]
    point.remove()
    assert vars(module.Client)["call"] is original


def test_a_patch_across_our_end_survives_it(module: types.ModuleType, point: EntryPoint) -> None:
    point.install()
    patch = mock.patch.object(module.Client, "call", lambda _self: ["fake"])
    patch.start()
    point.remove()
    assert module.Client().call() == ["fake"]
    patch.stop()


def test_a_wrapper_that_a_late_undo_brings_back_is_used_again(module: types.ModuleType, point: EntryPoint) -> None:
    original = vars(module.Client)["call"]
    point.install()
    patch = mock.patch.object(module.Client, "call", lambda _self: ["fake"])
    patch.start()
    point.remove()
    patch.stop()
    assert module.Client().call() == ["ours", "original"]  # there again; the judge behind it is not asked
    point.install()
    assert module.Client().call() == ["ours", "original"]
    point.remove()
    assert vars(module.Client)["call"] is original


def test_a_wrapper_is_known_again_however_late_the_undo(module: types.ModuleType, point: EntryPoint) -> None:
    original = vars(module.Client)["call"]
    point.install()
    patch = mock.patch.object(module.Client, "call", lambda _self: ["fake"])
    patch.start()
    point.remove()
    for _ in range(20):
        point.install()
        assert module.Client().call() == ["ours", "fake"]
        point.remove()
    patch.stop()
    point.install()
    assert module.Client().call() == ["ours", "original"]
    point.remove()
    assert vars(module.Client)["call"] is original


def test_a_wrapper_that_a_late_undo_brings_back_under_us_comes_off_too(
    module: types.ModuleType, point: EntryPoint
) -> None:
    original = vars(module.Client)["call"]
    point.install()
    saved = vars(module.Client)["call"]
    point.remove()
    point.install()
    module.Client.call = saved  # somebody who kept the first wrapper puts it back
    assert module.Client().call() == ["ours", "original"]
    point.remove()
    assert vars(module.Client)["call"] is original


def test_a_wrapt_wrapper_on_top_of_ours_stays_and_ours_goes(module: types.ModuleType, point: EntryPoint) -> None:
    point.install()
    handle = wrapt.wrap_function_wrapper(module, "Client.call", theirs)
    assert module.Client().call() == ["theirs", "ours", "original"]
    point.remove()
    assert module.Client().call() == ["theirs", "original"]
    point.install()
    assert module.Client().call() == ["ours", "theirs", "original"]
    wrapt.unwrap_object(module, "Client.call", handle)
    assert module.Client().call() == ["ours", "original"]


def test_a_plain_wrapper_on_top_of_ours_keeps_it_and_we_are_not_put_on_again(
    module: types.ModuleType, point: EntryPoint
) -> None:
    point.install()
    inner = vars(module.Client)["call"]

    @functools.wraps(inner)
    def plain(self: object) -> list[str]:
        return ["plain", *inner.__get__(self, type(self))()]

    module.Client.call = plain
    point.remove()
    assert vars(module.Client)["call"] is plain
    point.install()
    assert module.Client().call() == ["plain", "ours", "original"]
    module.Client.call = inner


def test_an_attribute_that_somebody_deleted_is_no_obstacle(module: types.ModuleType) -> None:
    point = EntryPoint(module.__name__, "call", ours)
    point.install()
    del module.call
    point.remove()
    assert not hasattr(module, "call")


# -- modules that come and go ------------------------------------------------------------------------------------------


@pytest.fixture
def late_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that is not imported yet."""
    name = "module_imported_late"
    (tmp_path / f"{name}.py").write_text("def call():\n    return ['original']\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_module_is_wrapped_when_it_is_imported(late_module: str) -> None:
    point = EntryPoint(late_module, "call", ours)
    point.install()
    point.install()
    assert late_module not in sys.modules
    module = importlib.import_module(late_module)
    assert module.call() == ["ours", "original"]
    point.remove()
    assert module.call() == ["original"]


def test_a_module_that_is_imported_when_we_are_gone_is_left_alone(late_module: str) -> None:
    point = EntryPoint(late_module, "call", ours)
    point.install()
    point.remove()
    assert importlib.import_module(late_module).call() == ["original"]


def test_a_module_that_was_thrown_out_is_unwrapped_all_the_same(
    module: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint(module.__name__, "call", ours)
    point.install()
    monkeypatch.delitem(sys.modules, module.__name__)
    point.remove()
    assert module.call() == ["original"]


def test_a_module_and_the_one_that_took_its_place_are_both_unwrapped(
    module: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = types.ModuleType(module.__name__)
    fresh.call = lambda: ["fresh"]  # type: ignore[attr-defined]
    point = EntryPoint(module.__name__, "call", ours)
    point.install()
    monkeypatch.setitem(sys.modules, module.__name__, fresh)
    point.install()
    assert fresh.call() == ["ours", "fresh"]
    point.remove()
    assert fresh.call() == ["fresh"]
    assert module.call() == ["original"]


# -- several -----------------------------------------------------------------------------------------------------------


def test_several_go_on_and_come_off_the_last_one_first(module: types.ModuleType) -> None:
    before = dict(vars(module)), dict(vars(module.Client))
    points = [
        EntryPoint(module.__name__, "call", ours),
        EntryPoint(module.__name__, "call", theirs),
        EntryPoint(module.__name__, "Client.call", ours),
    ]
    install_all(iter(points))
    assert module.call() == ["theirs", "ours", "original"]
    assert module.Client().call() == ["ours", "original"]
    remove_all(iter(points))
    assert (dict(vars(module)), dict(vars(module.Client))) == before
