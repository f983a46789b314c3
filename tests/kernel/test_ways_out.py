"""What no Python layer sees is refused, nothing leaves, and the test that did it fails and names who it was."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.kernel.conftest import FOREIGN
from tests.kernel.ways import NEEDS, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel")

USABLE: Final = [
    name
    for name in WAYS
    if (NEEDS.get(name) is None or find_spec(NEEDS[name])) and (name != "curl" or shutil.which("curl"))
]
TESTS: Final = """
import os
import pytest
from ways import WAYS

USABLE = {usable!r}


def packets():
    with open("/proc/net/dev") as lines:
        return next(int(line.split()[10]) for line in lines if line.strip().startswith("sink:"))


@pytest.mark.parametrize("way", USABLE)
@pytest.mark.parametrize("size", [pytest.param(size, marks=getattr(pytest.mark, size)) for size in {sizes!r}])
def test_way(way, size):
    before = packets()
    try:
        WAYS[way]("{host}", 9999)
    finally:
        print("LEFT", size, way, packets() - before)
"""


def project(sizes: tuple[str, ...], host: str = FOREIGN) -> None:
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    Path("test_ways.py").write_text(TESTS.format(usable=USABLE, sizes=sizes, host=host))


def left(outcome: Outcome) -> dict[tuple[str, str], int]:
    """Return how many packets each way has sent."""
    lines = re.findall(r"LEFT (\w+) (\w+) (\d+)", outcome.text)
    return {(size, way): int(count) for size, way, count in lines}


def test_every_way_is_one_without_the_layer_and_none_with_it(run: Callable[..., Outcome]) -> None:
    project(("large",))
    open_ways = run("-q", "-s", guard="off", mode="strict", timeout=120)
    sent = left(open_ways)
    assert {way for _, way in sent} == set(USABLE)
    assert [way for way, count in sent.items() if count == 0] == []  # each really is a way out

    project(("small", "medium"))
    closed = run("-q", "-s", "-rf", timeout=200)
    sent = left(closed)
    assert len(sent) == 2 * len(USABLE)
    assert [way for way, count in sent.items() if count != 0] == []
    assert closed.packets == 0
    assert closed.counts == {"failed": 2 * len(USABLE)}
    for size in ("small", "medium"):
        for way in USABLE:
            assert f"test_ways.py::test_way[{size}-{way}] [{size}]" in closed.text


def test_large_tests_go_where_they_like(run: Callable[..., Outcome]) -> None:
    project(("large",))
    outcome = run("-q", "-s", timeout=120)
    assert [way for way, count in left(outcome).items() if count == 0] == []
    assert outcome.counts == {"passed": len(USABLE)}


def test_what_is_on_this_machine_is_a_medium_tests_to_reach(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        """
        import time
        import pytest
        from ways import USABLE, WAYS

        @pytest.mark.parametrize("way", [w for w in USABLE if w not in ("sendto_by_ctypes", "sendmmsg_by_ctypes")])
        @pytest.mark.parametrize("size", [pytest.param(s, marks=getattr(pytest.mark, s)) for s in ("medium", "small")])
        def test_local(way, size, served):
            port, seen = served
            before = len(seen)
            WAYS[way]("127.0.0.1", port)
            deadline = time.monotonic() + 0.5
            while len(seen) == before and time.monotonic() < deadline:
                time.sleep(0.005)
            assert len(seen) > before
        """
    )
    pytester.makeconftest(
        """
        import contextlib, socket, threading
        import pytest

        def pytest_sessionstart(session):
            server = socket.create_server(("127.0.0.1", 0))
            seen = []
            def serve():
                while True:
                    sock, _ = server.accept()
                    seen.append(1)
                    sock.close()
            threading.Thread(target=serve, daemon=True).start()
            session.served = (server.getsockname()[1], seen)

        @pytest.fixture
        def served(request):
            return request.session.served
        """
    )
    ways = (Path(__file__).parent / "ways.py").read_text()
    Path("ways.py").write_text(f"{ways}\n\nUSABLE = {USABLE!r}\n")
    count = len(USABLE) - 2
    outcome = run("-v", timeout=120)
    assert outcome.counts == {"passed": count, "failed": count}, outcome.text
    assert outcome.text.count("-medium] PASSED") + outcome.text.count("[medium-") >= count


def test_the_message_names_the_command(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import subprocess, pytest

        @pytest.mark.small
        def test_fetch():
            subprocess.run(["curl", "-sS", "-m", "1", "http://{FOREIGN}:8080/"])
        """
    )
    outcome = run()
    assert outcome.counts == {"failed": 1}
    assert outcome.packets == 0
    outcome.result.stdout.fnmatch_lines(
        [
            "*network layers: Python, kernel*",
            "[[]TC001[]] Network Access Violation",
            "Test: test_the_message_names_the_command.py::test_fetch",
            "Category: SMALL",
            f"  Attempted network connection to {FOREIGN}:8080",
            f"    in curl -sS -m 1 http://{FOREIGN}:8080/ (pid *, descendant of the test process)",
            "    the call failed there with EACCES (permission denied)*",
        ]
    )


