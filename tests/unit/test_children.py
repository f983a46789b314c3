"""The pipe by which forked children report: nothing that happens to it stops anybody."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import pytest

from pytest_test_categories import network_guard
from pytest_test_categories._host.system import System
from pytest_test_categories._processes.forked import ChildReports
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


def violation(number: int) -> Violation:
    return Violation(test="t", size="small", kind="connect", target=f"198.51.100.1:{number}")


def test_a_full_pipe_takes_no_more_and_stops_no_child() -> None:
    reports = ChildReports()
    for number in range(2000):
        reports.send(1, violation(number), late=False, expected=False)
    received = reports.receive()
    assert 0 < len(received) < 2000
    assert [report.violation for report in received] == [violation(number) for number in range(len(received))]
    reports.send(1, violation(2000), late=False, expected=False)
    assert [report.violation for report in reports.receive()] == [violation(2000)]
    reports.close()


def test_what_a_full_pipe_does_not_take_goes_the_other_way() -> None:
    kept: list[bytes] = []
    reports = ChildReports(kept.append)
    for number in range(2000):
        reports.send(1, violation(number), late=False, expected=False)
    assert len(reports.receive()) + len(kept) == 2000
    assert [json.loads(line)[4]["target"] for line in kept[-1:]] == ["198.51.100.1:1999"]
    reports.close()


def test_without_a_free_descriptor_there_is_no_pipe_and_reports_go_the_other_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_pipe() -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pipe", no_pipe)
    kept: list[bytes] = []
    reports = ChildReports(kept.append)
    reports.send(1, violation(1), late=False, expected=False)
    assert len(kept) == 1
    assert reports.receive() == []
    reports.close()


def test_reading_ends_where_nobody_is_left_to_write() -> None:
    reports = ChildReports()
    reports.send(1, violation(1), late=False, expected=False)
    os.close(reports._write)  # as somebody does who closes descriptors that he doesn't know
    assert [report.violation for report in reports.receive()] == [violation(1)]
    os.close(reports._read)


def test_a_daemon_that_leaves_its_guard_closes_no_file_of_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    guard = network_guard("small", "strict")
    with guard:
        child = os.fork()
        if not child:
            try:
                os.closerange(3, 64)
                files = [os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(20)]
                guard.__exit__(None, None, None)
                for file in files:
                    os.write(file, b"x")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    assert kept.read_bytes() == b"x" * 20


def test_a_part_of_a_record_that_a_pipe_took_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS' pipes take so many bytes as there is room for, of what is longer than 512 of them."""
    kept: list[bytes] = []
    reports = ChildReports(kept.append)
    write = System.write

    def part(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    reports.send(1, violation(1), late=False, expected=False)
    with monkeypatch.context() as patch:
        patch.setattr(System, "write", staticmethod(part))
        reports.send(1, violation(2), late=False, expected=False)
    reports.send(1, violation(3), late=False, expected=False)
    assert [report.violation for report in reports.receive()] == [violation(1), violation(3)]
    assert [json.loads(line)[4]["target"] for line in kept] == ["198.51.100.1:2"]
    reports.close()
