"""Wrappers go on once, come off alone, and are inert and used again where somebody else's patch keeps them."""

from __future__ import annotations

import array
import collections
import copy
import decimal
import gc
import importlib
import importlib.machinery
import importlib.util
import inspect
import operator
import os
import pickle
import subprocess
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest import mock

import pytest
import wrapt

from pytest_test_categories._host import imports, wrapping
from pytest_test_categories._host.wrapping import EntryPoint, install_all, remove_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODULE = "wrapped_for_a_test"


class Seen:
    """A wrapper that counts its calls, inert unless told to be active."""

    def __init__(self) -> None:
        self.active = True
        self.calls = 0

    def __call__(self, wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        self.calls += self.active
        return wrapped(*args, **kwargs)


@pytest.fixture
def module() -> Iterator[Any]:
    """A module with a function, and with a class that inherits a method."""
    made: Any = types.ModuleType(MODULE)
    exec(
        "def f(x=1): return x\n"
        "class Base:\n"
        "    def m(self, x=1): return x\n"
        "    @classmethod\n"
        "    def c(cls, x=1): return x\n"
        "class Derived(Base): pass\n",
        vars(made),
    )
    sys.modules[MODULE] = made
    yield made
    sys.modules.pop(MODULE, None)


Point: TypeAlias = "Callable[[Seen], EntryPoint]"


@pytest.fixture(params=["proxy", "direct", "plain"])
def point(request: pytest.FixtureRequest, module: Any) -> Point:
    """Returns the entry point of the module's function for a wrapper."""
    if request.param == "plain":
        module.f = operator.pos  # C code implements it

    def make(seen: Seen) -> EntryPoint:
        if request.param == "proxy":
            return EntryPoint(MODULE, "f", seen)
        return EntryPoint(MODULE, "f", seen, direct=lambda wrapped: lambda _home, x=1: seen(wrapped, None, (x,), {}))

    return make


def count(seen: Seen, call: Callable[..., object]) -> int:
    """How often one call passes through the wrapper; it must do what it does without."""
    before = seen.calls
    assert call(7) == 7
    return seen.calls - before


# -- alone -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "holder"),
    [
        pytest.param("f", lambda module: module, id="function"),
        pytest.param("Base.m", lambda module: module.Base, id="method"),
        pytest.param("Derived.m", lambda module: module.Derived, id="inherited-method"),
        pytest.param("Base.c", lambda module: module.Base, id="class-method"),
    ],
)
def test_without_anybody_else_everything_is_what_it_was(module: Any, name: str, holder: Callable[[Any], Any]) -> None:
    before = dict(vars(holder(module)))
    seen = Seen()
    entry = EntryPoint(MODULE, name, seen)

    def call(x: int) -> object:
        return module.f(x) if name == "f" else getattr(holder(module)(), name[-1])(x)

    for _ in range(3):
        entry.install()
        assert count(seen, call) == 1
        entry.remove()
        assert dict(vars(holder(module))) == before
        assert count(seen, call) == 0


def test_installing_twice_wraps_once(module: Any, point: Point) -> None:
    seen = Seen()
    before = module.f
    entry = point(seen)
    entry.install()
    entry.install()
    assert count(seen, module.f) == 1
    entry.remove()
    assert module.f is before
    entry.remove()
    assert module.f is before


def test_an_owner_is_wrapped_instead_of_what_the_module_holds(module: Any) -> None:
    seen = Seen()
    owner = module.Base
    module.Base = object
    before = dict(vars(owner))
    entry = EntryPoint("module_that_is_not_there", "m", seen, owner=owner)
    entry.install()
    assert count(seen, owner().m) == 1
    entry.remove()
    assert dict(vars(owner)) == before


@pytest.mark.parametrize("name", ["absent", "Base.absent", "Absent.m"])
def test_an_absent_attribute_is_left_alone(module: Any, name: str) -> None:
    before = dict(vars(module))
    entry = EntryPoint(MODULE, name, Seen())
    entry.install()
    entry.remove()
    assert dict(vars(module)) == before


