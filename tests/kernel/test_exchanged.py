"""An address that another thread exchanges after the supervisor has read it leads nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from tests.kernel.conftest import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

EXCHANGE: Final = """
import mmap, time
from pytest_test_categories._kernel.supervisor import Supervisor

IDLE, ARMED, ASKED, EXCHANGED = range(4)
state = mmap.mmap(-1, 4096)  # shared by the supervisor and the tests
send = Supervisor._send


def send_after_the_exchange(self, *args):
    if state[0] == ARMED:
        state[0] = ASKED
        while state[0] == ASKED:
            time.sleep(0)
    send(self, *args)


Supervisor._send = send_after_the_exchange
"""
"""A plugin that holds the supervisor's next answer back until the caller's memory has changed."""

HELP: Final = """
import ctypes, errno, mmap, os, socket, struct, threading, time
import exchange
import pytest

libc = ctypes.CDLL(None, use_errno=True)
memory = mmap.mmap(-1, 4096)  # a child has it, too
at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
ADDRESS, DATA, PART, MESSAGE = at, at + 128, at + 256, at + 384


def put(host, port):
    memory[:16] = struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def exchanged(call, port, *, in_child=False, put_other=None):
    # Make a call to this machine while another thread exchanges the address between the question and the answer.
    put("127.0.0.1", port)
    memory[128:133] = b"hello"
    memory[256:272] = struct.pack("=QQ", DATA, 5)
    memory[384:440] = struct.pack("=QI4xQQQQQ", ADDRESS, 16, PART, 1, 0, 0, 0)

    def exchange_it():
        while exchange.state[0] == exchange.ARMED:
            time.sleep(0)
        if put_other:
            put_other()
        else:
            put(FOREIGN, port)
            memory[128:133] = b"other"
        exchange.state[0] = exchange.EXCHANGED

    exchange.state[0] = exchange.ARMED
    thread = threading.Thread(target=exchange_it)
    thread.start()
    child = os.fork() if in_child else None
    if child == 0:
        os._exit(ctypes.get_errno() if call() < 0 else 0)
    try:
        if child is not None:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return ctypes.get_errno() if call() < 0 else 0
    finally:
        if exchange.state[0] == exchange.ARMED:  # nobody has asked
            exchange.state[0] = exchange.IDLE
            pytest.fail("the kernel did not ask")
        thread.join()


def permit(call, port):
    # Make a call as often as it takes for it to be remembered.
    put("127.0.0.1", port)
    for _ in range(3):
        call()


where = pytest.mark.parametrize("in_child", [False, True], ids=["main thread", "child"])
remembered = pytest.mark.parametrize("remembered", [False, True], ids=["first", "remembered"])
"""

CONNECT: Final = """
@where
@remembered
@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
@pytest.mark.medium
def test_connect(kind, blocking, remembered, in_child):
    with socket.socket(type=kind) as server:
        server.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            server.listen(50)
        port = server.getsockname()[1]
        if remembered:
            with socket.socket(type=kind) as other:
                permit(lambda: libc.connect(other.fileno(), ctypes.c_void_p(ADDRESS), 16), port)
        with socket.socket(type=kind) as sock:
            sock.setblocking(blocking)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))  # nobody answers outside
            error = exchanged(lambda: libc.connect(sock.fileno(), ctypes.c_void_p(ADDRESS), 16), port, in_child=in_child)
            assert error == (0 if blocking or kind == socket.SOCK_DGRAM else errno.EINPROGRESS)
            assert sock.getblocking() == blocking
            assert sock.getpeername() == server.getsockname()
            sock.setblocking(True)
            sock.send(b"x")  # UDP's packet tells where the socket is connected to
"""

SEND: Final = """
def sendto(sock):
    return libc.sendto(sock.fileno(), ctypes.c_void_p(DATA), ctypes.c_size_t(5), 0, ctypes.c_void_p(ADDRESS), 16)


def sendmsg(sock):
    return libc.sendmsg(sock.fileno(), ctypes.c_void_p(MESSAGE), 0)


@where
@remembered
@pytest.mark.parametrize("send", [sendto, sendmsg])
@pytest.mark.medium
def test_send(send, remembered, in_child):
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as sock:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)  # on loopback a message has arrived when it has been sent
        port = server.getsockname()[1]
        if remembered:
            permit(lambda: sendto(sock), port)
            for _ in range(3):
                server.recv(16)
        assert exchanged(lambda: send(sock), port, in_child=in_child) == 0
        assert server.recv(16) == b"hello"
"""

UNREADABLE: Final = """
def protect(protection):
    assert libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), protection) == 0


@pytest.mark.parametrize("call", ["connect", "sendto"])
@pytest.mark.medium
def test_unreadable(call):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        if call == "connect":
            make = lambda: libc.connect(sock.fileno(), ctypes.c_void_p(ADDRESS), 16)
        else:
            make = lambda: libc.sendto(sock.fileno(), b"x", ctypes.c_size_t(1), 0, ctypes.c_void_p(ADDRESS), 16)

        def call_while_unreadable():
            protect(0)  # PROT_NONE
            return make()

        def put_again():
            protect(mmap.PROT_READ | mmap.PROT_WRITE)
            put(FOREIGN, 9)

        assert exchanged(call_while_unreadable, 9, put_other=put_again) == errno.EFAULT
        with pytest.raises(OSError):
            sock.getpeername()
"""


def run_exchanging(run: Callable[..., Outcome], pytester: pytest.Pytester, tests: str) -> Outcome:
    pytester.makepyfile(exchange=EXCHANGE, test_exchanged=f"FOREIGN = {FOREIGN!r}\n{HELP}{tests}")
    return run("-q", "-W", "ignore::DeprecationWarning", plugins=("exchange",))


def test_a_connect_goes_where_it_was_permitted_to_go(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    outcome = run_exchanging(run, pytester, CONNECT)
    assert outcome.counts == {"passed": 16}, outcome.text
    assert outcome.packets == 0


def test_so_does_a_message(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    outcome = run_exchanging(run, pytester, SEND)
    assert outcome.counts == {"passed": 8}, outcome.text
    assert outcome.packets == 0


def test_an_address_that_becomes_readable_later_is_none(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    outcome = run_exchanging(run, pytester, UNREADABLE)
    assert outcome.counts == {"passed": 2}, outcome.text
    assert outcome.packets == 0