def test_a_thread_is_named(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        from ways import WAYS

        @pytest.mark.small
        def test_thread():
            WAYS["connect_by_ctypes_in_a_thread"]("{FOREIGN}", 80)
        """
    )
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    outcome = run()
    assert outcome.counts == {"failed": 1}
    outcome.result.stdout.fnmatch_lines(["    by native code (the kernel layer saw it)"])


def test_warn_mode_lets_go_and_says_it_once(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest, socket
        from ways import WAYS

        @pytest.mark.small
        def test_native():
            WAYS["connect_by_ctypes"]("{FOREIGN}", 80)

        @pytest.mark.small
        def test_python():
            with socket.socket() as sock:
                sock.setblocking(False)
                sock.connect_ex(("{FOREIGN}", 81))

        @pytest.mark.small
        def test_look_up():
            with pytest.raises(OSError):
                socket.getaddrinfo("shop.example", 80)
        """
    )
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    outcome = run(mode="warn")
    assert outcome.counts == {"passed": 3}
    assert outcome.packets > 0
    assert "network violations: 3 in 3 tests" in outcome.text
    assert f"Network access violation in test_native: attempted connection to {FOREIGN}:80" in outcome.text
    assert outcome.text.count(f"attempted connection to {FOREIGN}:81") == 1
    assert outcome.text.count("attempted connection to shop.example") == 1


def test_a_warning_that_is_an_error_leaves_no_other_violation_off_the_record(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        from ways import WAYS

        @pytest.mark.small
        def test_native():
            for port in (80, 81, 82):
                WAYS["connect_by_ctypes"]("{FOREIGN}", port)

        def test_other():
            pass
        """
    )
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    outcome = run("-W", "error", mode="warn")
    assert outcome.counts == {"passed": 1, "failed": 1}
    assert "network violations: 3 in 1 test" in outcome.text


def test_a_forked_childs_warning_is_said_once(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import os, socket, pytest

        @pytest.mark.small
        def test_child():
            child = os.fork()
            if not child:
                with socket.socket() as sock:
                    sock.setblocking(False)
                    sock.connect_ex(("{FOREIGN}", 81))
                os._exit(0)
            os.waitpid(child, 0)
        """
    )
    outcome = run("-W", "ignore::DeprecationWarning", mode="warn")
    assert outcome.counts == {"passed": 1}
    assert outcome.packets >= 1
    assert "network violations: 1 in 1 test" in outcome.text


def test_what_python_refuses_is_not_refused_again(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest, socket

        @pytest.mark.small
        def test_python():
            socket.create_connection(("{FOREIGN}", 80))
        """
    )
    outcome = run()
    assert outcome.counts == {"failed": 1}
    assert "network violations: 1 in 1 test" in outcome.text
    assert "native code" not in outcome.text


def test_guards_inside_a_test_tighten(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        from ways import WAYS
        from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard

        dial = WAYS["connect_by_ctypes"]

        @pytest.mark.large
        def test_block():
            dial("{FOREIGN}", 1)
            with pytest.raises(NetworkAccessViolationError, match="{FOREIGN}:2"):
                with network_guard("small"):
                    dial("{FOREIGN}", 2)
            dial("{FOREIGN}", 3)

        @pytest.mark.large
        @network_guard("small")
        def test_decorator():
            dial("{FOREIGN}", 4)

        @pytest.mark.small
        def test_a_wider_guard_opens_nothing():
            with network_guard("large"):
                dial("{FOREIGN}", 5)

        @pytest.mark.small
        def test_expected():
            with expect_network_violation() as seen:
                dial("{FOREIGN}", 6)
            assert [violation.route for violation in seen] == ["kernel"]

        @pytest.mark.small
        def test_guard_of_the_test(network_isolation):
            with expect_network_violation():
                dial("{FOREIGN}", 7)
            assert [violation.target for violation in network_isolation.violations] == ["{FOREIGN}:7"]
        """
    )
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    outcome = run("-v")
    assert outcome.counts == {"passed": 3, "failed": 2}, outcome.text
    assert outcome.packets == 2  # the first and the third
    assert f"{FOREIGN}:4" in outcome.text
    assert f"{FOREIGN}:5" in outcome.text


def test_a_fixture_is_charged_with_what_it_starts(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import subprocess, pytest
        from ways import WAYS

        @pytest.fixture(scope="session")
        def service():
            WAYS["curl"]("{FOREIGN}", 1)
            yield
            WAYS["curl"]("{FOREIGN}", 2)

        @pytest.mark.medium
        def test_service(service):
            pass
        """
    )
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    outcome = run("-v")
    assert outcome.packets == 0
    assert outcome.result.ret == 1
    assert "in fixture service (session), held to medium by" in outcome.text
    assert f"{FOREIGN}:2" in outcome.text


def test_imports_are_watched(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        from ways import WAYS

        WAYS["curl"]("{FOREIGN}", 80)

        @pytest.mark.small
        def test_nothing():
            pass
        """
    )
    shutil.copy(Path(__file__).parent / "ways.py", "ways.py")
    outcome = run("-v")
    assert outcome.counts in ({"error": 1}, {"errors": 1})
    assert f"Attempted network connection to {FOREIGN}:80" in outcome.text