def test_two_wrappers_of_ours_come_off_in_any_order(module: Any) -> None:
    before = module.f
    seen = [Seen(), Seen()]
    entries = [EntryPoint(MODULE, "f", one) for one in seen]
    install_all(entries)
    assert [count(one, module.f) for one in seen] == [1, 1]
    remove_all(entries)
    assert module.f is before
    install_all(entries)
    entries[0].remove()  # below the other: it stays, and is left to its judge to be inert
    entries[1].remove()
    seen[0].active = False
    assert [count(one, module.f) for one in seen] == [0, 0]
    seen[0].active = True
    entries[0].install()
    assert count(seen[0], module.f) == 1
    entries[0].remove()
    assert module.f is before


# -- with mock.patch ---------------------------------------------------------------------------------------------------


def test_a_patch_made_before_and_undone_after_leaves_nothing(module: Any, point: Point) -> None:
    before = module.f
    seen = Seen()
    entry = point(seen)
    with mock.patch.object(module, "f", lambda x: x) as patched:
        entry.install()
        assert count(seen, module.f) == 1
        entry.remove()
        assert module.f is patched
    assert module.f is before


def test_a_patch_undone_inside_takes_our_wrapper_with_it(module: Any, point: Point) -> None:
    before = module.f
    seen = Seen()
    entry = point(seen)
    with mock.patch.object(module, "f", lambda x: x):
        entry.install()
    assert module.f is before
    entry.install()
    assert count(seen, module.f) == 1
    entry.remove()
    assert module.f is before


def test_a_patch_inside_gives_back_our_wrapper(module: Any, point: Point) -> None:
    before = module.f
    seen = Seen()
    entry = point(seen)
    entry.install()
    with mock.patch.object(module, "f", lambda x: x):
        assert count(seen, module.f) == 0
    assert count(seen, module.f) == 1
    entry.remove()
    assert module.f is before


@pytest.mark.parametrize("name", ["f", "Derived.m"])
def test_a_patch_across_our_end_survives_and_its_undo_brings_an_inert_wrapper(module: Any, name: str) -> None:
    seen = Seen()
    entry = EntryPoint(MODULE, name, seen)
    holder = module if name == "f" else module.Derived
    attribute = name.rpartition(".")[2]
    before = dict(vars(holder))

    def call(x: int) -> object:
        return module.f(x) if name == "f" else module.Derived().m(x)

    entry.install()
    patch = mock.patch.object(holder, attribute, mock.Mock(side_effect=lambda *args: args[-1]))
    patched = patch.start()
    entry.remove()
    assert vars(holder)[attribute] is patched
    seen.active = False
    patch.stop()
    assert count(seen, call) == 0
    brought_back = vars(holder)[attribute]
    seen.active = True
    entry.install()
    assert vars(holder)[attribute] is brought_back
    assert count(seen, call) == 1
    entry.remove()
    assert dict(vars(holder)) == before


def test_many_patches_across_our_end_never_wrap_twice(module: Any, point: Point) -> None:
    before = module.f
    seen = Seen()
    entry = point(seen)
    patches = []
    for _ in range(10):
        entry.install()
        patch = mock.patch.object(module, "f", lambda x: x)
        patch.start()
        patches.append(patch)
        entry.remove()
    while patches:
        patches.pop().stop()
        entry.install()
        assert count(seen, module.f) == 1
        entry.remove()
    assert module.f is before


# -- with other people's wrappers --------------------------------------------------------------------------------------


def test_a_wrapper_on_top_survives_our_end_and_ours_is_used_again(module: Any, point: Point) -> None:
    before = module.f
    theirs, seen = Seen(), Seen()
    entry = point(seen)
    entry.install()
    handle = wrapt.wrap_function_wrapper(module, "f", theirs)
    assert (count(seen, module.f), count(theirs, module.f)) == (1, 1)
    entry.remove()
    seen.active = False
    assert (count(seen, module.f), count(theirs, module.f)) == (0, 1)
    seen.active = True
    entry.install()
    assert (count(seen, module.f), count(theirs, module.f)) == (1, 1)
    wrapt.unwrap_object(module, "f", handle)
    assert count(seen, module.f) == 1
    entry.remove()
    assert module.f is before


def test_a_wrapper_below_stays(module: Any, point: Point) -> None:
    theirs, seen = Seen(), Seen()
    wrapt.wrap_function_wrapper(module, "f", theirs)
    below = module.f
    entry = point(seen)
    entry.install()
    assert (count(seen, module.f), count(theirs, module.f)) == (1, 1)
    entry.remove()
    assert module.f is below


