"""The probe says in one line why the layer can't work."""

from __future__ import annotations

import sys
import threading

import pytest

from pytest_test_categories._kernel import probe
from pytest_test_categories._kernel.processes import text_of

NO_CAPABILITIES = "Name:\tx\nCapEff:\t0000000000000000\n"
ALL_CAPABILITIES = "Name:\tx\nCapEff:\t000001ffffffffff\n"


def test_another_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert probe.unavailable() == "it needs Linux, and this is darwin"


def test_another_implementation_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPy has no ``gc.freeze``, and nobody has tried what forking costs there."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert probe.unavailable() == "it needs CPython, and this is pypy"


@pytest.mark.parametrize(
    ("machine", "largest", "expected"),
    [
        pytest.param("x86_64", 2**63 - 1, "", id="x86_64"),
        pytest.param("aarch64", 2**63 - 1, "", id="aarch64"),
        pytest.param("riscv64", 2**63 - 1, "it knows x86_64 and aarch64, and this is riscv64", id="unknown"),
        pytest.param("x86_64", 2**31 - 1, "it needs a 64 bit Python", id="32 bit"),
    ],
)
def test_it_knows_two_machines(machine: str, largest: int, expected: str) -> None:
    assert probe._wrong_machine(machine, largest) == expected


@pytest.mark.parametrize(
    ("release", "works"),
    [("5.4.0-26-generic", False), ("4.19", False), ("5.6", True), ("5.15.0", True), ("6.1", True), ("odd", True)],
)
def test_old_kernels_have_none(release: str, works: bool) -> None:
    assert (probe._wrong_kernel(release) == "") is works


@pytest.mark.parametrize(
    ("yama", "status", "works"),
    [
        pytest.param("", NO_CAPABILITIES, True, id="no yama"),
        pytest.param("1\n", NO_CAPABILITIES, True, id="descendants"),
        pytest.param("2\n", NO_CAPABILITIES, False, id="admins only"),
        pytest.param("2\n", ALL_CAPABILITIES, True, id="admin"),
        pytest.param("3\n", ALL_CAPABILITIES, False, id="nobody"),
    ],
)
def test_memory_has_to_be_readable(yama: str, status: str, works: bool) -> None:
    assert (probe._no_reading(yama, status) == "") is works


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_only_one_thread_can_fork() -> None:
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    try:
        assert "threads run already" in probe._threads()
    finally:
        ending.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="the layer is Linux'")
def test_a_file_that_is_not_there_says_nothing() -> None:
    assert text_of("/proc/no/such/file") == ""
