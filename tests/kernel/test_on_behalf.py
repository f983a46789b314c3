"""Calls that the supervisor makes for a program come to what they come to without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

BEHAVING: Final = Path(__file__).with_name("behaving.py")
PLUGINS: Final = {
    "on behalf": """
import mmap
from pytest_test_categories._kernel import behalf

made = mmap.mmap(-1, 4096)  # shared by the supervisor and the tests


def counted(act, at):
    def count(*args):
        done = act(*args)
        made[at] += done is not None and made[at] < 255
        return done
    return count


behalf.connect, behalf.send = counted(behalf.connect, 0), counted(behalf.send, 1)
""",
    "with a default timeout": "import socket\nsocket.setdefaulttimeout(60)\nmade = [1, 1]",
    "where descriptors can't be copied": """
from pytest_test_categories._kernel.processes import Descriptors


def copy(*_):
    raise PermissionError


Descriptors.copy = copy
made = [1, 1]
""",
    "before Linux 5.19": """
from pytest_test_categories._kernel import filter

filter.waits_for_answers = lambda _: False
made = [1, 1]
""",
}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_calls_come_to_the_same(run: Callable[..., Outcome], pytester: pytest.Pytester, plugin: str) -> None:
    subprocess.run([sys.executable, str(BEHAVING), "without.json"], check=True)
    pytester.makepyfile(
        variant=PLUGINS[plugin],
        test_behaving=f"""
        import socket, subprocess, sys
        import pytest
        import variant

        @pytest.mark.medium
        def test_behaving():
            socket.setdefaulttimeout(None)
            subprocess.run([sys.executable, {str(BEHAVING)!r}, "with.json"], check=True)
            assert variant.made[0] > 20 and variant.made[1] > 20 or type(variant.made) is list
        """,
    )
    outcome = run("-q", plugins=("variant",))
    assert outcome.counts == {"passed": 1}, outcome.text
    without, found = (json.loads((pytester.path / f"{name}.json").read_text()) for name in ("without", "with"))
    assert found == without
    assert "unjudged" not in outcome.text


def test_a_blocking_connect_that_waits_holds_up_nobody_and_can_be_interrupted(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    """The server accepts nothing: its queue is full, and the system drops what arrives."""
    pytester.makepyfile(
        """
        import ctypes, errno, os, signal, socket, struct, threading, time
        import pytest

        libc = ctypes.CDLL(None, use_errno=True)
        SYN_SENT = "02"

        def address(sock):
            return struct.pack("=H", 2) + struct.pack(">H", sock.getsockname()[1]) + socket.inet_aton("127.0.0.1") + bytes(8)

        def is_waiting(sock):
            port = sock.getsockname()[1]
            with open("/proc/net/tcp") as lines:
                rows = [line.split() for line in lines]
            return any(row[1].endswith(f":{port:04X}") and row[3] == SYN_SENT for row in rows)

        @pytest.fixture
        def full():
            with socket.socket() as server:
                server.bind(("127.0.0.1", 0))
                server.listen(0)
                fillers = []
                while not any(map(is_waiting, fillers)):
                    fillers.append(socket.socket())
                    fillers[-1].setblocking(False)
                    fillers[-1].connect_ex(server.getsockname())
                    time.sleep(0.01)
                yield server
                for sock in fillers:
                    sock.close()

        def while_waiting(sock, act):
            def work():
                while not is_waiting(sock):
                    time.sleep(0.001)
                with socket.create_server(("127.0.0.1", 0)) as other:
                    socket.create_connection(other.getsockname(), 60).close()
                assert sock.getblocking()
                act()
                done.append(True)

            done = []
            thread = threading.Thread(target=work)
            thread.start()
            return thread, done

        @pytest.mark.medium
        def test_interrupted(full):
            main = threading.get_ident()
            signal.signal(signal.SIGUSR1, lambda *_: None)
            signal.siginterrupt(signal.SIGUSR1, True)
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                ended = []

                def interrupt():  # the first signal may arrive before the call waits
                    while not ended:
                        signal.pthread_kill(main, signal.SIGUSR1)
                        time.sleep(0.01)

                thread, done = while_waiting(sock, interrupt)
                assert libc.connect(sock.fileno(), address(full), 16) == -1
                error = ctypes.get_errno()
                ended.append(True)
                thread.join()
                assert (error, done) == (errno.EINTR, [True])

        @pytest.mark.medium
        def test_accepted_at_last(full):
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                accepted = []

                def accept():
                    while not any(one.getpeername() == sock.getsockname() for one in accepted):
                        accepted.append(full.accept()[0])

                thread, done = while_waiting(sock, accept)
                assert libc.connect(sock.fileno(), address(full), 16) == 0
                thread.join()
                assert done
                for one in accepted:
                    one.close()
        """
    )
    outcome = run("-q", timeout=60)
    assert outcome.counts == {"passed": 2}, outcome.text