def test_what_somebody_deleted_is_left_alone(module: Any) -> None:
    entry = EntryPoint(MODULE, "f", Seen())
    entry.install()
    del module.f
    entry.remove()
    assert not hasattr(module, "f")


# -- modules that come and go ------------------------------------------------------------------------------------------


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a module that can be imported, and isn't yet; each test's own, as import hooks are kept."""
    name = f"later_{request.node.name}"
    (tmp_path / f"{name}.py").write_text("def f(x=1): return x\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_module_imported_later_is_wrapped_then(later: str) -> None:
    seen = Seen()
    entry = EntryPoint(later, "f", seen)
    entry.install()
    entry.install()
    assert later not in sys.modules
    module = __import__(later)
    assert count(seen, module.f) == 1
    entry.remove()
    assert type(module.f) is types.FunctionType


def test_a_module_imported_after_our_end_is_left_alone_until_we_are_back(later: str) -> None:
    seen = Seen()
    entry = EntryPoint(later, "f", seen)
    entry.install()
    entry.remove()
    module = __import__(later)
    assert type(module.f) is types.FunctionType
    entry.install()
    assert count(seen, module.f) == 1
    entry.remove()
    assert type(module.f) is types.FunctionType


def test_an_import_that_ends_after_us_wraps_nothing(later: str) -> None:
    entry_point = EntryPoint(later, "f", Seen())
    imports.on_import(later, lambda _module: entry_point.remove())  # as another thread does meanwhile
    entry_point.install()
    module = importlib.import_module(later)
    assert type(module.f) is types.FunctionType


def test_modules_are_found_where_two_threads_have_begun_to_await_them_at_once(
    later: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_point = EntryPoint(later, "f", Seen())
    entry_point.install()
    monkeypatch.setattr(sys, "meta_path", [imports._finder, *sys.meta_path])
    assert sys.meta_path.count(imports._finder) > 1
    module = importlib.import_module(later)
    assert type(module.f) is not types.FunctionType
    entry_point.remove()
    assert type(module.f) is types.FunctionType


def test_a_module_that_was_dropped_and_is_imported_again_is_wrapped_again(later: str) -> None:
    seen = Seen()
    entry = EntryPoint(later, "f", seen)
    for _ in range(3):
        entry.install()
        assert count(seen, __import__(later).f) == 1
        entry.remove()
        del sys.modules[later]


def test_a_module_that_is_executed_again_is_wrapped_at_once_and_all_are_unwrapped(later: str) -> None:
    seen = Seen()
    entry = EntryPoint(later, "f", seen)
    entry.install()
    first = __import__(later)
    loader = first.__loader__
    old = first.f
    del sys.modules[later]
    second = __import__(later)
    assert first is not second
    assert (count(seen, first.f), count(seen, second.f)) == (1, 1)
    importlib.reload(second)
    assert count(seen, second.f) == 1
    assert type(second.__loader__) is type(loader)
    assert second.__spec__ is not None
    assert type(second.__spec__.loader) is type(loader)
    entry.remove()
    assert old is not first.f
    assert type(first.f) is type(second.f) is types.FunctionType
    importlib.reload(second)
    assert type(second.f) is types.FunctionType


def test_what_finds_an_awaited_module_and_does_not_load_it_sees_its_own_loader(later: str) -> None:
    entry = EntryPoint(later, "f", Seen())
    entry.install()
    spec = importlib.util.find_spec(later)
    assert spec is not None
    assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    assert spec.loader.get_source(later)
    with pytest.raises(ModuleNotFoundError):
        EntryPoint(f"{later}_that_is_not_there", "f", Seen()).install()
        __import__(f"{later}_that_is_not_there")
    entry.remove()


@pytest.mark.parametrize("name", ["colorsys", "a_module_that_is_never_imported"])
def test_an_entry_point_that_is_removed_is_held_by_nothing(name: str) -> None:
    importlib.import_module("colorsys")
    wrapper = Seen()
    entry_point = EntryPoint(name, "rgb_to_hsv", wrapper)
    for _ in range(2):
        entry_point.install()
        entry_point.remove()
    left = weakref.ref(wrapper)
    del wrapper, entry_point
    gc.collect()
    assert left() is None


def test_a_module_that_was_dropped_is_unwrapped_all_the_same(module: Any) -> None:
    """pytester's in-process runs put ``sys.modules`` back to what it was."""
    before = module.f
    entry = EntryPoint(MODULE, "f", Seen())
    entry.install()
    del sys.modules[MODULE]
    entry.remove()
    assert module.f is before


