"""The guard as a decorator: each form is guarded while it runs, keeps its signature, and is safe under concurrency."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import socket
import unittest
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Address = tuple[str, int]

FOREIGN: Final = ("198.51.100.1", 9)

small = network_guard("small", "strict")


def dial(address: Address = FOREIGN) -> None:
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(address)


@small
def function(address: Address, *, name: str = "x") -> str:
    """A docstring."""
    dial(address)
    return name


@small
async def coroutine(address: Address) -> None:
    await asyncio.sleep(0)
    dial(address)


@small
def generator(address: Address) -> Iterator[int]:
    yield 1
    dial(address)


@small
async def async_generator(address: Address) -> AsyncIterator[int]:
    yield 1
    await asyncio.sleep(0)
    dial(address)


class Holder:
    """Methods of each kind."""

    @small
    def method(self, address: Address) -> None:
        assert isinstance(self, Holder)
        dial(address)

    @small
    @classmethod
    def classmethod_inside(cls, address: Address) -> None:
        assert cls is Holder
        dial(address)

    @classmethod
    @small
    def classmethod_outside(cls, address: Address) -> None:
        assert cls is Holder
        dial(address)

    @small
    @staticmethod
    def staticmethod_inside(address: Address) -> None:
        dial(address)

    @staticmethod
    @small
    def staticmethod_outside(address: Address) -> None:
        dial(address)

    @small
    async def coroutine(self, address: Address) -> None:
        await asyncio.sleep(0)
        dial(address)


class AsyncCallable:
    """An object whose call is a coroutine."""

    async def __call__(self, address: Address) -> None:
        dial(address)


def plain_around(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a coroutine function as many libraries do: with a plain function."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


async def exhaust(steps: AsyncIterator[int]) -> None:
    async for _ in steps:
        pass


async def plain_coroutine(address: Address) -> None:
    await asyncio.sleep(0)
    dial(address)


FORMS: Final[dict[str, Callable[[Address], object]]] = {
    "function": lambda to: function(to),
    "method": lambda to: Holder().method(to),
    "method of the class": lambda to: Holder.method(Holder(), to),
    "classmethod inside": lambda to: Holder.classmethod_inside(to),
    "classmethod outside": lambda to: Holder.classmethod_outside(to),
    "staticmethod inside": lambda to: Holder.staticmethod_inside(to),
    "staticmethod outside": lambda to: Holder().staticmethod_outside(to),
    "coroutine": lambda to: asyncio.run(coroutine(to)),
    "coroutine method": lambda to: asyncio.run(Holder().coroutine(to)),
    "generator": lambda to: list(generator(to)),
    "async generator": lambda to: asyncio.run(exhaust(async_generator(to))),
    "partial": lambda to: small(functools.partial(dial, to))(),
    "partial of a coroutine function": lambda to: asyncio.run(small(functools.partial(plain_coroutine, to))()),
    "lambda": lambda to: small(lambda: dial(to))(),
    "callable object": lambda to: asyncio.run(small(AsyncCallable())(to)),
    "plain function around a coroutine function": lambda to: asyncio.run(small(plain_around(plain_coroutine))(to)),
}


@pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in FORMS.items()])
def test_each_form_is_guarded(listener: Address, form: Callable[[Address], object]) -> None:
    with pytest.raises(NetworkAccessViolationError) as caught:
        form(listener)
    assert not caught.value.undelivered
    assert runtime.holders == 0
    dial(listener)


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_arguments_results_and_signature_are_kept(mode: str) -> None:
    @network_guard("small", mode)
    def add(one: int, two: int = 2, *rest: int, three: int) -> int:
        """Add."""
        return one + two + sum(rest) + three

    assert add(1, three=3) == 6
    assert str(inspect.signature(add)) == "(one: 'int', two: 'int' = 2, *rest: 'int', three: 'int') -> 'int'"
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert str(inspect.signature(function)) == "(address: 'Address', *, name: 'str' = 'x') -> 'str'"
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)


def test_what_swallows_is_told_at_the_end() -> None:
    @small
    def swallowing() -> None:
        with contextlib.suppress(Exception):
            dial()

    @small
    async def swallowing_coroutine() -> None:
        with contextlib.suppress(Exception):
            dial()

    @small
    def swallowing_generator() -> Iterator[int]:
        with contextlib.suppress(Exception):
            dial()
        yield 1

    for call in (swallowing, lambda: asyncio.run(swallowing_coroutine()), lambda: list(swallowing_generator())):
        with pytest.raises(NetworkAccessViolationError) as caught:
            call()
        assert caught.value.undelivered


def test_the_life_of_a_coroutine_is_guarded_and_not_its_creation(listener: Address) -> None:
    made = coroutine(listener)
    assert runtime.holders == 0
    dial(listener)
    with pytest.raises(NetworkAccessViolationError):
        asyncio.run(made)
    coroutine(listener).close()
    assert runtime.holders == 0


def test_a_generators_guard_covers_its_own_steps_only(listener: Address) -> None:
    log: list[object] = []

    @small
    def steps() -> Iterator[str]:
        try:
            log.append((yield "first"))
            try:
                yield "second"
            except ValueError as error:
                log.append(error)
            with expect_network_violation():
                dial()
            yield "third"
        finally:
            with expect_network_violation():
                dial()
            log.append("closed")

    running: Any = steps()
    assert runtime.holders == 0
    assert next(running) == "first"
    dial(listener)
    assert running.send("sent") == "second"
    dial(listener)
    error = ValueError()
    assert running.throw(error) == "third"
    dial(listener)
    running.close()
    assert log == ["sent", error, "closed"]
    assert runtime.holders == 0


def test_a_generators_result_and_delegation() -> None:
    @small
    def inner() -> Any:
        got = yield 1
        return got

    def outer() -> Any:
        return (yield from inner())

    running = outer()
    next(running)
    with pytest.raises(StopIteration) as end:
        running.send("result")
    assert end.value.value == "result"


def test_an_async_generators_steps(listener: Address) -> None:
    log: list[object] = []

    @small
    async def steps() -> Any:
        try:
            log.append((yield 1))
            try:
                yield 2
            except ValueError as error:
                log.append(error)
            yield 3
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def main() -> None:
        running = steps()
        assert await anext(running) == 1
        dial(listener)
        assert await running.asend("sent") == 2
        error = ValueError()
        assert await running.athrow(error) == 3
        dial(listener)
        await running.aclose()
        assert log == ["sent", error, "closed"]

    asyncio.run(main())
    assert runtime.holders == 0


def test_a_thousand_runs_in_gather_are_a_thousand_guards(listener: Address) -> None:
    seen: list[int] = []

    @network_guard("medium", "strict")
    async def one(number: int) -> int:
        seen.append(runtime.holders)
        await asyncio.sleep(0)
        if number % 2:
            dial()
        return number

    async def main() -> list[int | BaseException]:
        results = await asyncio.gather(*(one(number) for number in range(1000)), return_exceptions=True)
        dial(listener)
        return results

    results = asyncio.run(main())
    assert max(seen) == 1000
    assert results[::2] == list(range(0, 1000, 2))
    assert {type(result) for result in results[1::2]} == {NetworkAccessViolationError}
    assert runtime.holders == 0


def test_recursion() -> None:
    @small
    def deeper(levels: int) -> int:
        if not levels:
            with pytest.raises(NetworkAccessViolationError):
                dial()
            return runtime.holders
        return deeper(levels - 1)

    with expect_network_violation() as seen:
        assert deeper(20) == 21
    assert len(seen) == 1


def test_rule_3_a_guard_only_tightens_through_decorators(listener: Address) -> None:
    @network_guard("large", "strict")
    def large() -> None:
        dial(listener)

    large()
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
        large()


def test_above_a_fixture_it_says_to_swap_the_two() -> None:
    @pytest.fixture
    def fixture() -> int:
        return 1

    with pytest.raises(TypeError, match="swap the two"):
        small(fixture)


@pytest.mark.parametrize("target", [1, "text", None, property(dial)])
def test_what_cannot_be_guarded_is_a_type_error(target: object) -> None:
    with pytest.raises(TypeError, match="decorates functions and classes"):
        small(target)


@pytest.fixture
@small
def guarded_fixture() -> int:
    with expect_network_violation() as seen:
        dial()
    return len(seen)


@pytest.fixture
@small
def guarded_generator_fixture(tmp_path: object) -> Iterator[int]:
    with expect_network_violation() as seen:
        dial()
    yield len(seen) if tmp_path else 0
    with expect_network_violation():
        dial()


def test_fixture_functions(listener: Address, guarded_fixture: int, guarded_generator_fixture: int) -> None:
    assert (guarded_fixture, guarded_generator_fixture) == (1, 1)
    dial(listener)


class Base:
    """A class as pytest collects it."""

    def setup_method(self) -> None:
        with expect_network_violation():
            dial()

    @classmethod
    def setup_class(cls) -> None:
        with expect_network_violation():
            dial()

    def test_inherited(self) -> None:
        dial()


class Undecorated:
    """A class that stands in a decorated one under a name like a test's."""

    def test_other(self) -> None:
        dial()


