"""gevent, patched and direct: greenlets have contexts of their own, and names are resolved in native threads."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import pytest

pytest.importorskip("gevent")

SCRIPT: Final = """
import json, os, sys
if sys.argv[1] == "ares":  # asks name servers by itself
    os.environ["GEVENT_RESOLVER"] = "ares"
if sys.argv[1] != "direct":
    from gevent import monkey
    monkey.patch_all()
import gevent, gevent.hub, gevent.socket, gevent.threadpool, socket, threading
gevent.hub.Hub.print_exception = lambda *args: None
from pytest_test_categories import NetworkAccessViolationError, expect_network_violation, network_guard

FOREIGN = ("198.51.100.1", 9)
NAME = ("foreign.example", 9)

def tcp(address, module=gevent.socket):
    sock = module.socket()
    try:
        sock.settimeout(2)
        sock.connect(address)
    finally:
        sock.close()

def udp(address):
    sock = gevent.socket.socket(type=socket.SOCK_DGRAM)
    try: sock.sendto(b"x", address)
    finally: sock.close()

def thread():
    t = threading.Thread(target=swallow, args=[tcp])
    t.start()
    t.join()

def swallow(f):
    try: f(FOREIGN)
    except Exception: pass

def pool(): return gevent.get_hub().threadpool

ATTACKS = {
    "connect": lambda: tcp(FOREIGN),
    "connect name": lambda: tcp(NAME),
    "stdlib connect": lambda: tcp(FOREIGN, socket),
    "stdlib connect name": lambda: tcp(NAME, socket),
    "sendto": lambda: udp(FOREIGN),
    "sendto name": lambda: udp(NAME),
    "getaddrinfo": lambda: gevent.socket.getaddrinfo(*NAME),
    "gethostbyname": lambda: gevent.socket.gethostbyname(NAME[0]),
    "gethostbyname_ex": lambda: gevent.socket.gethostbyname_ex(NAME[0]),
    "gethostbyaddr": lambda: gevent.socket.gethostbyaddr(FOREIGN[0]),
    "getnameinfo": lambda: gevent.socket.getnameinfo(FOREIGN, 0),
    "getfqdn": lambda: gevent.socket.getfqdn(NAME[0]),
    "the resolver itself": lambda: gevent.get_hub().resolver.getaddrinfo(*NAME),
    "create_connection": lambda: gevent.socket.create_connection(NAME),
    "stdlib create_connection": lambda: socket.create_connection(NAME),
    "spawn": lambda: gevent.spawn(tcp, FOREIGN).join(),
    "spawn in spawn": lambda: gevent.spawn(lambda: gevent.spawn(tcp, FOREIGN).join()).join(),
    "threading.Thread": thread,
    "threadpool apply": lambda: pool().apply(tcp, [FOREIGN]),
    "threadpool spawn": lambda: pool().spawn(tcp, FOREIGN).get(),
    "ThreadPoolExecutor": lambda: gevent.threadpool.ThreadPoolExecutor(1).submit(tcp, FOREIGN).result(),
}

found = {}
pool().apply(int)  # its thread is older than the guards
for name, attack in ATTACKS.items():
    guard = network_guard("small", "strict")
    try:
        with guard:
            try: attack()
            except Exception: pass
        found[name] = None
    except NetworkAccessViolationError as error:
        found[name] = [error.violation.target, error.violation.location, len(error.violations), error.violation.count]

server = gevent.socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
here = server.getsockname()
with network_guard("medium", "strict") as guard:
    tcp(here)
    tcp(("localhost", here[1]))
    gevent.socket.getaddrinfo("localhost", 80)
    gevent.joinall([gevent.spawn(tcp, here) for _ in range(5)])
    gevent.socket.create_connection(here).close()
found["medium"] = len(guard.violations)
with network_guard("small", "strict") as guard:
    gevent.sleep(0.001)
    assert pool().apply(abs, [-1]) == 1
    gevent.socket.socketpair()[0].close()
found["small"] = len(guard.violations)
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("default")
    with network_guard("small", "warn") as guard:
        tcp(here)
        gevent.socket.create_connection(("127.0.0.1", here[1])).close()
found["warned"] = [len([w for w in caught if "Network access" in str(w.message)]), [v.count for v in guard.violations]]
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=["patched", "direct", "ares"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, request.param], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_every_attack_is_charged_to_the_guard(found: dict[str, Any]) -> None:
    attacks = {name: what for name, what in found.items() if name not in {"medium", "small", "warned"}}
    assert [name for name, what in attacks.items() if what is None] == []
    assert {what[0].partition(":")[0] for what in attacks.values()} == {"198.51.100.1", "foreign.example"}
    assert {tuple(what[2:]) for what in attacks.values()} == {(1, 1)}


def test_rule_9_local_work_goes_on(found: dict[str, Any]) -> None:
    assert (found["medium"], found["small"]) == (0, 0)


def test_in_warn_mode_each_call_is_one_attempt(found: dict[str, Any]) -> None:
    assert found["warned"] == [1, [2]]  # one line of the script, two calls


ODD: Final = """
import gevent, gevent.socket, gevent.threadpool, json
from pytest_test_categories import NetworkAccessViolationError, network_guard

FOREIGN = ("198.51.100.1", 9)

def closed():
    sock = gevent.socket.socket()
    sock.close()
    sock.connect(FOREIGN)

def on(address):
    sock = gevent.socket.socket()
    try: sock.connect(address)
    finally: sock.close()

CALLS = {
    "closed": closed,
    "one-tuple": lambda: on(("198.51.100.1",)),
    "number": lambda: on(1),
    "no job": lambda: gevent.get_hub().threadpool.spawn(),
    "number for a job": lambda: gevent.get_hub().threadpool.spawn(1).get(),
}

def outcome(call):
    try: call()
    except Exception as error: return [type(error).__name__, str(error)]

def outcomes(): return {name: outcome(call) for name, call in CALLS.items()}

found = {"unguarded": outcomes()}
with network_guard("small", "strict") as guard: found["guarded"] = outcomes()

def deep(levels):
    if levels: gevent.spawn(deep, levels - 1).join()
    else: outcome(lambda: on(FOREIGN))

guard = network_guard("small", "strict")
try:
    with guard: deep(120)
except NetworkAccessViolationError: pass
found["deep"] = len(guard.violations)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def odd() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", ODD], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_rule_9_bad_arguments_raise_what_they_raise_without_the_guard(odd: dict[str, Any]) -> None:
    assert odd["guarded"] == odd["unguarded"]
    assert None not in odd["unguarded"].values()


def test_a_greenlet_is_held_to_the_guard_however_many_lie_between(odd: dict[str, Any]) -> None:
    assert odd["deep"] == 1
