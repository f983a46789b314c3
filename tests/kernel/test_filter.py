"""The filter: what it lets through, what it asks about, what it says does not exist; for both machines."""

from __future__ import annotations

import errno
import struct
from typing import Final

import pytest

from pytest_test_categories._kernel.filter import MACHINES, X32, assemble, program

ALLOW, ASK, MISSING = 0x7FFF0000, 0x7FC00000, 0x00050000 | errno.ENOSYS
CONTROL: Final = 901


def answer(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does: a program of loads, jumps and returns over one call's data."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *(0,) * (6 - len(arguments))))
    steps = list(struct.iter_unpack("=HBBI", code))
    at = held = 0
    while True:
        kind, yes, no, operand = steps[at]
        at += 1
        if kind == 0x20:
            (held,) = struct.unpack_from("=I", data, operand)
        elif kind == 0x15:
            at += yes if held == operand else no
        elif kind == 0x35:
            at += yes if held >= operand else no
        else:
            assert kind == 0x06
            return int(operand)


@pytest.mark.parametrize("name", MACHINES)
class TestOnEachMachine:
    @pytest.mark.parametrize("call", ["connect", "bind", "listen", "sendmmsg"])
    def test_calls_that_name_an_address_are_asked_about(self, name: str, call: str) -> None:
        machine = MACHINES[name]
        assert answer(program(machine, CONTROL), machine.arch, machine.calls[call], 3) == ASK

    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            pytest.param(0, ALLOW, id="send"),
            pytest.param(0x7FFD00000010, ASK, id="address"),
            pytest.param(0x7FFD00000000, ASK, id="low half of zeros"),
            pytest.param(0x10, ASK, id="high half of zeros"),
        ],
    )
    def test_sendto_is_asked_about_if_it_names_an_address(self, name: str, address: int, expected: int) -> None:
        machine = MACHINES[name]
        code = program(machine, CONTROL)
        assert answer(code, machine.arch, machine.calls["sendto"], 3, 1, 1, 0, address, 16) == expected

    def test_sendmsg_is_asked_about_but_for_the_control_socket(self, name: str) -> None:
        machine = MACHINES[name]
        code = program(machine, CONTROL)
        assert answer(code, machine.arch, machine.calls["sendmsg"], 3) == ASK
        assert answer(code, machine.arch, machine.calls["sendmsg"], CONTROL) == ALLOW

    def test_setsockopt_is_asked_about_where_it_joins_a_multicast_group(self, name: str) -> None:
        machine = MACHINES[name]
        code = program(machine, CONTROL)
        asked = {
            (level, option)
            for level in (0, 1, 6, 17, 41, 132, 255)
            for option in range(256)
            if answer(code, machine.arch, machine.calls["setsockopt"], 3, level, option) == ASK
        }
        assert asked == {*((0, option) for option in (35, 39, 42, 46)), *((41, option) for option in (20, 42, 46))}

    def test_rings_do_not_exist(self, name: str) -> None:
        machine = MACHINES[name]
        code = program(machine, CONTROL)
        assert answer(code, machine.arch, machine.calls["io_uring_setup"], 8) == MISSING
        assert answer(code, machine.old_arch, machine.old_calls["io_uring_setup"], 8) == MISSING

    def test_every_other_call_stays_in_the_kernel(self, name: str) -> None:
        machine = MACHINES[name]
        code = program(machine, CONTROL)
        ours = set(machine.calls.values()) - {machine.calls["seccomp"]}
        assert {answer(code, machine.arch, call, 3) for call in range(470) if call not in ours} == {ALLOW}

    def test_calls_of_32_bit_programs_go_by_their_own_numbers(self, name: str) -> None:
        machine = MACHINES[name]
        code = program(machine, CONTROL)
        for call, number in machine.old_calls.items():
            assert answer(code, machine.old_arch, number, 3) == (MISSING if call == "io_uring_setup" else ASK)
        assert answer(code, machine.old_arch, 4, 3) == ALLOW

    def test_programs_of_any_other_machine_can_call_nothing(self, name: str) -> None:
        code = program(MACHINES[name], CONTROL)
        assert answer(code, 0x8, 1) == MISSING


def test_the_third_interface_of_x86_64_does_not_exist() -> None:
    machine = MACHINES["x86_64"]
    assert answer(program(machine, CONTROL), machine.arch, X32 | machine.calls["connect"], 3) == MISSING


def test_jumps_lead_to_labels() -> None:
    code = assemble([(0x20, 0), (0x15, 7, "yes", None), (0x06, 1), "yes", (0x06, 2)])
    assert answer(code, 0, 7) == 2
    assert answer(code, 0, 8) == 1
