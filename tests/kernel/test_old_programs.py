"""Calls by the numbers of 32 bit programs, and rings: other doors to the same network."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from tests.kernel.conftest import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

SOURCE: Final = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int call(int number, long a, long b, long c, long d, long e) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
    return result;
}

static int *low;

/* By its own number, or by socketcall's. */
static int either(int folded, int number, int way, long a, long b, long c, long d, long e) {
    if (!folded)
        return call(number, a, b, c, d, e);
    low[0] = a, low[1] = b, low[2] = c, low[3] = d, low[4] = e;
    return call(102, way, (long)low, 0, 0, 0);
}

int main(int count, char **arguments) {
    low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    int folded = !strncmp(arguments[2], "socketcall", 10), result;
    struct sockaddr_in *address = (struct sockaddr_in *)(low + 64);
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address->sin_family = AF_INET;
    address->sin_port = htons(80);
    inet_aton(arguments[1], &address->sin_addr);
    if (strstr(arguments[2], "listen")) {
        result = either(folded, 363, 4, sock, 5, 0, 0, 0);
    } else if (strstr(arguments[2], "join")) {
        low[63] = 0; /* struct group_req of a 32 bit program: any interface, and the group right behind it */
        sock = socket(AF_INET, SOCK_DGRAM, 0);
        result = either(folded, 366, 14, sock, 0, 42, (long)(low + 63), 132);
    } else {
        result = either(folded, 362, 3, sock, (long)address, sizeof *address, 0, 0);
    }
    printf("%s: %s\\n", arguments[2], strerror(-result));
    return -result;
}
"""


ARM: Final = """
e59d4008  ldr r4, [sp, #8]      @ the argument
e24dd010  sub sp, sp, #16
e3a00000  mov r0, #0
e58d0008  str r0, [sp, #8]
e58d000c  str r0, [sp, #12]
e59f0064  ldr r0, [pc, #100]    @ AF_INET, port 80
e58d0000  str r0, [sp]
e28d8004  add r8, sp, #4
e3a06000  mov r6, #0            @ a number, digit by digit
e3a0100a  mov r1, #10
e4d40001  ldrb r0, [r4], #1
e2502030  subs r2, r0, #48
a0232196  mlage r3, r6, r1, r2
a1a06003  movge r6, r3
aafffffa  bge .-16
e4c86001  strb r6, [r8], #1     @ is a byte of the address
e3a06000  mov r6, #0
e3500000  cmp r0, #0
1afffff6  bne .-32
e3a00002  mov r0, #2            @ socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)
e59f102c  ldr r1, [pc, #44]
e3a02000  mov r2, #0
e59f7028  ldr r7, [pc, #40]
ef000000  svc #0
e1a0100d  mov r1, sp            @ connect(sock, address, 16)
e3a02010  mov r2, #16
e59f701c  ldr r7, [pc, #28]
ef000000  svc #0
e2600000  rsb r0, r0, #0        @ exit(-result)
e3a07001  mov r7, #1
ef000000  svc #0
00000000  .word 0
50000002  .word 0x50000002
00000801  .word 0x801
00000119  .word 281             @ socket
0000011b  .word 283             @ connect
"""
"""The same for 32 bit ARM, which has one way to connect: words, and what an assembler makes them of."""


def arm_program() -> bytes:
    """Return an ELF file that holds ``ARM`` alone, at its usual place."""
    code = struct.pack("<36I", *(int(line.split()[0], 16) for line in ARM.strip().splitlines()))
    start, headers = 0x10000, 52 + 32
    size = headers + len(code)
    file = struct.pack("<2H5I6H", 2, 40, 1, start + headers, 52, 0, 0x5000000, 52, 32, 1, 0, 0, 0)
    return b"\x7fELF\1\1\1" + bytes(9) + file + struct.pack("<8I", 1, 0, start, start, size, size, 5, 0x1000) + code


