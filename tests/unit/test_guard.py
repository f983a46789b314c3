"""The guard as a context manager: nesting, contexts, delivery, records, other people's patches, warn mode."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import itertools
import json
import pickle
import socket
import subprocess
import sys
import threading
import unittest
import warnings
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
import trio

from pytest_test_categories import (
    EnforcementMode,
    HermeticityViolationError,
    NetworkAccessViolationError,
    NetworkAccessWarning,
    TestSize,
    Violation,
    expect_network_violation,
    network_guard,
)
from pytest_test_categories._attribution.origin import RECORDS_PER_SCOPE, Scope, ScopeKind, current
from pytest_test_categories._ledger.expecting import BLOCKS
from pytest_test_categories._ledger.runs import runs
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    Address = tuple[str, int]

FOREIGN: Final = ("198.51.100.1", 9)


def dial(address: Address = FOREIGN) -> None:
    """Connect, and close."""
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.connect(address)


async def dial_soon(address: Address = FOREIGN) -> None:
    await asyncio.sleep(0)
    dial(address)


def dial_without_guard(listener: Address) -> None:
    dial(listener)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("ENFORCEMENT", "NETWORK_ALLOW", "NETWORK_DENY"):
        monkeypatch.delenv(f"TEST_CATEGORIES_{name}", raising=False)
    outer, runs[:] = list(runs), []  # as outside pytest, whatever plugin this run has
    yield
    runs[:] = outer


@pytest.fixture(autouse=True)
def _nobody_guards_before_or_after() -> Iterator[None]:
    assert runtime.holders == 0
    yield
    assert runtime.holders == 0
    assert current.get() is None or not current.get().open  # type: ignore[union-attr]


@contextlib.contextmanager
def raises_at_the_end() -> Iterator[network_guard]:
    """Guard a block that swallows a refusal: the guard raises it itself."""
    guard = network_guard("small", "strict")
    with pytest.raises(NetworkAccessViolationError) as caught, guard:
        yield guard
    assert caught.value.undelivered
    assert "did not reach the test" in str(caught.value)


class TestForms:
    """with, async with; sizes and modes by name and by member; settings."""

    def test_with_gives_the_guard_and_lets_the_error_out_once(self) -> None:
        with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict") as guard:
            dial()
        assert isinstance(guard, network_guard)
        assert [v.target for v in guard.violations] == ["198.51.100.1:9"]
        assert not caught.value.undelivered
        assert guard.violations[0].location.startswith("tests/unit/test_guard.py:")
        assert guard.violations[0].function == "dial"

    def test_async_with(self) -> None:
        async def main() -> None:
            async with network_guard("small", "strict"):
                await dial_soon()

        with pytest.raises(NetworkAccessViolationError):
            asyncio.run(main())

    @pytest.mark.parametrize("size", [*TestSize, *(size.value for size in TestSize), "SMALL", " Medium "])
    @pytest.mark.parametrize("mode", [*EnforcementMode, *(mode.value for mode in EnforcementMode)])
    def test_sizes_and_modes_by_member_and_by_name(self, size: TestSize | str, mode: EnforcementMode | str) -> None:
        with network_guard(size, mode) as guard:
            assert guard.mode is EnforcementMode.parse(mode)

    @pytest.mark.parametrize(
        ("arguments", "choices"),
        [
            (("tiny",), "small, medium, large, xlarge"),
            ((None,), "small, medium, large, xlarge"),
            (("small", "loud"), "strict, warn, off"),
            (("small", 1), "strict, warn, off"),
        ],
    )
    def test_rule_12_bad_arguments_list_the_choices(self, arguments: tuple[Any, ...], choices: str) -> None:
        with pytest.raises(ValueError, match=choices):
            network_guard(*arguments)

    @pytest.mark.parametrize("allow", ["5432", ["a b"], "[::1", 5, ["host:99999"]])
    def test_rule_12_an_allow_entry_that_does_not_parse(self, allow: Any) -> None:
        with pytest.raises((ValueError, TypeError)):
            network_guard("small", allow=allow)

    def test_rule_14_modes_come_from_the_argument_then_the_environment_then_are_strict(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert network_guard("small").mode is EnforcementMode.STRICT
        monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "warn")
        assert network_guard("small").mode is EnforcementMode.WARN
        assert network_guard("small", "off").mode is EnforcementMode.OFF
        monkeypatch.setenv("TEST_CATEGORIES_ENFORCEMENT", "loud")
        with pytest.raises(ValueError, match="strict, warn, off"), network_guard("small"):
            pass

    def test_the_environment_widens_where_there_is_no_ini_file(
        self, monkeypatch: pytest.MonkeyPatch, listener: Address
    ) -> None:
        monkeypatch.setenv("TEST_CATEGORIES_NETWORK_ALLOW", "small: 127.0.0.1")
        with network_guard("small", "strict"):
            dial(listener)

    def test_off_watches_nothing_and_patches_nothing(self, listener: Address) -> None:
        before = dict(vars(socket.socket))
        with network_guard("small", "off") as guard:
            assert dict(vars(socket.socket)) == before
            dial(listener)
        assert guard.violations == []

    def test_importing_the_names_imports_no_pytest_and_a_script_needs_none(self) -> None:
        script = (
            "import sys\n"
            "from pytest_test_categories import *\n"
            "import pytest_test_categories as p; [getattr(p, name) for name in p.__all__]\n"
            "import socket\n"
            "try:\n"
            "    with network_guard('small', 'strict'): socket.create_connection(('198.51.100.1', 9))\n"
            "except NetworkAccessViolationError as error: print(error.violation.target)\n"
            "assert not {'pytest', '_pytest', 'unittest'} & set(sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "198.51.100.1:9\n"


class TestRule3AGuardOnlyTightens:
    """An attempt passes only if every guard around it permits it."""

    @pytest.mark.parametrize(("outer", "inner"), list(itertools.product([s.value for s in TestSize], repeat=2)))
    def test_nesting_is_the_narrowest(self, listener: Address, outer: str, inner: str) -> None:
        def permitted(*sizes: str) -> bool:
            with contextlib.ExitStack() as stack:
                guards = [stack.enter_context(network_guard(size, "strict")) for size in sizes]
                try:
                    dial(listener)
                except NetworkAccessViolationError as error:
                    error.delivery.deliver(expected=True)
                return not any(guard.violations for guard in guards)

        assert permitted(outer, inner) == (permitted(outer) and permitted(inner))

    @pytest.mark.parametrize("size", ["large", "xlarge", "medium"])
    def test_only_narrows_a_guard_and_what_it_decorates(self, listener: Address, size: str) -> None:
        with network_guard(size, "strict", only=f"127.0.0.1:{listener[1]}"):
            dial(listener)
        with pytest.raises(NetworkAccessViolationError), network_guard(size, "strict", only=["127.0.0.2"]):
            dial(listener)
        with pytest.raises(NetworkAccessViolationError):
            network_guard(size, "strict", only=())(dial)(listener)

    def test_a_list_widens_nothing(self, listener: Address) -> None:
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict", only=["127.0.0.1"]):
            dial(listener)
        with network_guard("small", "strict", allow=["127.0.0.1"], only=["127.0.0.1"]):
            dial(listener)

    def test_what_one_list_permits_an_outer_one_still_refuses(self, listener: Address) -> None:
        outer = network_guard("large", "strict", only=["127.0.0.2"])
        with pytest.raises(NetworkAccessViolationError), outer, network_guard("large", "strict", only=["127.0.0.1"]):
            dial(listener)
        assert [violation.because for violation in outer.violations] == ["network_only does not list it"]

    def test_what_is_remembered_as_permitted_is_asked_about_in_a_narrower_guard(self, listener: Address) -> None:
        with network_guard("large", "strict"):
            for _ in range(2):
                dial(listener)
            with pytest.raises(NetworkAccessViolationError), network_guard("large", "strict", only=["127.0.0.2"]):
                dial(listener)
            dial(listener)

    def test_an_entry_of_only_with_a_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match="holds for every size"):
            network_guard("large", only=["small: db"])

    def test_the_environment_denies_what_no_guard_lifts(
        self, listener: Address, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TEST_CATEGORIES_NETWORK_DENY", f"127.0.0.1:{listener[1]}, api.example.com")
        for guard in (network_guard("large", "strict"), network_guard("small", "strict", allow=["127.0.0.1"])):
            with pytest.raises(NetworkAccessViolationError), guard:
                dial(listener)
            assert [violation.because for violation in guard.violations] == [f"denied by 127.0.0.1:{listener[1]}"]
        with pytest.raises(NetworkAccessViolationError), network_guard("xlarge", "strict"):
            socket.getaddrinfo("API.example.com.", 443)
        with network_guard("large", "off"):
            dial(listener)

    def test_each_refusing_guard_records_and_one_exception_is_raised(self) -> None:
        one, two, three = (network_guard(size, "strict") for size in ("small", "large", "medium"))
        with pytest.raises(NetworkAccessViolationError) as caught, one, two, three:
            dial()
        assert len(caught.value.violations) == 1
        assert [len(guard.violations) for guard in (one, two, three)] == [1, 0, 1]
        assert [guard.violations[0].size for guard in (one, three)] == ["small", "medium"]

    @pytest.mark.parametrize(("outer", "inner"), [("strict", "warn"), ("warn", "strict"), ("strict", "off")])
    def test_strict_beats_warn_and_off(self, outer: str, inner: str) -> None:
        with pytest.raises(NetworkAccessViolationError), network_guard("small", outer), network_guard("small", inner):
            dial()

    def test_an_inner_guard_may_be_strict_where_the_outer_one_warns(self) -> None:
        with (
            pytest.raises(NetworkAccessViolationError),
            network_guard("small", "warn"),
            network_guard("small", "strict"),
        ):
            dial()

    def test_allow_entries_of_an_inner_guard_open_nothing(self, listener: Address) -> None:
        entry = f"small: 127.0.0.1:{listener[1]}"
        with network_guard("small", "strict", allow=[entry]):
            dial(listener)
        with (
            pytest.raises(NetworkAccessViolationError),
            network_guard("small", "strict"),
            network_guard("small", "strict", allow=[entry]),
        ):
            dial(listener)

    def test_re_entered(self, listener: Address) -> None:
        guard = network_guard("small", "strict")
        for _ in range(2):
            with pytest.raises(NetworkAccessViolationError), guard, guard, guard:
                dial()
        dial(listener)
        assert [violation.count for violation in guard.violations] == [2]  # inside itself it counts each once

    @pytest.mark.filterwarnings("ignore::pytest_test_categories.NetworkAccessWarning")
    @pytest.mark.parametrize("form", ["with", "async", "stack"])
    def test_entered_again_it_goes_on_counting(self, form: str) -> None:
        guard = network_guard("small", "warn")

        async def main() -> None:
            async with guard:
                reach()

        def reach() -> None:
            for port in (9, 10):
                with contextlib.suppress(OSError):
                    dial(("127.0.0.1", port))

        for times in range(1, 4):
            if form == "async":
                asyncio.run(main())
            else:
                with contextlib.ExitStack() as stack, contextlib.nullcontext() if form == "stack" else guard:
                    if form == "stack":
                        stack.enter_context(guard)
                    reach()
                    assert [violation.count for violation in guard.violations] == [times, times]
            assert [(v.target, v.count) for v in guard.violations] == [("127.0.0.1:9", times), ("127.0.0.1:10", times)]

    def test_entered_again_after_a_delivery_the_line_is_one(self) -> None:
        guard = network_guard("small", "strict")

        async def main() -> None:
            async with guard:
                await asyncio.get_running_loop().run_in_executor(None, dial)

        for _ in range(3):
            with pytest.raises(NetworkAccessViolationError):
                asyncio.run(main())
        assert [(v.count, bool(v.location)) for v in guard.violations] == [(3, True)]

    @pytest.mark.parametrize("mode", ["strict", "off"])
    def test_left_without_being_entered_it_says_so(self, mode: str) -> None:
        guard = network_guard("small", mode)
        with pytest.raises(RuntimeError, match=r"network_guard\('small', '\w+'\) is not entered"):
            guard.__exit__(None, None, None)
        with guard:
            pass
        with pytest.raises(RuntimeError, match="is not entered"):
            asyncio.run(guard.__aexit__(None, None, None))
        with guard:
            pass
        assert guard.violations == []

    def test_left_out_of_order(self, listener: Address) -> None:
        outer, inner = network_guard("small", "strict"), network_guard("medium", "strict")
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        dial(listener)  # medium still holds, small does not
        with expect_network_violation():
            dial()
        inner.__exit__(None, None, None)
        dial(listener)

    def test_left_while_another_thread_leaves_it(self) -> None:
        guard = network_guard("small", "strict")
        entered, go, gone = (threading.Event() for _ in range(3))

        def other() -> None:
            with guard:
                entered.set()
                go.wait(30)
            gone.set()

        class Leaving(Scope):
            @property
            def kind(self) -> ScopeKind:  # type: ignore[override]
                if threading.current_thread() is threading.main_thread():
                    go.set()
                    gone.wait(30)
                return ScopeKind.BLOCK

        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(30)
        scope = guard._entered[0]
        assert scope is not None
        scope.__class__ = Leaving  # going round the entries meets this one, and with it the other thread
        with pytest.raises(NetworkAccessViolationError), guard, contextlib.suppress(NetworkAccessViolationError):
            dial()
        thread.join()
        assert guard._entered == []

    def test_entered_in_one_context_and_left_in_another(self, listener: Address) -> None:
        guard = network_guard("small", "strict")
        contextvars.copy_context().run(guard.__enter__)
        guard.__exit__(None, None, None)
        dial(listener)

        async def fixture_like() -> None:
            await asyncio.create_task(guard.__aenter__())
            await asyncio.create_task(guard.__aexit__(None, None, None))
            dial(listener)

        asyncio.run(fixture_like())
        dial(listener)

    def test_many_concurrent_guards_of_one_object(self) -> None:
        guard = network_guard("small", "strict")

        async def one() -> None:
            async with guard:
                await dial_soon()

        async def main() -> list[BaseException | None]:
            return await asyncio.gather(*(one() for _ in range(200)), return_exceptions=True)

        results = asyncio.run(main())
        assert {type(result) for result in results} == {NetworkAccessViolationError}


class TestStaleContexts:
    """Contexts that know of no guard, or of closed ones only, are judged by the block that this thread is in."""

    def test_a_fresh_context(self) -> None:
        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            contextvars.Context().run(dial)

    def test_a_kept_runner(self, listener: Address) -> None:
        with asyncio.Runner() as runner:
            runner.run(dial_soon(listener))
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                runner.run(dial_soon(listener))
            runner.run(dial_soon(listener))

    def test_a_runner_that_holds_a_closed_guard(self, listener: Address) -> None:
        with asyncio.Runner() as runner:
            with network_guard("small", "strict"):
                runner.run(asyncio.sleep(0))
            runner.run(dial_soon(listener))
            with network_guard("medium", "strict"):
                runner.run(dial_soon(listener))
            with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
                runner.run(dial_soon(listener))

    def test_the_context_of_a_closed_guard_is_merely_stale(self, listener: Address) -> None:
        with network_guard("small", "strict"):
            kept = contextvars.copy_context()
        with network_guard("large", "strict") as guard:
            kept.run(dial, listener)
        assert guard.violations == []

    def test_guards_of_tasks_are_nobody_elses(self, listener: Address) -> None:
        async def guarded(entered: asyncio.Event, done: asyncio.Event) -> None:
            with network_guard("small", "strict"):
                entered.set()
                await done.wait()

        async def main() -> None:
            entered, done = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(guarded(entered, done))
            await entered.wait()
            dial(listener)
            await asyncio.create_task(dial_soon(listener))
            contextvars.Context().run(dial, listener)
            done.set()
            await task

        asyncio.run(main())

    def test_guards_of_trio_tasks_are_nobody_elses(self, listener: Address) -> None:
        async def guarded(entered: trio.Event, done: trio.Event) -> None:
            with network_guard("small", "strict"):
                entered.set()
                await done.wait()

        async def main() -> None:
            entered, done = trio.Event(), trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(guarded, entered, done)
                await entered.wait()
                dial(listener)
                done.set()

        trio.run(main)

    def test_another_threads_guard_is_not_mine(self, listener: Address) -> None:
        entered, done = threading.Event(), threading.Event()

        def guarded() -> None:
            with network_guard("small", "strict"):
                entered.set()
                done.wait(5)

        thread = threading.Thread(target=guarded)
        thread.start()
        entered.wait(5)
        dial(listener)
        with network_guard("medium", "strict"):
            dial(listener)
        done.set()
        thread.join()


class Closing:
    """An object that dials when it is collected."""

    def __del__(self) -> None:
        dial()


class ClientError(Exception):
    """What a client library makes of ours."""


def wrap_and_drop() -> None:
    try:
        try:
            dial()
        except Exception as error:
            raise ClientError from error
    except ClientError:
        pass


def wrap_from_none_and_drop() -> None:
    with contextlib.suppress(ClientError):
        try:
            dial()
        except Exception:
            raise ClientError from None


def in_thread() -> None:
    thread = threading.Thread(target=swallow, args=[Exception])
    thread.start()
    thread.join()


def swallow(*kinds: type[BaseException]) -> None:
    with contextlib.suppress(*kinds):
        dial()


def in_timer() -> None:
    timer = threading.Timer(0, swallow, [Exception])
    timer.start()
    timer.join()


def in_pool() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(dial)


def in_gather() -> None:
    async def main() -> None:
        await asyncio.gather(dial_soon(), dial_soon(), return_exceptions=True)

    asyncio.run(main())


def in_unawaited_task() -> None:
    async def main() -> None:
        task = asyncio.create_task(dial_soon())
        await asyncio.sleep(0.01)
        task.add_done_callback(lambda done: done.exception())

    asyncio.run(main())


def in_to_thread() -> None:
    async def main() -> None:
        with contextlib.suppress(Exception):
            await asyncio.to_thread(dial)

    asyncio.run(main())


def finally_return() -> int:
    source = "def run(dial):\n    try:\n        dial()\n    finally:\n        return 1\n"
    made: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # from CPython 3.14 on
        exec(compile(source, __file__, "exec"), made)
    return int(made["run"](dial))


def in_generator_close() -> None:
    def generator() -> Generator[int]:
        try:
            yield 1
        finally:
            swallow(Exception)

    steps = generator()
    next(steps)
    steps.close()


SWALLOWED: Final[dict[str, Callable[[], object]]] = {
    "except Exception": lambda: swallow(Exception),
    "except BaseException": lambda: swallow(BaseException),
    "except HermeticityViolationError": lambda: swallow(HermeticityViolationError),
    "retry loop": lambda: retry(),
    "finally return": finally_return,
    "wrapped and dropped": wrap_and_drop,
    "wrapped from None and dropped": wrap_from_none_and_drop,
    "thread": in_thread,
    "timer": in_timer,
    "future nobody awaits": in_pool,
    "gather": in_gather,
    "unawaited task": in_unawaited_task,
    "to_thread": in_to_thread,
    "generator close": in_generator_close,
    "map of a ThreadPoolExecutor": lambda: pool_map(),
}


def retry() -> None:
    for _ in range(3):
        swallow(Exception)


def pool_map() -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pool.map(swallow, [Exception, Exception])


class TestRule2ARefusalNeverGoesUnseen:
    """A strict guard that ends with an undelivered violation raises it."""

    @pytest.mark.parametrize("attack", [pytest.param(attack, id=name) for name, attack in SWALLOWED.items()])
    def test_swallowed(self, attack: Callable[[], object]) -> None:
        with raises_at_the_end() as guard:
            attack()
        assert {v.target for v in guard.violations} == {"198.51.100.1:9"}

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_raised_in_del(self) -> None:
        with raises_at_the_end(), mock.patch.object(sys, "unraisablehook"):
            closing = Closing()
            del closing
            gc.collect()

    def test_except_oserror_does_not_catch_it(self) -> None:
        with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict"):
            swallow(OSError)
        assert not caught.value.undelivered

    @pytest.mark.parametrize("kind", [unittest.SkipTest, pytest.skip.Exception])
    def test_a_skip_in_an_except_clause_does_not_hide_it(self, kind: type[BaseException]) -> None:
        def skipping() -> None:
            try:
                dial()
            except Exception:
                raise kind("no network") from None

        with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
            skipping()

    def test_a_skip_after_an_expected_refusal_stays_a_skip(self) -> None:
        with pytest.raises(unittest.SkipTest), network_guard("small", "strict"):
            with expect_network_violation():
                dial()
            raise unittest.SkipTest("later")

    @pytest.mark.parametrize("wrap", ["cause", "context", "group"])
    def test_carried_by_the_error_that_ends_the_guard_it_is_delivered(self, wrap: str) -> None:
        guard = network_guard("small", "strict")

        def client() -> None:
            try:
                dial()
            except NetworkAccessViolationError as error:
                if wrap == "cause":
                    raise ClientError from error
                if wrap == "group":
                    raise BaseExceptionGroup("several", [ValueError(), error]) from None
                raise ClientError  # noqa: B904 - the subject

        with pytest.raises((ClientError, BaseExceptionGroup)) as caught, guard:
            client()
        assert not getattr(caught.value, "__notes__", [])
        assert len(guard.violations) == 1

    def test_when_the_body_fails_for_another_reason_that_stays_the_failure(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught, network_guard("small", "strict"):
            swallow(Exception)
            _ = 1 / 0
        assert "[TC001]" in "".join(caught.value.__notes__)

    def test_a_failure_inside_several_guards_is_told_once_of_what_was_swallowed(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught, network_guard("small", "strict"):
            with network_guard("small", "strict"):
                swallow(Exception)
                _ = 1 / 0
        (note,) = caught.value.__notes__
        assert "[TC001]" in note

    @pytest.mark.parametrize("chained", [False, True])
    @pytest.mark.parametrize(
        "error",
        [KeyboardInterrupt(), SystemExit(0), GeneratorExit(), asyncio.CancelledError(), pytest.exit.Exception("x")],
    )
    def test_control_flow_is_never_replaced_but_the_record_counts(self, error: BaseException, chained: bool) -> None:
        guard = network_guard("small", "strict")
        with pytest.raises(type(error)) as caught, guard:
            swallow(Exception)
            raise error from (ClientError() if chained else None)
        assert caught.value is error
        assert len(guard.violations) == 1

    def test_trio_cancelled_is_never_replaced(self) -> None:
        guard = network_guard("small", "strict")

        async def main() -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                with guard:
                    swallow(Exception)
                    await trio.sleep(1)
            assert scope.cancelled_caught

        trio.run(main)
        assert len(guard.violations) == 1

    def test_asyncio_cancellation_reaches_its_task(self) -> None:
        async def guarded() -> None:
            async with network_guard("small", "strict"):
                swallow(Exception)
                await asyncio.sleep(10)

        async def main() -> None:
            task = asyncio.create_task(guarded())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()

        asyncio.run(main())

    def test_assert_raises_that_names_our_class_is_delivery_and_any_other_is_not(self) -> None:
        case = unittest.TestCase()
        with network_guard("small", "strict"):
            case.assertRaises(NetworkAccessViolationError, dial)
            with case.assertRaises((OSError, HermeticityViolationError)):
                dial()
            with case.assertRaisesRegex(NetworkAccessViolationError, "TC001"):
                dial()
        with raises_at_the_end(), case.assertRaises(Exception):
            dial()

    def test_swallowed_again_after_a_delivery_it_counts_again(self) -> None:
        case = unittest.TestCase()
        with raises_at_the_end():
            case.assertRaises(NetworkAccessViolationError, dial)
            swallow(Exception)


class TestExpectNetworkViolation:
    """For code whose subject is being refused."""

    def test_takes_what_it_sees(self) -> None:
        with network_guard("small", "strict"):
            with expect_network_violation() as seen:
                dial()
            assert [v.target for v in seen] == ["198.51.100.1:9"]

    @pytest.mark.parametrize("attack", [pytest.param(attack, id=name) for name, attack in SWALLOWED.items()])
    def test_takes_what_was_swallowed_too(self, attack: Callable[[], object]) -> None:
        with network_guard("small", "strict"):
            with expect_network_violation() as seen:
                attack()
            assert {v.target for v in seen} == {"198.51.100.1:9"}

    def test_lets_the_clients_own_error_through(self) -> None:
        def client() -> None:
            try:
                dial()
            except Exception as error:
                raise ClientError from error

        with network_guard("small", "strict"):
            with pytest.raises(ClientError), expect_network_violation() as seen:
                client()
            assert len(seen) == 1

    def test_stops_groups_of_ours_alone(self) -> None:
        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(dial_soon())

        with network_guard("small", "strict"), expect_network_violation():
            asyncio.run(main())

    def test_fails_where_nothing_was_refused(self) -> None:
        with (
            pytest.raises(AssertionError, match="nothing was refused"),
            network_guard("small", "strict"),
            expect_network_violation(),
        ):
            pass

    def test_expects_nothing_where_nothing_is_guarded(self, listener: Address) -> None:
        with network_guard("small", "off"), expect_network_violation() as seen:
            dial(listener)
        assert seen == []

    def test_left_out_of_order_it_ends_no_other_guard(self, listener: Address) -> None:
        expecting, inner = expect_network_violation(), network_guard("small", "strict")
        with network_guard("medium", "strict"):
            expecting.__enter__()
            swallow(Exception)
            inner.__enter__()
            expecting.__exit__(None, None, None)
            with pytest.raises(NetworkAccessViolationError) as caught:
                dial(listener)
            inner.__exit__(type(caught.value), caught.value, None)

    def test_around_the_guard(self) -> None:
        with expect_network_violation() as seen, network_guard("small", "strict"):
            dial()
        assert len(seen) == 1

    def test_what_comes_after_it_is_not_expected(self) -> None:
        with raises_at_the_end():
            with expect_network_violation():
                dial()
            swallow(Exception)

    def test_in_warn_mode_it_takes_the_warning(self, listener: Address) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with network_guard("small", "warn"), expect_network_violation() as seen:
                dial(listener)
        assert len(seen) == 1


class TestRecords:
    """One violation is one record; memory is bounded; records cross processes."""

    def test_many_refused_connects_keep_one_record(self) -> None:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        with sock, network_guard("small", "strict") as guard, expect_network_violation():
            for _ in range(2_000):
                with contextlib.suppress(NetworkAccessViolationError):
                    sock.sendto(b"", FOREIGN)
        assert [violation.count for violation in guard.violations] == [2_000]

    def test_distinct_targets_are_bounded(self) -> None:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        with sock, network_guard("small", "strict") as guard, expect_network_violation():
            for port in range(1, RECORDS_PER_SCOPE + 501):
                with contextlib.suppress(NetworkAccessViolationError):
                    sock.sendto(b"", ("198.51.100.1", port))
        assert len(guard.violations) == RECORDS_PER_SCOPE + 1
        assert (guard.violations[-1].target, guard.violations[-1].count) == ("further targets", 500)

    def test_distinct_targets_of_all_entries_are_bounded(self) -> None:
        guard = network_guard("small", "strict")
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for port in range(1, RECORDS_PER_SCOPE + 101):
                with guard, expect_network_violation():
                    sock.sendto(b"", ("198.51.100.1", port))
        assert len(guard.violations) == RECORDS_PER_SCOPE + 1
        assert (guard.violations[-1].target, guard.violations[-1].count) == ("further targets", 100)

    def test_threads_lose_no_count(self) -> None:
        go = threading.Event()

        def loop() -> None:
            go.wait()
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                for port in range(1, 201):
                    with contextlib.suppress(NetworkAccessViolationError):
                        sock.sendto(b"", ("198.51.100.1", port))

        switch = sys.getswitchinterval()
        try:
            with network_guard("small", "strict") as guard, expect_network_violation():
                threads = [threading.Thread(target=loop) for _ in range(8)]
                for thread in threads:
                    thread.start()
                sys.setswitchinterval(1e-6)  # threads that start under it lose their trace function, and die
                go.set()
                for _ in range(200):
                    assert all(v.count for v in guard.violations)
                for thread in threads:
                    thread.join()
        finally:
            sys.setswitchinterval(switch)
        assert len(guard.violations) == 200
        assert sum(violation.count for violation in guard.violations) == 1600

    def test_rule_8_errors_and_records_pickle(self) -> None:
        with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict") as guard:
            dial()
        for error in (caught.value, NetworkAccessViolationError(guard.violations, undelivered=True)):
            copy = pickle.loads(pickle.dumps(error))
            assert type(copy) is NetworkAccessViolationError
            assert copy.violations == error.violations
            assert copy.undelivered == error.undelivered
            assert str(copy) == str(error)
        (violation,) = guard.violations
        assert pickle.loads(pickle.dumps(violation)) == violation
        assert Violation.from_dict(json.loads(json.dumps(violation.to_dict()))) == violation


class TestRule10OtherPeoplesPatches:
    """A guard takes off its own wrapper and nobody else's."""

    @staticmethod
    def fake(*_args: object, **_kwargs: object) -> str:
        return "fake"

    def test_patched_before_the_guard(self) -> None:
        with mock.patch.object(socket, "gethostbyname", self.fake):
            with network_guard("small", "strict"):
                assert socket.gethostbyname("foreign.example") == "fake"
            assert socket.gethostbyname("foreign.example") == "fake"

    @pytest.mark.parametrize("name", ["connect", "connect_ex", "bind"])
    def test_a_method_patched_before_the_guard(self, name: str) -> None:
        with (
            mock.patch.object(socket.socket, name) as patched,
            network_guard("small", "strict"),
            socket.socket() as sock,
        ):
            getattr(sock, name)(FOREIGN)
            getattr(sock, name)(("foreign.example", 9))
        assert patched.call_count == 2
        assert name not in vars(socket.socket)

    def test_a_patch_that_leads_on_is_judged_where_it_leads(self) -> None:
        real = socket.getaddrinfo

        def spy(*args: Any, **kwargs: Any) -> Any:
            return real(*args, **kwargs)

        with (
            mock.patch.object(socket, "getaddrinfo", spy),
            pytest.raises(NetworkAccessViolationError),
            network_guard("small", "strict"),
        ):
            socket.create_connection(("foreign.example", 9), 1)

    def test_patched_inside_the_guard(self) -> None:
        with network_guard("small", "strict"):
            with mock.patch.object(socket, "gethostbyname", self.fake):
                assert socket.gethostbyname("foreign.example") == "fake"
            with expect_network_violation():
                socket.gethostbyname("foreign.example")

    def test_patched_inside_and_undone_after(self) -> None:
        before = dict(vars(socket))
        patch = mock.patch.object(socket, "gethostbyname", self.fake)
        with network_guard("small", "strict"):
            patch.start()
        assert socket.gethostbyname("x") == "fake"
        patch.stop()  # brings our wrapper back, inert
        assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
        for _ in range(3):
            with network_guard("small", "strict"), expect_network_violation() as seen:
                socket.gethostbyname("foreign.example")
            assert [violation.count for violation in seen] == [1]
        socket.gethostbyname = before["gethostbyname"]

    def test_patched_before_and_undone_inside(self) -> None:
        patch = mock.patch.object(socket, "gethostbyname", self.fake)
        patch.start()
        with network_guard("small", "strict"):
            patch.stop()
            with expect_network_violation():
                socket.gethostbyname("foreign.example")
        assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"

    def test_a_replaced_socket_class(self, listener: Address) -> None:
        real = socket.socket

        class Mine(real):  # type: ignore[valid-type, misc]
            pass

        for swap_first in (True, False):
            patch = mock.patch.object(socket, "socket", Mine)
            guard = network_guard("small", "strict")
            for step in (patch.start, guard.__enter__) if swap_first else (guard.__enter__, patch.start):
                step()
            assert socket.socket is Mine
            with expect_network_violation():
                dial()
            guard.__exit__(None, None, None)
            assert socket.socket is Mine
            dial(listener)
            patch.stop()
            assert socket.socket is real

    def test_an_entry_point_that_is_no_function_meanwhile(self) -> None:
        with mock.patch.object(socket, "getaddrinfo", None), network_guard("small", "strict"):
            assert not callable(socket.getaddrinfo) or True
        assert callable(socket.getaddrinfo)

    def test_vars_of_the_socket_class_are_what_they_were(self) -> None:
        before = (dict(vars(socket.socket)), dict(vars(socket)))
        with network_guard("small", "strict"):
            assert "connect" in vars(socket.socket)
            with network_guard("medium", "strict"):
                pass
            assert "connect" in vars(socket.socket)
        assert (dict(vars(socket.socket)), dict(vars(socket))) == before