UNDECORATED: Final = Undecorated.test_other


@small
class Decorated(Base):
    """Guards what it defines and what it inherits."""

    test_attribute = 1
    test_class = Undecorated

    def test_own(self) -> None:
        dial()

    async def test_async(self) -> None:
        dial()

    @staticmethod
    def test_static() -> None:
        dial()

    def helper(self, address: Address) -> None:
        dial(address)


def test_a_pytest_class(listener: Address) -> None:
    case = Decorated()
    for call in (case.test_own, case.test_inherited, case.test_static, lambda: asyncio.run(case.test_async())):
        with pytest.raises(NetworkAccessViolationError):
            call()
    case.setup_method()
    Decorated.setup_class()
    case.helper(listener)
    assert "test_inherited" not in [name for name, value in vars(Base).items() if hasattr(value, "__wrapped__")]
    assert Decorated.test_attribute == 1
    assert Decorated.test_class is Undecorated
    assert Undecorated.test_other is UNDECORATED


def test_a_unittest_class() -> None:
    @small
    class Case(unittest.TestCase):
        """A unittest class."""

        @classmethod
        def setUpClass(cls) -> None:
            with expect_network_violation():
                dial()

        def setUp(self) -> None:
            with expect_network_violation():
                dial()

        def runTest(self) -> None:
            dial()

        def test_swallowing(self) -> None:
            with contextlib.suppress(Exception):
                dial()

    result = unittest.TestResult()
    unittest.TestSuite([Case("test_swallowing"), Case()]).run(result)
    assert [test.id().rpartition(".")[2] for test, _ in result.errors] == ["test_swallowing", "runTest"]
    assert runtime.holders == 0