def test_it_is_off_unless_asked_for(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, sys

        def test_nothing_is_imported():
            assert not [name for name in sys.modules if "kernel" in name and name.startswith("pytest_test_categories")]
            assert "Seccomp:\\t0" in open("/proc/self/status").read() or os.environ.get("container")
        """
    )
    assert run(guard="off").counts == {"passed": 1}


def test_unprivileged_users_have_it_too(run: Callable[..., Outcome], unprivileged: tuple[str, ...]) -> None:
    """Without CAP_SYS_ADMIN the kernel wants no_new_privs, and a process may read descendants alone."""
    project(("small",))
    outcome = run("-q", "-s", "-k", "way[small-curl] or daemon or ctypes", prefix=unprivileged)
    assert outcome.packets == 0
    assert outcome.counts == {"failed": 6}, outcome.text


NATIVE_SOCKETS: Final = """
import pytest, socket, struct, subprocess, sys

GROUP, GROUP6 = socket.inet_aton("239.1.2.3"), socket.inet_pton(socket.AF_INET6, "ff15::3")

def native(*lines):
    code = "import socket; s = socket.socket(socket.{0}, socket.{1});".format(*lines[:2]) + ";".join(lines[2:])
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)

def join(level, option, value, family="AF_INET"):
    return native(family, "SOCK_DGRAM", f"s.setsockopt({level}, {option}, {value!r})")

def request(index, group, family):
    address = struct.pack("=HH4x", family, 0) + group + bytes(4) if len(group) == 16 else struct.pack("=HH", family, 0) + group
    return struct.pack("=I4x", index) + address.ljust(128, bytes(1))

ANY = bytes(4)
OUT = socket.if_nametoindex("sink")
LO = socket.if_nametoindex("lo")
JOINS = {
    "mreq": (0, 35, GROUP + ANY),
    "mreqn": (0, 35, GROUP + ANY + struct.pack("=I", OUT)),
    "source": (0, 39, GROUP + ANY + socket.inet_aton("198.51.100.9")),
    "group": (0, 42, request(OUT, GROUP, 2)),
    "group6": (41, 42, request(OUT, GROUP6, 10), "AF_INET6"),
    "source-group": (0, 46, request(OUT, GROUP, 2) + struct.pack("=HH4s120x", 2, 0, socket.inet_aton("198.51.100.9"))),
    "mreq6": (41, 20, GROUP6 + struct.pack("=I", OUT), "AF_INET6"),
}
"""


def test_a_native_join_of_a_multicast_group_is_a_send_to_it(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        NATIVE_SOCKETS
        + """
@pytest.mark.medium
@pytest.mark.parametrize("way", JOINS)
def test_medium(way):
    join(*JOINS[way])

@pytest.mark.small
@pytest.mark.parametrize("way", JOINS)
def test_small(way):
    join(*JOINS[way])

@pytest.mark.small
def test_what_sends_nothing():
    for done in (
        join(0, 35, GROUP + ANY + struct.pack("=I", LO)),
        join(41, 20, GROUP6 + struct.pack("=I", LO), "AF_INET6"),
        join(0, 35, socket.inet_aton("224.0.0.1") + ANY),
        native("AF_INET", "SOCK_STREAM", "s.setsockopt(1, 2, 1)", "s.setsockopt(6, 1, 1)"),
    ):
        assert not done.returncode, done.stderr
    assert "OSError" in join(0, 35, b"abc").stderr

@pytest.mark.large
@pytest.mark.parametrize("way", JOINS)
def test_large(way):
    done = join(*JOINS[way])
    assert not done.returncode, done.stderr
"""
    )
    outcome = run("-k", "not large")
    assert outcome.counts == {"passed": 1, "failed": 14}, outcome.text
    assert "239.1.2.3" in outcome.text
    assert "ff15::3" in outcome.text
    assert outcome.packets == 0
    outcome = run("-k", "large")
    assert outcome.counts == {"passed": 7}, outcome.text
    assert outcome.packets > 0  # they do lead out


def test_a_native_listen_on_a_socket_that_nothing_was_bound_to_is_a_bind(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        NATIVE_SOCKETS
        + """
SERVED = ("s.listen()", "print(s.getsockname()[1] > 0)")

@pytest.mark.small
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_small(family):
    native(family, "SOCK_STREAM", *SERVED)

@pytest.mark.medium
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_medium(family):
    assert native(family, "SOCK_STREAM", *SERVED).stdout == "True\\n"

@pytest.mark.small
def test_no_port():
    assert not native("AF_UNIX", "SOCK_STREAM", "s.bind('')", "s.listen()").returncode
    assert "OSError" in native("AF_INET", "SOCK_DGRAM", "s.listen()").stderr
"""
    )
    outcome = run("-v")
    assert outcome.counts == {"passed": 3, "failed": 2}, outcome.text
    assert "0.0.0.0:0" in outcome.text
    assert "[::]:0" in outcome.text
