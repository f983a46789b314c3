"""Rule 4: a signal handler is charged to whoever installed it, and looks like what was installed."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories._attribution import origin
from pytest_test_categories._attribution.carriers.signals import SignalJob, forget
from pytest_test_categories._attribution.origin import Scope, ScopeKind, charge, current
from pytest_test_categories._rules.policy import EnforcementMode, Policy, TestSize
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

if not hasattr(signal, "SIGUSR1"):
    pytest.skip("this platform has no signals of one's own", allow_module_level=True)

found: list[object] = []
NUMBER = signal.SIGUSR1 if hasattr(signal, "SIGUSR1") else signal.SIGINT


def scope(kind: str = "test", parent: Scope | None = None) -> Scope:
    return Scope(ScopeKind(kind), Policy(TestSize.SMALL, EnforcementMode.STRICT), "a test", parent=parent)


@pytest.fixture(autouse=True)
def _layers() -> Iterator[None]:
    runtime.hold()
    phases = list(origin.state.phases)
    origin.state.phases.clear()
    token = current.set(None)
    before = signal.getsignal(NUMBER)
    yield
    signal.signal(NUMBER, before)
    forget()
    current.reset(token)
    origin.state.phases[:] = phases
    runtime.release()
    found.clear()


def look(*_: object) -> None:
    found.append(charge())


def raise_signal(inside: Scope | None) -> origin.Charge:
    token = current.set(inside)
    os.kill(os.getpid(), NUMBER)
    current.reset(token)
    charged = found.pop()
    assert isinstance(charged, origin.Charge)
    return charged


def test_rule_4_a_handler_is_a_leftover_of_whoever_installed_it() -> None:
    mine, other = scope(), scope()
    current.set(mine)
    signal.signal(NUMBER, look)
    mine.close()
    charged = raise_signal(other)
    assert charged.scopes == (mine,)
    assert charged.late == "by a signal handler that a test installed"


def test_a_handler_is_held_to_the_blocks_that_it_interrupts_in_its_own_test() -> None:
    mine = scope()
    current.set(mine)
    signal.signal(NUMBER, look)
    block = scope("block", mine)
    assert raise_signal(block).scopes == (block, mine)


def test_a_fixtures_handler_is_held_to_it_until_it_is_torn_down() -> None:
    fixture = scope("fixture")
    current.set(fixture)
    signal.signal(signalnum=NUMBER, handler=look)
    fixture.open, fixture.held = False, True
    charged = raise_signal(scope())
    assert (charged.scopes, charged.late) == ((fixture,), "")


def test_rule_9_others_see_the_handler_that_was_installed() -> None:
    current.set(scope())
    before = signal.signal(NUMBER, look)
    assert type(sys.modules["_signal"].getsignal(NUMBER)) is SignalJob
    assert sys.modules["_signal"].getsignal(NUMBER) == look
    assert signal.getsignal(NUMBER) is look
    assert signal.signal(NUMBER, signal.SIG_IGN) is look
    assert signal.signal(NUMBER, before) is signal.SIG_IGN
    assert signal.getsignal(NUMBER) is before


def test_who_puts_a_handler_back_has_not_installed_it() -> None:
    signal.signal(NUMBER, look)  # the runner's
    current.set(scope())
    before = signal.signal(NUMBER, print)
    signal.signal(NUMBER, before)
    assert sys.modules["_signal"].getsignal(NUMBER) is look


def test_who_installs_the_handler_of_a_test_that_has_ended_is_charged() -> None:
    mine, other = scope(), scope()
    current.set(mine)
    signal.signal(NUMBER, look)
    signal.signal(NUMBER, signal.SIG_DFL)
    mine.close()
    current.set(other)
    signal.signal(NUMBER, look)
    assert raise_signal(None).scopes == (other,)


def test_handlers_are_left_to_themselves_in_the_end() -> None:
    current.set(scope())
    signal.signal(NUMBER, look)
    forget()
    assert sys.modules["_signal"].getsignal(NUMBER) is look


@pytest.mark.parametrize("arguments", [(), (NUMBER,), ("x", look), (NUMBER, "x"), (0, look), (10**6, look)])
def test_rule_9_bad_arguments_raise_what_they_raise_without_the_guard(arguments: tuple[object, ...]) -> None:
    current.set(scope())
    install: Any = signal.signal
    with pytest.raises((TypeError, ValueError)) as wrapped:
        install(*arguments)
    with pytest.raises(wrapped.type) as plain:
        install.__wrapped__(*arguments)
    assert str(wrapped.value) == str(plain.value)


def test_rule_9_asyncio_takes_its_own_handlers_away() -> None:
    current.set(scope())
    before = signal.getsignal(signal.SIGINT)

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(NUMBER, look)
        os.kill(os.getpid(), NUMBER)
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().remove_signal_handler(NUMBER)

    asyncio.run(main())
    assert len(found) == 1
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.getsignal(NUMBER) is signal.SIG_DFL


def test_what_a_replaced_handler_leads_to_does_not_live_on() -> None:
    class Service:
        def stop(self, *_: object) -> None: ...

    current.set(scope())
    service = Service()
    gone = weakref.ref(service)
    signal.signal(NUMBER, service.stop)
    signal.signal(NUMBER, look)
    del service
    gc.collect()
    assert gone() is None


def test_a_replaced_handler_that_somebody_has_is_put_back_as_it_was() -> None:
    class Service:
        def look(self, *_: object) -> None:
            look()

    mine, other = scope("fixture"), scope()
    current.set(mine)
    signal.signal(NUMBER, Service().look)
    current.set(other)
    before = signal.signal(NUMBER, look)
    gc.collect()
    signal.signal(NUMBER, before)
    assert raise_signal(other).scopes == (mine,)


def test_an_event_loop_that_has_ended_does_not_live_on() -> None:
    async def main() -> weakref.ref[asyncio.AbstractEventLoop]:
        return weakref.ref(asyncio.get_running_loop())

    current.set(scope())
    loop = asyncio.run(main())
    gc.collect()
    assert loop() is None
