"""What is on record, and how many attempts of it somebody was told of."""

from __future__ import annotations

import contextlib
import unittest
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard
from pytest_test_categories._attribution.origin import Scope, ScopeKind
from pytest_test_categories._ledger.records import Delivery, Expecting, Gathered, Record
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = ("127.0.0.1", 9)


def record(count: int = 0) -> Record:
    made = Record(Violation(test="t", size="small", kind="connect", target="x:1"))
    made.count = count
    return made


def dial() -> None:
    import socket

    with socket.socket() as sock:
        sock.connect(HERE)


def swallow(times: int = 1) -> None:
    for _ in range(times):
        with contextlib.suppress(NetworkAccessViolationError):
            dial()


def test_a_delivery_counts_its_attempts_once() -> None:
    one = record(3)
    delivery = Delivery([(one, 1)])
    delivery.deliver()
    delivery.deliver()
    assert (one.undelivered, one.expected) == (2, 0)
    delivery.deliver(expected=True)
    delivery.deliver(expected=True)
    assert (one.undelivered, one.expected) == (2, 1)


def test_the_rest_of_a_record_is_told_to_those_of_the_same_attempts() -> None:
    inner, outer = record(2), record(5)
    inner.same_attempt = outer.same_attempt = [inner, outer]
    Delivery.of_the_rest([inner]).deliver()
    assert (inner.undelivered, outer.undelivered) == (0, 3)


def test_a_block_takes_what_was_made_inside_of_it() -> None:
    one, two, others = record(2), record(0), record(0)
    scope = Scope(ScopeKind.TEST, None, "a test")
    block = Expecting([one])
    one.count += 4  # of them one by somebody else, meanwhile
    block.add(scope, one, 3)
    two.count += 1
    block.add(scope, two)
    others.count += 1
    assert block.deliver(Delivery([(two, 1)]).deliver) == [(scope, one, 3), (scope, two, 1)]
    assert (one.undelivered, one.expected, two.undelivered, others.undelivered) == (3, 3, 0, 1)


def expecting() -> None:
    with expect_network_violation():
        dial()


def asserts() -> None:
    with unittest.TestCase().assertRaises(NetworkAccessViolationError):
        dial()


def asserts_called() -> None:
    unittest.TestCase().assertRaises(NetworkAccessViolationError, dial)


BLOCKS = [pytest.param(block, id=block.__name__) for block in (expecting, asserts, asserts_called)]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("before", [True, False], ids=["swallowed before", "swallowed after"])
def test_rule_2_what_was_swallowed_stays_undelivered_whatever_is_expected_at_the_same_line(
    block: Callable[[], None], before: bool
) -> None:
    with pytest.raises(NetworkAccessViolationError, match="did not reach the test"), network_guard("small", "strict"):
        if before:
            swallow()
        block()
        if not before:
            swallow()


@pytest.mark.parametrize("block", BLOCKS)
def test_rule_2_what_is_expected_alone_is_delivered(block: Callable[[], None]) -> None:
    with network_guard("small", "strict") as guard:
        block()
        block()
    assert [violation.count for violation in guard.violations] == [2]


def test_rule_2_retries_inside_of_one_block_are_delivered_by_it() -> None:
    with network_guard("small", "strict"), expect_network_violation() as seen:
        swallow(3)
    assert [violation.count for violation in seen] == [3]
    with network_guard("small", "strict"), unittest.TestCase().assertRaises(NetworkAccessViolationError):
        swallow(2)
        dial()


def test_an_expecting_block_tells_of_its_own_attempts_alone() -> None:
    with pytest.raises(NetworkAccessViolationError), network_guard("small", "strict"):
        swallow(4)
        with expect_network_violation() as seen:
            dial()
        assert [violation.count for violation in seen] == [1]


def test_rule_2_an_error_tells_of_its_own_attempt_to_every_guard_around() -> None:
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small", "strict") as outer:
        swallow()
        with contextlib.suppress(NetworkAccessViolationError), network_guard("small", "strict"):
            dial()
    assert caught.value.undelivered
    assert [violation.count for violation in outer.violations] == [2]


def test_what_is_gathered_of_guards_is_bounded_and_complete() -> None:
    gathered = Gathered()
    for number in range(3 * gathered.LIMIT):
        at_one_place, expected, elsewhere = record(2), record(1), record(1)
        expected.expected = 1
        elsewhere.violation = elsewhere.violation._replace(target=f"{number}:1")
        gathered.add([at_one_place, expected, elsewhere])
    kept = gathered.records
    assert len(kept) < 2 * gathered.LIMIT
    assert sum(one.count - one.expected for one in kept) == 3 * gathered.LIMIT * 3
    assert sum(one.count - one.expected for one in kept if one.violation.target == "x:1") == 3 * gathered.LIMIT * 2
    assert "further targets" in {one.violation.target for one in kept}


def test_the_latest_records_are_kept_themselves_since_their_errors_may_be_expected_later() -> None:
    gathered = Gathered()
    gathered.add([record(1) for _ in range(gathered.LIMIT)])
    latest = record(1)
    gathered.add([latest])
    assert [one for one in gathered.records if one is latest] == [latest]