def test_a_module_put_in_another_s_place_is_wrapped_and_both_are_unwrapped(module: Any, point: Point) -> None:
    seen = Seen()
    before = module.f
    entry = point(seen)
    entry.install()
    other: Any = types.ModuleType(MODULE)
    other.f = lambda x: x
    original = other.f
    sys.modules[MODULE] = other
    entry.install()
    assert (count(seen, module.f), count(seen, other.f)) == (1, 1)
    entry.remove()
    assert module.f is before
    assert other.f is original


def test_a_blocked_module_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)  # how imports are blocked
    entry = EntryPoint(MODULE, "f", Seen())
    entry.install()
    entry.remove()
    assert sys.modules[MODULE] is None


IMMUTABLE = 1 << 8


@pytest.mark.parametrize("cls", [pytest.param(cls, id=cls.__name__) for cls in (decimal.Decimal, array.array)])
def test_a_method_of_an_extensions_type_is_wrapped_in_the_type_itself(cls: Any) -> None:
    name = {"Decimal": "sqrt", "array": "tolist"}[cls.__name__]
    made: Any = decimal.Decimal(4) if cls is decimal.Decimal else array.array("i", [1])
    original, flags, answer = vars(cls)[name], cls.__flags__ & IMMUTABLE, getattr(made, name)()
    assert flags
    seen = Seen()
    point = EntryPoint(cls.__module__, f"{cls.__name__}.{name}", seen)
    for _ in range(2):
        point.install()
        assert cls.__flags__ & IMMUTABLE == flags
        assert getattr(made, name)() == answer  # of one that was there before
        point.remove()
        assert getattr(made, name)() == answer
        assert vars(cls)[name] is original
    assert seen.calls == 2
    with pytest.raises(TypeError):
        setattr(cls, name, original)


def test_a_constructor_of_an_extensions_type_is_wrapped() -> None:
    cls = collections.deque
    original = vars(cls)["__init__"]
    seen = Seen()
    point = EntryPoint("collections", "deque.__init__", seen)
    point.install()
    try:
        assert list(collections.deque([1, 2])) == [1, 2]
        derived: Any = type("Sub", (collections.deque,), {})
        assert list(derived([3])) == [3]
    finally:
        point.remove()
    assert seen.calls == 2
    assert vars(cls)["__init__"] is original
    assert list(collections.deque([1])) == [1]
    assert seen.calls == 2


def test_a_type_of_unknown_layout_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "_FLAGS", 17)
    original = vars(decimal.Decimal)["sqrt"]
    point = EntryPoint("decimal", "Decimal.sqrt", Seen())
    point.install()
    assert vars(decimal.Decimal)["sqrt"] is original
    point.remove()


@pytest.mark.parametrize("module", [pickle, copy], ids=["pickle", "copy"])
def test_what_is_wrapped_is_pickled_and_copied_as_what_it_is(module: Any) -> None:
    wrapped = [("socket", "create_connection"), ("threading", "Thread.start"), ("socket", "socket.connect")]
    # These call themselves another module's, which holds them unwrapped.
    wrapped += [("os", "system"), ("socket", "gethostbyname"), ("asyncio", "open_connection")]
    wrapped += [("threading", "_allocate_lock")]  # another name there, too
    points = [EntryPoint(home, name, Seen()) for home, name in wrapped]
    for point in points:
        point.install()
    try:
        made = [operator.attrgetter(name)(importlib.import_module(home)) for home, name in wrapped]
        if module is pickle:
            assert [pickle.loads(pickle.dumps(one)) for one in made] == made
        else:
            assert [copy.copy(one) for one in made] == made
            assert copy.deepcopy(made) == made
    finally:
        for point in points:
            point.remove()