@pytest.fixture
def old(tmp_path: Path) -> str:
    """Return a program that calls as 32 bit programs do."""
    source, program = tmp_path / "old.c", tmp_path / "old"
    compiler = shutil.which("gcc") or shutil.which("cc")
    if os.uname().machine == "aarch64":
        program.write_bytes(arm_program())
        program.chmod(0o755)
    elif compiler is None or os.uname().machine != "x86_64":
        pytest.skip("this needs x86_64 and a C compiler, or aarch64")
    else:
        source.write_text(SOURCE)
        subprocess.run([compiler, "-o", str(program), str(source)], check=True)
    try:
        runs = subprocess.run([str(program), "127.0.0.1", "connect"], capture_output=True, check=False).returncode >= 0
    except OSError:  # no such format
        runs = False
    if not runs:
        pytest.skip("this kernel runs no 32 bit programs")
    return str(program)


@pytest.mark.parametrize("by", ["connect", "socketcall"])
def test_calls_by_old_numbers_are_judged(
    run: Callable[..., Outcome], pytester: pytest.Pytester, old: str, by: str
) -> None:
    if by == "socketcall" and os.uname().machine == "aarch64":
        pytest.skip("programs for 32 bit ARM have no such call")
    pytester.makepyfile(
        f"""
        import errno, subprocess, pytest

        @pytest.mark.large
        def test_large():
            assert subprocess.run([{old!r}, "{FOREIGN}", "{by}"]).returncode == errno.EINPROGRESS

        @pytest.mark.medium
        def test_medium():
            assert subprocess.run([{old!r}, "127.0.0.1", "{by}"]).returncode in (errno.EINPROGRESS, errno.ECONNREFUSED)

        @pytest.mark.parametrize("size", [pytest.param(s, marks=getattr(pytest.mark, s)) for s in ("small", "medium")])
        def test_refused(size):
            assert subprocess.run([{old!r}, "{FOREIGN}", "{by}"]).returncode == errno.EACCES
        """
    )
    outcome = run()
    assert outcome.counts == {"passed": 2, "failed": 2}, outcome.text
    assert outcome.packets == 1
    assert f"in {old} {FOREIGN} {by} (pid" in outcome.text


@pytest.mark.parametrize("by", ["connect", "socketcall"])
def test_a_command_is_held_at_them_as_well(network: tuple[str, ...], old: str, by: str) -> None:
    if by == "socketcall" and os.uname().machine == "aarch64":
        pytest.skip("programs for 32 bit ARM have no such call")
    words = [*network, sys.executable, "-m", "pytest_test_categories", "run", "--size=medium", old, FOREIGN, by]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == errno.EACCES, done
    assert "packets: 0\n" in done.stdout
    assert f"Attempted network connection to {FOREIGN}:80\n    in {old} {FOREIGN} {by} (pid" in done.stderr


@pytest.mark.parametrize("folded", ["", "socketcall-"])
@pytest.mark.parametrize(("call", "target"), [("listen", "listen on 0.0.0.0 (any port)"), ("join", "239.1.2.3")])
def test_so_are_listen_and_joining_a_multicast_group(
    run: Callable[..., Outcome], pytester: pytest.Pytester, old: str, folded: str, call: str, target: str
) -> None:
    if os.uname().machine == "aarch64":
        pytest.skip("the program for 32 bit ARM connects only")
    command = [old, "239.1.2.3", folded + call]
    pytester.makepyfile(
        f"""
        import errno, subprocess, pytest

        @pytest.mark.large
        def test_large():
            assert not subprocess.run({command}).returncode

        @pytest.mark.small
        def test_refused():
            assert subprocess.run({command}).returncode == errno.EACCES
        """
    )
    outcome = run()
    assert outcome.counts == {"passed": 1, "failed": 1}, outcome.text
    assert f"\n    {target}; in {old}" in outcome.text


def test_rings_do_not_exist(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import ctypes, errno

        def test_ring():
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.syscall(425, 8, ctypes.create_string_buffer(120)) == -1
            assert ctypes.get_errno() == errno.ENOSYS
        """
    )
    assert run().counts == {"passed": 1}