def test_a_report_names_the_function_and_where_it_was_decorated() -> None:
    with pytest.raises(NetworkAccessViolationError) as caught:
        function(FOREIGN)
    assert caught.value.violation.test == "function"


def test_a_guard_that_a_guarded_function_enters_and_leaves_open_outlasts_it(listener: Address) -> None:
    @network_guard("medium", "strict")
    def start() -> network_guard:
        guard = network_guard("small", "strict")
        guard.__enter__()
        return guard

    async def main() -> None:  # outside a loop the thread would be held to it, too
        dial(listener)
        guard = start()
        with pytest.raises(NetworkAccessViolationError):
            dial(listener)
        assert len(guard.violations) == 1
        with contextlib.suppress(NetworkAccessViolationError):
            guard.__exit__(None, None, None)
        dial(listener)

    asyncio.run(main())


def test_an_async_generator_ends_as_it_does_unguarded_and_then_tells_what_it_swallowed() -> None:
    @small
    async def numbers(*, swallow: bool) -> AsyncIterator[int]:
        yield 1
        if swallow:
            with contextlib.suppress(Exception):
                dial()
        yield 2

    async def take(*, swallow: bool) -> list[int]:
        return [number async for number in numbers(swallow=swallow)]

    assert asyncio.run(take(swallow=False)) == [1, 2]
    with pytest.raises(NetworkAccessViolationError) as caught:
        asyncio.run(take(swallow=True))
    assert caught.value.undelivered