def test_a_plain_wrapper_is_what_it_stands_for_in_every_use() -> None:
    def make(wrapped: Any) -> Any:
        return lambda _home, descriptor, data, /: wrapped(descriptor, data)

    before = os.write
    point = EntryPoint("os", "write", Seen(), direct=make)
    point.install()
    try:
        made = os.write
        assert made is not before
        assert pickle.loads(pickle.dumps(made)) == copy.copy(made) == copy.deepcopy([made])[0] == made
        assert (made.__name__, made.__doc__, made.__module__) == ("write", before.__doc__, before.__module__)
        assert len(inspect.signature(made).parameters) == len(inspect.signature(before).parameters) == 2
        assert inspect.unwrap(made) is before

        class Connection:  # as multiprocessing's has it
            write = made

        left, right = os.pipe()
        with open(left, "rb") as read, open(right, "wb"):
            connection: Any = Connection()
            assert connection.write(right, b"ping") == Connection.write(right, b"ping") == 4
            assert os.read(read.fileno(), 8) == b"pingping"
    finally:
        point.remove()
    assert os.write is before


class Counting:
    """Something whose method can be wrapped."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self) -> int:
        """Count a call."""
        self.calls += 1
        return self.calls


def test_a_bound_method_is_copied_with_its_object() -> None:
    seen = Seen()
    point = EntryPoint(__name__, "Counting.count", seen, owner=sys.modules[__name__])
    point.install()
    try:
        mine = Counting()
        method = mine.count
        assert copy.copy(method)() == 1
        assert copy.deepcopy(method)() == 2
        assert pickle.loads(pickle.dumps(mine.count))() == 2
        assert mine.calls == 1
    finally:
        point.remove()
    assert seen.calls == 3


@pytest.mark.parametrize(
    ("before", "there"),
    [
        pytest.param("", False, id="nobody else wants it"),
        pytest.param("import asyncio", True, id="it is there"),
        pytest.param("threading.Thread(target=time.sleep, args=[9], daemon=True).start()", False, id="threads"),
    ],
)
def test_asyncio_comes_with_wrapt_only_where_somebody_else_has_imported_it(before: str, there: bool) -> None:
    script = (
        f"import sys, threading, time\n{before}\n"
        "from pytest_test_categories._host import wrapping\nfinders = list(sys.meta_path)\nwrapping.load()\n"
        "print('asyncio' in sys.modules)\n"
        "assert sys.meta_path == finders\n"
        "import wrapt\n"
        "async def one(): return 1\n"
        "assert wrapt.async_to_sync(one)() == 1\n"
        "import asyncio, asyncio.events\n"
        "assert asyncio.__name__ == 'asyncio' and type(asyncio) is type(sys)\n"
        "assert asyncio.run is wrapt.synchronization.asyncio.run\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(there)


def test_sys_modules_has_no_stand_in_while_wrapt_is_imported() -> None:
    """Whatever another thread imports or finds meanwhile is the module itself."""
    script = (
        "import sys\n"
        "seen = set()\n"
        "class Spy:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        seen.add(type(sys.modules.get('asyncio')).__name__)\n"
        "from pytest_test_categories._host import wrapping\n"
        "sys.meta_path.insert(0, Spy())\nwrapping.load()\n"
        "import wrapt.decorators\n"
        "assert sys.modules['wrapt.synchronization'] is wrapt.synchronization\n"
        "import inspect\n"
        "assert 'import asyncio' in inspect.getsource(wrapt.synchronization)\n"
        "print(*seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "NoneType"


@pytest.mark.parametrize("name", ["f", "Base.m", "Base.c"])
def test_a_wrapper_that_lies_where_it_was_put_gives_back_what_another_tool_has_put_below(
    module: Any, name: str
) -> None:
    """Ours is the outermost all the time, and what it wraps has changed meanwhile."""
    below = wrapt.wrap_function_wrapper(module, name, Seen())
    mine = EntryPoint(MODULE, name, Seen())
    holder, attribute, _ = wrapt.resolve_path(module, name)
    mine.install()
    wrapt.unwrap_object(module, name, below)
    wrapped = vars(holder)[attribute].__wrapped__
    assert wrapped is not below
    mine.remove()
    assert vars(holder)[attribute] is wrapped


def test_what_wrapt_is_spared_is_there_when_it_asks() -> None:
    script = (
        "import sys\nfrom pytest_test_categories._host import wrapping\n"
        "for name in [n for n in sys.modules if n.startswith('importlib.metadata')]: del sys.modules[name]\n"
        "wrapping.load()\nimport wrapt\n"
        "print('importlib.metadata' in sys.modules)\n"
        "wrapt.discover_post_import_hooks('no.such.group')\n"
        "print('importlib.metadata' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
