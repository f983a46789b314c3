"""What the supervisor remembers of permitted calls permits nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kernel.conftest import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

HELP = """
import ctypes, errno, os, socket, struct, sys, threading
import pytest

libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(16)  # each call reads its address from here


def put(host, port=9, family=socket.AF_INET):
    buffer.raw = struct.pack("=H", family) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def call(way, at=None, size=16):
    kind = socket.SOCK_DGRAM if way == "sendto" else socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    sock = libc.socket(socket.AF_INET, kind, 0)
    where = ctypes.c_void_p(ctypes.addressof(buffer) if at is None else at)
    if way == "sendto":
        result = libc.sendto(sock, b"x", ctypes.c_size_t(1), 0, where, size)
    else:
        result = libc.connect(sock, where, size)
    number = ctypes.get_errno() if result < 0 else 0
    os.close(sock)
    return number


def permitted(way):
    put("127.0.0.1")
    return [call(way) not in (errno.EACCES, errno.ENOSYS, errno.EFAULT) for _ in range(3)] == [True] * 3


ways = pytest.mark.parametrize("way", ["connect", "sendto"])
"""


def test_nothing_but_the_call_itself_is_remembered(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_remembered=HELP
        + f"""
@ways
@pytest.mark.medium
def test_other_address(way):
    assert permitted(way)
    put("{FOREIGN}")
    assert call(way) == errno.EACCES
    assert permitted(way)


@ways
@pytest.mark.medium
def test_other_address_in_a_thread(way):
    assert permitted(way)
    found = []

    def work():
        found.append(permitted(way))
        put("{FOREIGN}")
        found.append(call(way))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True, errno.EACCES]


@ways
@pytest.mark.medium
def test_other_address_at_the_same_place_of_a_childs_memory(way):
    assert permitted(way)
    child = os.fork()
    if not child:
        put("{FOREIGN}")
        os._exit(call(way))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EACCES
    assert permitted(way)


@pytest.mark.medium
def test_family_that_only_sendto_takes_for_an_address():
    put("{FOREIGN}", family=socket.AF_UNSPEC)
    assert [call("connect") for _ in range(3)] == [0] * 3  # it ends a connection
    assert call("sendto") == errno.EACCES


@ways
@pytest.mark.small
def test_smaller_test(way):
    put("127.0.0.1")
    assert call(way) == errno.EACCES
"""
    )
    outcome = run("-q", "-W", "ignore::DeprecationWarning")
    assert outcome.counts == {"failed": 9}, outcome.text  # each by what was refused, and not by an assertion
    assert "AssertionError" not in outcome.text, outcome.text
    assert outcome.packets == 0


def test_bad_pointers_are_for_the_kernel_to_tell(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HELP
        + """
@ways
@pytest.mark.medium
def test_pointers(way):
    assert permitted(way)
    assert [call(way, at) for at in (1, 2**63, 2**64 - 1)] == [errno.EFAULT] * 3
    assert [call(way, None, size) for size in (1, 1000)] == [errno.EINVAL] * 2
    assert permitted(way)
"""
    )
    outcome = run("-q")
    assert outcome.counts == {"passed": 2}, outcome.text
    assert "unjudged" not in outcome.text


def test_a_program_in_the_place_of_the_tests_is_read_anew(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        program=f"""
import socket, sys

if sys.argv[1] == "sendto":
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("{FOREIGN}", 9))
else:
    socket.create_connection(("{FOREIGN}", 9), timeout=1)
""",
        test_replaced=HELP
        + """
@ways
@pytest.mark.medium
def test_replaced(way):
    assert permitted(way)
    os.execv(sys.executable, [sys.executable, "-I", "-S", "program.py", way])
""",
    )
    for way in ("connect", "sendto"):
        outcome = run("-q", "-s", "-k", way)
        assert "PermissionError" in outcome.text, outcome.text
        assert outcome.text.startswith("packets: 0")
        assert f"    {FOREIGN}:9 by " in outcome.text


def test_a_layers_word_for_one_call_does_not_hold_for_the_next(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    """The bind of an import is vouched for, since imports are not published; the kernel lets it pass without that."""
    pytester.makepyfile(
        test_imported=f"""
{HELP}
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))


@ways
@pytest.mark.medium
def test_foreign(way):
    put("{FOREIGN}")
    assert call(way) == errno.EACCES
"""
    )
    for way in ("connect", "sendto"):
        outcome = run("-q", "-k", way)
        assert outcome.counts == {"failed": 1}, outcome.text
        assert "AssertionError" not in outcome.text, outcome.text
        assert outcome.packets == 0
