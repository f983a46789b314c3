"""Look-ups: refused with the name they ask for; an allowed name works, with its addresses, in native code too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.kernel.conftest import NAMESPACE, SETTING, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("kernel")

ANSWER: Final = "198.51.100.77"
NAME_SERVER: Final = f"""
import socket, sys
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind(("10.9.9.2", 53))
log = open(sys.argv[1], "a", buffering=1)
print("ready", flush=True)
while True:
    query, client = server.recvfrom(999)
    end = query.index(b"\\0", 12)
    name = ".".join(p.decode() for p in __import__("re").findall(rb"[\\x01-\\x1f]([a-z0-9-]+)", query[12:end]))
    log.write(name + "\\n")
    question = query[12:end + 5]
    ipv4 = question[-4:] == b"\\0\\1\\0\\1"
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + socket.inet_aton("{ANSWER}") if ipv4 else b""
    server.sendto(query[:2] + b"\\x81\\x80\\0\\1" + (b"\\0\\1" if ipv4 else b"\\0\\0") + bytes(4) + question + answer, client)
"""
WITH_NAMES: Final = (
    SETTING.split("status =", maxsplit=1)[0]
    + """
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "--bind", "resolv.conf", "/etc/resolv.conf"], check=True)
server = subprocess.Popen([sys.executable, "-c", open("server.py").read(), "asked"], stdout=subprocess.PIPE)
server.stdout.readline()
status ="""
    + SETTING.split("status =", maxsplit=1)[1].replace("sys.exit", "server.kill()\nsys.exit")
)


@pytest.fixture
def with_names(pytester: pytest.Pytester, environment: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the prefix of a command that a name server has an answer for; ``asked`` holds the names it was asked for."""
    Path("resolv.conf").write_text("nameserver 10.9.9.2\noptions timeout:1 attempts:1\n")
    Path("server.py").write_text(NAME_SERVER)
    monkeypatch.delenv("RES_OPTIONS")
    setting = [*NAMESPACE, "--mount", sys.executable, "-c", WITH_NAMES]
    tried = subprocess.run([*setting, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this system lets nobody make a network of his own: {tried.stderr.strip()[-200:]}")
    return setting


@pytest.fixture
def run_with_names(
    pytester: pytest.Pytester, command: Callable[..., list[str]], with_names: list[str]
) -> Callable[..., Outcome]:
    """Run pytest there."""

    def run(*args: str, **settings: object) -> Outcome:
        result = pytester.run(*with_names, *command(*args, **settings), timeout=60)
        text = result.stdout.str() + result.stderr.str()
        packets = re.search(r"^packets: (\d+)$", text, re.MULTILINE)
        return Outcome(result, int(packets[1]) if packets else -1, text)

    return run


def asked() -> set[str]:
    try:
        return set(Path("asked").read_text().split())
    except FileNotFoundError:
        return set()


LOOK_UPS: Final = """
import asyncio, ctypes, os, select, socket, subprocess, sys
import pytest

def curl(host, port=80):
    return subprocess.run(["curl", "-sS", "-4", "-m", "1", f"http://{host}:{port}/"]).returncode

def dual(host, port=80):
    return subprocess.run(["curl", "-sS", "-m", "1", f"http://{host}:{port}/"]).returncode

def child(host, port=80):
    code = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code, host, str(port)]).returncode

def by_uvloop(host, port=80):
    uvloop = pytest.importorskip("uvloop")
    async def go():
        try:
            await asyncio.wait_for(asyncio.open_connection(host, port), 1)
        except TimeoutError:
            return 28
        except OSError:
            return 6
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(go())

def gethostbyname(host, port=80):
    libc = ctypes.CDLL(None)
    libc.gethostbyname.restype = ctypes.c_void_p
    return 0 if libc.gethostbyname(host.encode()) else 6
"""


@pytest.mark.parametrize("size", ["small", "medium"])
def test_a_refused_look_up_is_named_and_asks_nobody(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester, size: str
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + f"""
@pytest.mark.{size}
@pytest.mark.parametrize("way", [dual, child, by_uvloop])
def test_way(way):
    assert way(f"{{way.__name__}}.shop.test".replace("_", "-"))
"""
    )
    assert run_with_names(guard="off", mode="off").counts == {"passed": 3}
    assert asked() == {"dual.shop.test", "child.shop.test", "by-uvloop.shop.test"}  # these are ways out
    Path("asked").unlink()
    outcome = run_with_names()
    assert asked() == set()
    assert outcome.counts == {"failed": 3}
    assert outcome.packets == 0
    for name in ("dual", "child"):
        assert f"  Attempted network connection to {name}.shop.test\n    by a lookup (kernel)" in outcome.text
    assert (
        "  Attempted network connection to by-uvloop.shop.test:80\n" in outcome.text
    )  # its own entry point tells more


ONE_FAMILY: Final = """
def one_after_the_other(host, port=80):  # as c-ares does: both questions by one socket, whose answers must not be mixed up
    libc = ctypes.CDLL(None)
    sock = libc.socket(2, 2, 0)
    libc.connect(sock, b"\\2\\0\\0\\x35\\x0a\\x09\\x09\\x02" + bytes(8), 16)
    question = b"".join(bytes([len(part)]) + part.encode() for part in host.split("."))
    answers = []
    ready = select.poll()
    ready.register(sock, select.POLLIN)
    for number in (1, 2):
        query = bytes([0, number]) + b"\\1\\0\\0\\1" + bytes(6) + question + b"\\0\\0\\1\\0\\1"
        for _ in range(10):  # as each resolver does: a question that is sent at the moment of an answer may be lost
            if libc.send(sock, query, len(query), 0) < 0:
                return 6
            if ready.poll(2000):
                break
        else:
            return 6
        answers.append(ctypes.create_string_buffer(512))
        if libc.recv(sock, answers[-1], 512, 0) < 0:
            return 6
    assert [answer.raw[1] for answer in answers] == [1, 2]
    codes = {answer.raw[3] & 15 for answer in answers}
    os.close(sock)
    return 0 if codes == {0} else 6
"""


def test_a_look_up_of_one_family_is_named_too(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    # It says its name by `send`, which meets no filter. Newer curls ask for each family in a thread of its own.
    pytester.makepyfile(
        test_names=LOOK_UPS
        + ONE_FAMILY
        + """@pytest.mark.medium
@pytest.mark.parametrize("way", [gethostbyname, curl, one_after_the_other])
def test_way(way):
    assert way(f"{way.__name__}.shop.test".replace("_", "-")) == 6
"""
    )
    outcome = run_with_names()
    assert outcome.counts == {"failed": 3}
    assert asked() == set()
    assert outcome.packets == 0
    for name in ("gethostbyname", "curl", "one-after-the-other"):
        assert f"  Attempted network connection to {name}.shop.test\n    by a lookup (kernel)" in outcome.text


def test_an_allowed_name_may_be_looked_up_for_one_family(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + ONE_FAMILY
        + """
@pytest.mark.medium
@pytest.mark.parametrize("way", [gethostbyname, curl, one_after_the_other])
@pytest.mark.parametrize("host", ["db.test", "db.test", "shop.test"])
def test_way(way, host):
    assert way(host) in ((6,) if host == "shop.test" else (0, 28))
"""
    )
    outcome = run_with_names("-v", "-o", "test_categories_network_allow=db.test:80")
    assert outcome.counts == {"passed": 6, "failed": 3}, outcome.text
    assert asked() == {"db.test"}
    assert outcome.text.count("  Attempted network connection to shop.test\n") == 3


def test_what_is_no_query_does_not_reach_a_name_servers_port(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
@pytest.mark.medium
def test_other_protocol():
    libc = ctypes.CDLL(None)
    sock = libc.socket(2, 2, 0)
    libc.connect(sock, b"\\2\\0\\0\\x35\\x0a\\x09\\x09\\x02" + bytes(8), 16)
    libc.send(sock, b"hello", 5, 0)
    os.close(sock)
"""
    )
    outcome = run_with_names()
    assert outcome.counts == {"failed": 1}
    assert asked() == set()
    assert "  Attempted network connection to 10.9.9.2:53\n    by a lookup (kernel)" in outcome.text


def test_an_allowed_name_may_be_looked_up_and_its_addresses_reached(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
import time

@pytest.mark.medium
@pytest.mark.parametrize("way", [dual, child, by_uvloop])
def test_allowed(way):
    assert way("db.test") in (28, 1)

@pytest.mark.medium
def test_allowed_in_python():
    assert socket.gethostbyname("db.test") == "198.51.100.77"
    with pytest.raises(TimeoutError):
        socket.create_connection(("db.test", 80), 0.5)
    assert curl("198.51.100.77") == 28

@pytest.mark.medium
def test_allowed_in_a_thread_pool():
    async def go():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection("db.test", 80), 0.5)
    asyncio.run(go())

@pytest.mark.medium
def test_another_port():
    assert dual("db.test", 81) == 7

@pytest.mark.medium
def test_another_name():
    assert dual("shop.test") == 6
"""
    )
    outcome = run_with_names("-v", "-o", "test_categories_network_allow=db.test:80")
    assert outcome.counts == {"passed": 5, "failed": 2}, outcome.text
    assert outcome.packets > 0
    assert asked() == {"db.test"}
    assert "  Attempted network connection to db.test:81" in outcome.text
    assert "  Attempted network connection to shop.test\n" in outcome.text


@pytest.mark.parametrize(("name", "goes"), [("allowed.test", True), ("other.test", False)])
def test_a_command_looks_up_allowed_names_and_reaches_their_addresses(
    with_names: list[str], name: str, *, goes: bool
) -> None:
    held = [sys.executable, "-m", "pytest_test_categories", "run", "--size=medium", "--allow=allowed.test:80"]
    words = [*with_names, *held, "curl", "-sS", "-m", "1", f"http://{name}/"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert asked() == ({name} if goes else set())
    assert ("packets: 0\n" in done.stdout) is not goes
    assert (f"Attempted network connection to {name}\n" in done.stderr) is not goes
    assert done.returncode == (28 if goes else 6), done


def test_a_name_server_may_be_allowed_itself(run_with_names: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
@pytest.mark.medium
def test_look_up():
    assert gethostbyname("shop.test") == 0
"""
    )
    assert run_with_names("-o", "test_categories_network_allow=10.9.9.2:53").counts == {"passed": 1}
    assert asked() == {"shop.test"}


def test_a_short_name_is_allowed_and_shown_as_it_was_asked_for(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
@pytest.mark.medium
@pytest.mark.parametrize("way", [dual, child])
def test_allowed(way):
    assert way("db") in (28, 1)

@pytest.mark.medium
def test_another():
    assert dual("shop") == 6
"""
    )
    with open("resolv.conf", "a") as file:
        file.write("search corp.test\n")
    outcome = run_with_names("-o", "test_categories_network_allow=db:80")
    assert outcome.counts == {"passed": 2, "failed": 1}, outcome.text
    # Where a name has no address of one family, it is asked for without the domain as well.
    assert asked() - {"db"} == {"db.corp.test"}
    assert "  Attempted network connection to shop\n" in outcome.text


def test_warn_mode_names_what_it_lets_go(run_with_names: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
@pytest.mark.medium
@pytest.mark.parametrize("way", [dual, curl])
def test_look_up(way):
    assert way(way.__name__ + ".shop.test") == 28
"""
    )
    outcome = run_with_names(mode="warn")
    assert outcome.counts == {"passed": 2}
    assert asked() == {"dual.shop.test", "curl.shop.test"}
    for name in ("dual", "curl"):
        assert (
            f"Network access violation in test_look_up[{name}]: attempted connection to {name}.shop.test"
            in outcome.text
        )


@pytest.mark.parametrize("size", ["large", "xlarge", "filterwarnings('default')"])
def test_a_list_narrows_native_code_and_programs_of_every_size(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester, size: str
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + f"""
pytestmark = [pytest.mark.{size}, pytest.mark.network_only("db.test:80", "127.0.0.7", "198.51.100.9:80")]

@pytest.mark.parametrize("way", [dual, child, by_uvloop])
def test_listed(way):
    assert way("db.test") in (28, 1)
    assert way("198.51.100.9") in (28, 1)

@pytest.mark.parametrize("way", [dual, child, by_uvloop])
def test_another_name(way):
    assert way("shop.test")

@pytest.mark.parametrize("way", [curl, child])
def test_another_port(way):
    assert way("db.test", 81)

@pytest.mark.parametrize("way", [curl, child])
@pytest.mark.parametrize("host", ["198.51.100.1", "127.0.0.1"])
def test_another_address(way, host):
    assert way(host)

def test_this_machine():
    assert curl("127.0.0.7") == 7
"""
    )
    outcome = run_with_names("-v")
    assert outcome.counts == {"passed": 4, "failed": 9}, outcome.text
    assert asked() == {"db.test"}
    assert "network_only does not list it" in outcome.text or "does not list it" in outcome.text


def test_a_denied_name_is_denied_by_its_short_form_too(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
@pytest.mark.large
@pytest.mark.parametrize("way", [curl, dual, child])  # one family alone is asked for in another way than two
def test_denied(way):
    assert way("shop") == (1 if way is child else 6)

@pytest.mark.large
@pytest.mark.parametrize("way", [curl, dual, child])
def test_free(way):
    assert way("db") in (28, 1)
"""
    )
    with open("resolv.conf", "a") as file:
        file.write("search corp.test\n")
    outcome = run_with_names("--network-deny=shop.corp.test")
    assert outcome.counts == {"passed": 3, "failed": 3}, outcome.text
    assert not asked() & {"shop", "shop.corp.test"}


def test_a_look_up_asks_for_what_the_caller_asked_and_for_nothing_else(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    """The guard looks a permitted name up itself, to know its addresses; search domains are the caller's affair."""
    pytester.makepyfile(
        test_names=LOOK_UPS
        + """
@pytest.mark.parametrize("way", [curl, dual])
@pytest.mark.medium
@pytest.mark.network_allow("db", "198.51.100.0/24")
def test_permitted(way):
    assert way("db.") == 28
"""
    )
    with open("resolv.conf", "a") as file:
        file.write("search corp.test\n")
    outcome = run_with_names()
    assert outcome.counts == {"passed": 2}, outcome.text
    assert asked() == {"db"}


@pytest.mark.parametrize("size", ["large", "filterwarnings('default')", "medium"])
def test_what_is_denied_is_refused_to_native_code_and_programs_of_every_size(
    run_with_names: Callable[..., Outcome], pytester: pytest.Pytester, size: str
) -> None:
    pytester.makepyfile(
        test_names=LOOK_UPS
        + f"""
pytestmark = [pytest.mark.{size}, pytest.mark.network_allow("10.9.9.2:53", "db.test", "shop.test", "198.51.100.0/24")]

@pytest.mark.parametrize("way", [dual, child, by_uvloop])
def test_free(way):
    assert way("db.test") in (28, 1)
    assert way("198.51.100.9") in (28, 1)

@pytest.mark.parametrize("way", [dual, child, by_uvloop, gethostbyname])
def test_denied_name(way):
    assert way("Shop.test")

@pytest.mark.parametrize("way", [curl, child, by_uvloop])
@pytest.mark.parametrize("host", ["198.51.100.1", "127.0.0.8"])
def test_denied_address(way, host):
    assert way(host)

def test_this_machine():
    assert curl("127.0.0.7") == 7
"""
    )
    denied = ("--network-deny=shop.test", "--network-deny=198.51.100.1", "--network-deny=127.0.0.8:80")
    outcome = run_with_names("-v", *denied)
    assert outcome.counts == {"passed": 4, "failed": 10}, outcome.text
    assert asked() == {"db.test"}
