"""Calls by the numbers of 32 bit programs, and rings: other doors to the same network."""

from __future__ import annotations

import os
import shutil
import subprocess
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

static int call(int number, long a, long b, long c) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

int main(int count, char **arguments) {
    int *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct sockaddr_in *address = (struct sockaddr_in *)(low + 64);
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address->sin_family = AF_INET;
    address->sin_port = htons(80);
    inet_aton(arguments[1], &address->sin_addr);
    int result;
    if (!strcmp(arguments[2], "connect")) {
        result = call(362, sock, (long)address, sizeof *address);
    } else {
        low[0] = sock;
        low[1] = (int)(long)address;
        low[2] = sizeof *address;
        result = call(102, 3, (long)low, 0);
    }
    printf("%s: %s\\n", arguments[2], strerror(-result));
    return -result;
}
"""


@pytest.fixture
def old(tmp_path: Path) -> str:
    """Return a program that calls as 32 bit programs do."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or os.uname().machine != "x86_64":
        pytest.skip("this needs x86_64 and a C compiler")
    source, program = tmp_path / "old.c", tmp_path / "old"
    source.write_text(SOURCE)
    subprocess.run([compiler, "-o", str(program), str(source)], check=True)
    if subprocess.run([str(program), "127.0.0.1", "connect"], capture_output=True, check=False).returncode < 0:
        pytest.skip("this kernel runs no 32 bit programs")
    return str(program)


@pytest.mark.parametrize("by", ["connect", "socketcall"])
def test_calls_by_old_numbers_are_judged(
    run: Callable[..., Outcome], pytester: pytest.Pytester, old: str, by: str
) -> None:
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