class TestWarnMode:
    """A violation warns, and the call goes on."""

    def test_one_record_one_warning_and_one_greppable_line(self, listener: Address) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.resetwarnings()
            with network_guard("small", "warn") as guard:
                for _ in range(5):
                    dial(listener)
        assert [w.category for w in caught] == [NetworkAccessWarning]
        assert str(caught[0].message).startswith("Network access violation in network_guard('small', 'warn')")
        assert str(caught[0].message).endswith(f"attempted connection to 127.0.0.1:{listener[1]}")
        assert caught[0].filename == __file__
        assert [violation.count for violation in guard.violations] == [5]

    def test_under_w_error_it_raises_at_the_call_and_is_on_record(self, listener: Address) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(NetworkAccessWarning), network_guard("small", "warn") as guard:
                socket.create_connection(listener, 1)
        assert len(guard.violations) == 1

    def test_a_lookup_and_its_connects_are_one_attempt(self, listener: Address) -> None:
        real = socket.getaddrinfo

        def answer(_host: object, *args: Any, **kwargs: Any) -> Any:
            found = real("127.0.0.1", *args, **kwargs)
            return [real("127.0.0.1", 1, *args[1:], **kwargs)[0], *found]

        with mock.patch.object(socket, "getaddrinfo", answer), warnings.catch_warnings(record=True) as caught:
            warnings.resetwarnings()
            with network_guard("small", "warn") as guard:
                socket.create_connection(("db.example", listener[1]), 1).close()
        assert len([w for w in caught if w.category is NetworkAccessWarning]) == 1
        assert [(v.target, v.count) for v in guard.violations] == [(f"db.example:{listener[1]}", 1)]


class TestThreads:
    """Rule 4: threads are charged to who started them, jobs to who submitted them."""

    @pytest.mark.parametrize("method", ["submit", "map"])
    def test_jobs_of_an_older_executor(self, method: str) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(int).result()
            with raises_at_the_end():
                if method == "submit":
                    pool.submit(dial)
                else:
                    pool.map(dial, [FOREIGN])
                pool.submit(int).result()

    @pytest.mark.parametrize(
        "submit",
        [
            pytest.param(lambda pool: pool.apply_async(swallow, [Exception]).get(5), id="apply_async"),
            pytest.param(
                lambda pool: pool.apply_async(func=swallow, args=[Exception]).get(5), id="apply_async keywords"
            ),
            pytest.param(lambda pool: pool.apply(swallow, [Exception]), id="apply"),
            pytest.param(lambda pool: pool.map(swallow, [Exception]), id="map"),
            pytest.param(lambda pool: pool.starmap(swallow, [(Exception,)]), id="starmap"),
            pytest.param(lambda pool: list(pool.imap(swallow, [Exception])), id="imap"),
            pytest.param(lambda pool: list(pool.imap(func=swallow, iterable=[Exception])), id="imap keywords"),
            pytest.param(lambda pool: list(pool.imap_unordered(swallow, [Exception])), id="imap_unordered"),
        ],
    )
    def test_jobs_of_an_older_thread_pool(self, submit: Callable[[ThreadPool], object]) -> None:
        with ThreadPool(1) as pool:
            pool.apply(int)
            with raises_at_the_end():
                submit(pool)
        pool.join()

    def test_a_thread_start_bound_before_the_guard(self) -> None:
        start = threading.Thread.start
        with raises_at_the_end():
            thread = threading.Thread(target=swallow, args=[Exception])
            start(thread)
            thread.join()

    def test_a_thread_started_by_a_thread(self) -> None:
        with raises_at_the_end():
            thread = threading.Thread(target=in_thread)
            thread.start()
            thread.join()

    def test_a_pass_of_one_thread_is_not_anothers(self, listener: Address) -> None:
        """Hammer one address from a large and from a small guard: the small one never gets through."""
        stop = threading.Event()
        through: list[str] = []

        def permitted() -> None:
            with network_guard("large", "strict"):
                while not stop.is_set():
                    socket.getaddrinfo("localhost", listener[1])
                    socket.gethostbyaddr("127.0.0.1")

        def held() -> None:
            with network_guard("small", "strict"), expect_network_violation():
                for _ in range(300):
                    try:
                        socket.gethostbyaddr("198.51.100.7")
                    except NetworkAccessViolationError:
                        continue
                    through.append("!")

        threads = [threading.Thread(target=permitted) for _ in range(2)] + [threading.Thread(target=held)]
        for thread in threads:
            thread.start()
        threads[-1].join()
        stop.set()
        for thread in threads:
            thread.join()
        assert through == []

    def test_an_allowed_name_stays_allowed_while_other_threads_look_it_up(self) -> None:
        def answer(_host: object, port: int, *_args: object, **_kwargs: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        errors: list[BaseException] = []

        go = threading.Event()

        def loop() -> None:
            go.wait()
            for _ in range(200):
                try:
                    socket.getaddrinfo("db.example", 9)
                    with socket.socket(type=socket.SOCK_DGRAM) as sock:
                        sock.connect(("127.0.0.1", 9))
                except BaseException as error:
                    errors.append(error)

        switch = sys.getswitchinterval()
        try:
            with (
                mock.patch.object(socket, "getaddrinfo", answer),
                network_guard("small", "strict", allow=["small: db.example:9"]),
            ):
                threads = [threading.Thread(target=loop) for _ in range(8)]
                for thread in threads:
                    thread.start()
                sys.setswitchinterval(1e-6)  # threads that start under it lose their trace function, and die
                go.set()
                for thread in threads:
                    thread.join()
        finally:
            sys.setswitchinterval(switch)
        assert errors == []

    def test_guards_come_and_go_in_many_threads(self, listener: Address) -> None:
        errors: list[BaseException] = []

        def loop() -> None:
            try:
                for _ in range(20):
                    with network_guard("medium", "strict") as guard:
                        dial(listener)
                        with expect_network_violation():
                            dial()
                    assert len(guard.violations) == 1
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=loop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []

    def test_a_guard_that_another_threads_guard_outlives_calls_it_late(self) -> None:
        entered, go = threading.Event(), threading.Event()
        raised: list[NetworkAccessViolationError] = []

        def outliving() -> None:
            with contextlib.suppress(NetworkAccessViolationError), network_guard("large", "strict"):
                entered.set()
                go.wait(5)
                try:
                    dial()
                except NetworkAccessViolationError as error:
                    raised.append(error)

        with network_guard("small", "strict") as guard:
            thread = threading.Thread(target=outliving)
            thread.start()
            entered.wait(5)
        go.set()
        thread.join()
        assert "outlived it" in raised[0].violation.late
        assert guard.violations == []

    def test_no_unknown_thread_is_charged_to_a_block(self, listener: Address) -> None:
        go, done = threading.Event(), threading.Event()

        def older() -> None:
            go.wait(5)
            dial(listener)
            done.set()

        thread = threading.Thread(target=older)
        thread.start()
        with network_guard("small", "strict"):
            go.set()
            assert done.wait(5)
        thread.join()


def test_a_refused_connection_is_not_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with network_guard("small", "strict"), expect_network_violation():
            dial(server.getsockname())
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_guard_in_an_exit_stack_is_named_after_the_line_that_entered_it() -> None:
    with contextlib.ExitStack() as stack:
        guard = stack.enter_context(network_guard("small", "warn"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            socket.socket().connect_ex(("127.0.0.1", 1))
    assert "test_guard.py" in guard.violations[0].test


def test_what_pytest_raises_returns_is_wrapped_under_its_name() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        raise ZeroDivisionError
    assert caught.value
    names = {
        (type(one).__module__, type(one).__name__) for one in (pytest.raises(OSError), pytest.RaisesGroup(OSError))
    }
    assert names == {block for block in BLOCKS if block[0].startswith("_pytest.")}
