"""``run``: any command, held to a size: the ways out, what is said, how it starts and ends, and what is around it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pexpect
import pytest
from tests.docs.test_examples import ExampleError, Project, run_page
from tests.docs.test_reference import ROOT, table
from tests.kernel.conftest import FOREIGN, NAMESPACE, left_over
from tests.kernel.test_life import state_of
from tests.waiting import until

from pytest_test_categories._commands.run import add_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.conftest import Outcome

pytestmark = pytest.mark.usefixtures("kernel", "environment")

RUN: Final = (sys.executable, "-W", "error", "-m", "pytest_test_categories", "run")
FOREIGN_6: Final = "2001:db8::1"
NO_NAME_SERVER: Final = {"RES_OPTIONS": "timeout:1 attempts:1"}
ADVICE: Final = re.compile(r"mock|pytest\.mark|fixture|dependency injection", re.IGNORECASE)
"""What is right for a test, and no help for a command."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, what it printed, how many packets left."""

    status: int
    out: str
    error: str
    packets: int = 0


def ended(words: list[str], timeout: float = 60, **settings: object) -> Ended:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout, **settings)  # type: ignore[call-overload]
    packets = re.search(r"^packets: (\d+)$", done.stdout, re.MULTILINE)
    return Ended(done.returncode, done.stdout, done.stderr, int(packets[1]) if packets else -1)


@pytest.fixture
def outside(network: tuple[str, ...]) -> Callable[..., Ended]:
    """Run a command at a size where packets that leave are counted."""

    def start(size: str, *words: str, prefix: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> Ended:
        return ended([*network, *prefix, *RUN, "--size", size, *options, "--", *words])

    return start


def held(*words: str, **settings: object) -> Ended:
    return ended([*RUN, *words], **settings)  # type: ignore[arg-type]


# -- the ways out ------------------------------------------------------------------------------------------------------

PYTHON: Final = "import socket, sys; sock = socket.socket(); sock.settimeout(1); sock.connect((sys.argv[1], 80))"
PYTHON_6: Final = "import socket; sock = socket.socket(socket.AF_INET6); sock.connect(('2001:db8::1', 80))"
PERL: Final = (
    "use IO::Socket::INET; IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => 80, Timeout => 1) or die $!"
)
NODE: Final = (
    "const s = require('net').connect(80, process.argv[1]);"
    "s.on('error', e => { console.error(e.code); process.exit(1) }); setTimeout(() => process.exit(2), 500)"
)
UDP: Final = "import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], 9))"
MESSAGE: Final = (
    "import os, socket, sys; sock = socket.socket(type=socket.SOCK_DGRAM); os.dup2(sock.fileno(), 900);"
    "socket.socket(fileno=900).sendmsg([b'x'], [], 0, (sys.argv[1], 9))"
)
DETACHED: Final = (
    "import os, socket, sys\n"
    "read, write = os.pipe()\n"
    "if not os.fork():\n"
    "    os.setsid()\n"
    "    if not os.fork():\n"
    "        os.closerange(3, 9) if 0 else None\n"
    "        sock = socket.socket(); sock.settimeout(1)\n"
    "        print(sock.connect_ex((sys.argv[1], 80)), flush=True)\n"
    "    os._exit(0)\n"
    "os.close(write)\n"
    "os.read(read, 1)\n"
)
WAYS: Final = {
    "python": (sys.executable, "-c", PYTHON, FOREIGN),
    "curl": ("curl", "-sS", "-m", "1", f"http://{FOREIGN}/"),
    "perl": ("perl", "-e", PERL, FOREIGN),
    "bash": ("timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{FOREIGN}/80"),
    "bash, datagrams": ("bash", "-c", f"echo hello >/dev/udp/{FOREIGN}/9"),
    "node": ("node", "-e", NODE, FOREIGN),
    "sendto": (sys.executable, "-c", UDP, FOREIGN),
    "sendmsg on the descriptor that a test process has for its own": (sys.executable, "-c", MESSAGE, FOREIGN),
    "without an environment": ("env", "-i", shutil.which("curl") or "curl", "-m", "1", f"http://{FOREIGN}/"),
    "a shell's child in the background": ("sh", "-c", f"curl -sS -m 1 http://{FOREIGN}/ & wait"),
    "a session of its own": ("setsid", "--wait", "curl", "-sS", "-m", "1", f"http://{FOREIGN}/"),
    "a forked child that leaves": (sys.executable, "-c", DETACHED, FOREIGN),
    "numbers of processes of its own": (*NAMESPACE[:-1], "--pid", "--fork", "curl", "-sS", "-m", "1", FOREIGN),
    "xargs": ("sh", "-c", f"echo http://{FOREIGN}/ | xargs -P 2 curl -sS -m 1"),
}


def needs(words: tuple[str, ...]) -> None:
    for name in ("curl", "perl", "node", "setsid", "bash"):
        if any(name in re.findall(r"[\w-]+", word) for word in words) and shutil.which(name) is None:
            pytest.skip(f"{name} is not there")


@pytest.mark.parametrize("way", WAYS)
def test_a_way_out_is_closed(outside: Callable[..., Ended], way: str) -> None:
    words = WAYS[way]
    needs(words)
    done = outside("medium", *words)
    assert done.packets == 0, done
    assert done.status, done
    assert f"Attempted network connection to {FOREIGN}:" in done.error
    assert re.search(r"^    in \S.* \(pid \d+\)$", done.error, re.MULTILINE), done.error
    assert "\ntest categories: medium, strict: 1 network violation\n" in done.error
    assert not ADVICE.search(done.error)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_one_where_the_size_permits_it(outside: Callable[..., Ended], way: str) -> None:
    words = WAYS[way]
    needs(words)
    done = outside("large", *words)
    assert done.packets > 0, done
    assert "test categories: large, strict: no violations\n" in done.error


def test_ipv6_is_refused_as_well() -> None:
    done = held("--size", "medium", sys.executable, "-c", PYTHON_6)
    assert done.status == 1
    assert "PermissionError" in done.error
    assert f"Attempted network connection to [{FOREIGN_6}]:80\n" in done.error
    assert f"--allow '[{FOREIGN_6}]:80'" in done.error


STATIC: Final = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_aton(arguments[1], &address.sin_addr);
    struct iovec part = {"x", 1};
    struct mmsghdr message = {{&address, sizeof address, &part, 1}};
    int stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
    int refused = 0;
    refused += syscall(SYS_connect, stream, &address, sizeof address) && errno == EACCES;
    refused += syscall(SYS_sendto, datagram, "x", 1, 0, &address, sizeof address) < 0 && errno == EACCES;
    refused += syscall(SYS_sendmsg, datagram, &message.msg_hdr, 0) < 0 && errno == EACCES;
    refused += syscall(SYS_sendmmsg, datagram, &message, 1, 0) < 0 && errno == EACCES;
    refused += syscall(425, 8, 0) < 0 && errno == ENOSYS;
    return refused;
}
"""


def test_a_static_program_is_refused_each_call_and_has_no_rings(outside: Callable[..., Ended], tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "static.c").write_text(STATIC)
    program = tmp_path / "static"
    subprocess.run([compiler, "-static", "-o", program, tmp_path / "static.c"], check=True)
    done = outside("small", str(program), FOREIGN)
    assert (done.status, done.packets) == (5, 0), done
    assert f"Attempted network connection to {FOREIGN}:9\n" in done.error
    assert f"Also attempted: {FOREIGN}:9 (x3); in {program}" in done.error


def test_another_user_is_held(outside: Callable[..., Ended], unprivileged: tuple[str, ...]) -> None:
    done = outside("medium", *WAYS["bash"], prefix=unprivileged)
    assert (done.status, done.packets) == (1, 0), done
    assert f"Attempted network connection to {FOREIGN}:80\n" in done.error


def test_without_its_supervisor_nothing_connects(outside: Callable[..., Ended]) -> None:
    done = outside("medium", "bash", "-c", f"trap '' TERM; kill -9 $PPID; exec 3<>/dev/tcp/{FOREIGN}/80")
    assert done.packets == 0
    assert done.status
    assert "the supervisor is gone; the command ends here" in done.error


@pytest.mark.parametrize(
    ("words", "name"),
    [
        pytest.param(("curl", "-sS", "-m", "2", "http://api.shop.test/"), "api.shop.test", id="curl"),
        pytest.param(("getent", "ahostsv4", "api.shop.test"), "api.shop.test", id="getent"),
        pytest.param(
            ("node", "-e", "require('dns').lookup('api.shop.test', e => process.exit(e ? 1 : 0))"),
            "api.shop.test",
            id="node",
        ),
        pytest.param(
            ("node", "-e", "require('dns').resolve4('api.shop.test', e => process.exit(e ? 1 : 0))"),
            "api.shop.test",
            id="node's own resolver",
        ),
    ],
)
def test_a_look_up_is_reported_by_its_name(outside: Callable[..., Ended], words: tuple[str, ...], name: str) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not there")
    done = outside("medium", *words)
    assert done.packets == 0, done
    assert done.status
    assert f"Attempted network connection to {name}\n    by a lookup (kernel)\n    in {words[0]} " in done.error
    assert f"--allow {name}\n" in done.error


# -- what size, entries and mode permit --------------------------------------------------------------------------------


@pytest.fixture
def knock(listener: tuple[str, int]) -> tuple[str, ...]:
    """Return a command that connects to a server on this machine."""
    return "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{listener[1]}"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param(("--size=small",), 1, id="small"),
        pytest.param(("--size=medium",), 0, id="medium"),
        pytest.param(("--size=large",), 0, id="large"),
        pytest.param(("--size=small", "--allow=127.0.0.1"), 0, id="allowed"),
        pytest.param(("--size=small", "--allow=127.0.0.2"), 1, id="another is allowed"),
        pytest.param(("--size=medium", "--deny=127.0.0.1"), 1, id="denied"),
        pytest.param(("--size=large", "--deny=localhost"), 1, id="denied by name at large"),
        pytest.param(("--size=small", "--mode=warn"), 0, id="warn"),
    ],
)
def test_the_options_decide(knock: tuple[str, ...], options: tuple[str, ...], status: int) -> None:
    done = held(*options, *knock)
    assert done.status == status, done
    assert ("[TC001]" in done.error) is (status == 1 or "--mode=warn" in options)


def test_the_advice_is_the_options_that_permit_it(knock: tuple[str, ...], listener: tuple[str, int]) -> None:
    done = held("--size=small", *knock)
    assert (
        f"  1. Permit this target: --allow 127.0.0.1:{listener[1]}\n  2. Permit this machine: --size medium\n"
        in done.error
    )
    assert held("--size=small", "--allow", f"127.0.0.1:{listener[1]}", *knock).status == 0
    denied = held("--size=medium", "--deny=127.0.0.1", *knock)
    assert f"  1. No size and no --allow permits 127.0.0.1:{listener[1]}: 127.0.0.1 is denied\n" in denied.error
    assert "  2. " not in denied.error


@pytest.mark.parametrize(
    ("variable", "options", "refused", "said"),
    [
        pytest.param({}, (), True, True, id="strict by default"),
        pytest.param({"TEST_CATEGORIES_ENFORCEMENT": "warn"}, (), False, True, id="warn"),
        pytest.param({"TEST_CATEGORIES_ENFORCEMENT": "off"}, (), False, False, id="off"),
        pytest.param({"TEST_CATEGORIES_ENFORCEMENT": "warn"}, ("--mode=strict",), True, True, id="the option beats it"),
        pytest.param({"TEST_CATEGORIES_NETWORK_ALLOW": "small: 127.0.0.1"}, (), False, False, id="allowed"),
        pytest.param({"TEST_CATEGORIES_NETWORK_DENY": "127.0.0.1"}, ("--size=large",), True, True, id="denied"),
    ],
)
def test_the_environment_decides_what_no_option_does(
    knock: tuple[str, ...], variable: dict[str, str], options: tuple[str, ...], *, refused: bool, said: bool
) -> None:
    done = held("--size=small", *options, *knock, env={**os.environ, **variable})
    assert done.status == int(refused), done
    assert ("[TC001]" in done.error) is said


def test_a_small_command_may_use_what_stays_among_its_own_processes(tmp_path: Path) -> None:
    code = (
        "import os, socket, subprocess, sys\n"
        "server = socket.socket(socket.AF_UNIX); server.bind('s'); server.listen()\n"
        "socket.socketpair()\n"
        "code = 'import socket; socket.socket(socket.AF_UNIX).connect(\"s\")'\n"
        "sys.exit(subprocess.call([sys.executable, '-c', code]))"
    )
    assert held("--size=small", sys.executable, "-c", code, cwd=tmp_path).status == 0


# -- what is said ------------------------------------------------------------------------------------------------------

TWICE: Final = f"for _ in 1 2; do (exec 3<>/dev/tcp/{FOREIGN}/80); (exec 3<>/dev/tcp/{FOREIGN}/81); done; true"


def test_each_target_is_told_once_with_its_count() -> None:
    done = held("--size=small", "bash", "-c", TWICE)
    assert done.status == 1
    assert done.error.count("[TC001]") == 1
    assert f"Command: bash -c '{TWICE}'\nCategory: SMALL\n" in done.error
    assert "\n    seen 2 times\n    the call was refused there with EACCES (permission denied)\n" in done.error
    assert f"\n  Also attempted: {FOREIGN}:81 (x2); in bash -c " in done.error
    assert f"Permit these targets: --allow {FOREIGN}:80 --allow {FOREIGN}:81\n" in done.error
    assert done.error.endswith("\ntest categories: small, strict: 4 network violations\n")


def test_quiet_is_one_line_for_each_target_and_none_without() -> None:
    done = held("--size=small", "-q", "bash", "-c", f"({TWICE}) 2>/dev/null")
    assert [line.partition("; in")[0] for line in done.error.splitlines()] == [
        f"test categories: [TC001] {FOREIGN}:80 (x2)",
        f"test categories: [TC001] {FOREIGN}:81 (x2)",
    ]
    assert held("--size=small", "--quiet", "echo", "hi") == Ended(0, "hi\n", "", -1)


def test_in_warn_mode_the_call_goes_on_and_is_told() -> None:
    done = held("--size=small", "--mode=warn", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/1")
    assert "Connection refused" in done.error
    assert "the call went on, since the mode is warn" in done.error
    assert "small, warn: 1 network violation" in done.error


def test_very_many_targets_are_told_in_bounds() -> None:
    code = (
        "import socket\n"
        "for number in range(1000):\n"
        "    socket.socket(type=socket.SOCK_DGRAM).connect_ex(('198.51.100.1', 1000 + number))\n"
    )
    done = held("--size=small", "-q", sys.executable, "-c", code)
    lines = done.error.splitlines()
    assert len(lines) == 501
    assert lines[-1].startswith("test categories: [TC001] further targets (x500)")


@pytest.mark.parametrize("suffix", [".json", ".html", ".sarif", ".md"])
def test_a_report_has_the_command_as_its_one_test(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "below" / f"report{suffix}"
    line = f"exec 3<>/dev/tcp/{FOREIGN}/80 # password"
    done = held("--size=small", f"--network-report={path}", "bash", "-c", line, cwd=tmp_path)
    assert done.status == 1
    assert f"test categories: report: below/report{suffix}\n" in done.error
    text = path.read_text(encoding="utf-8")
    assert f"{FOREIGN}:80" in text
    assert "password" not in text  # arguments may be secrets
    assert "pytest.mark.large" not in text
    if suffix == ".json":
        report = json.loads(text)
        assert [(test["id"], test["size"], test["outcome"]) for test in report["tests"]] == [
            ("bash", "small", "failed")
        ]
        (access,) = report["accesses"]
        assert (access["verdict"], access["needs"], access["layer"]) == ("refused", "large", "kernel")
        assert access["process"] == "bash"


def test_a_report_that_can_not_be_written_changes_no_status(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = held("--size=small", f"--network-report={tmp_path}/file/report.json", "true")
    assert done.status == 0
    assert "test categories: the report can't be written: " in done.error


# -- settings and starts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("true",), "the following arguments are required: --size", id="no size"),
        pytest.param(("--size=tiny", "true"), "choose from", id="size"),
        pytest.param(("--size=small", "--mode=off", "true"), "choose from", id="mode"),
        pytest.param(("--size=small",), "which command?", id="no command"),
        pytest.param(("--size=small", "--"), "which command?", id="no command behind the dashes"),
        pytest.param(("--size=small", "--allow=10.0.0.256", "true"), "looks like an IPv4 address", id="allow"),
        pytest.param(("--size=small", "--deny=small: db", "true"), "holds for every size", id="deny"),
        pytest.param(("--size=small", "--network-report=x.pdf", "true"), ".json (all of it", id="report"),
        pytest.param(("--size=small", "--sise=small", "true"), "unrecognized arguments: --sise", id="unknown"),
    ],
)
def test_bad_settings_are_one_line_and_status_4(words: tuple[str, ...], said: str) -> None:
    done = held(*words)
    assert done.status == 4, done
    assert said in done.error
    assert len(done.error.splitlines()) == 1


def test_a_bad_mode_in_the_environment_is_as_well() -> None:
    done = held("--size=small", "true", env={**os.environ, "TEST_CATEGORIES_ENFORCEMENT": "hard"})
    assert done.status == 4
    assert "'hard' is not an enforcement mode; choose one of strict, warn, off" in done.error


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_what_can_not_be_started_ends_as_in_a_shell(tmp_path: Path, mode: str) -> None:
    environment = {**os.environ, "TEST_CATEGORIES_ENFORCEMENT": mode}
    assert held("--size=small", "no-such-command", env=environment) == Ended(
        127, "", "no-such-command: command not found\n", -1
    )
    done = held("--size=small", str(tmp_path / "missing"), env=environment)
    assert (done.status, done.error) == (127, f"{tmp_path}/missing: No such file or directory\n")
    done = held("--size=small", str(tmp_path), env=environment)
    assert (done.status, done.error) == (126, f"{tmp_path}: Permission denied\n")
    script = tmp_path / "script"
    script.write_text('echo "$0 $1"; exit 3\n')
    script.chmod(0o755)
    done = held(
        "--size=small", "script", "an argument", env={**environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )
    assert (done.status, done.out) == (3, f"{script} an argument\n")


def test_dashes_are_needed_only_before_a_command_that_begins_with_one(tmp_path: Path) -> None:
    assert held("--size=small", "echo", "--size", "-q", "--").out == "--size -q --\n"
    assert held("--size=small", "--", "echo", "--").out == "--\n"
    program = tmp_path / "--version"
    program.write_text("#!/bin/sh\necho dashed\n")
    program.chmod(0o755)
    assert (
        held("--size=small", "--", "--version", env={**os.environ, "PATH": f"{tmp_path}:/bin:/usr/bin"}).out
        == "dashed\n"
    )


def test_where_the_layer_can_not_work_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(3,), daemon=True).start()\n"
    )
    done = held("--size=small", "touch", str(tmp_path / "started"), env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.status == 4
    assert re.fullmatch(
        r"python -m pytest_test_categories run: the kernel layer can't hold the command here: 2 threads run already .*\n",
        done.error,
    )
    assert not (tmp_path / "started").exists()


def test_neither_pytest_nor_wrapt_is_needed(tmp_path: Path) -> None:
    for name in ("pytest", "_pytest", "wrapt"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    broken = ended([sys.executable, "-c", "import pytest"], env=environment)
    assert "pytest was imported" in broken.error
    report = tmp_path / "report.json"
    words = ("bash", "-c", f"exec 3<>/dev/tcp/{FOREIGN}/80")
    done = held("--size=small", f"--network-report={report}", *words, env=environment)
    assert done.status == 1
    assert "[TC001]" in done.error
    assert report.exists()


def test_the_command_gets_what_was_given(tmp_path: Path) -> None:
    """Standard input, inherited descriptors, the working directory, the signals' defaults and the environment."""
    read, write = os.pipe()
    line = f"cat; echo $PWD; echo below >&{write}; yes | head -1; echo ${{PIPESTATUS[0]}}; echo $GREETING"
    environment = {**os.environ, "GREETING": "hello"}
    settings = {"input": "typed\n", "cwd": tmp_path, "pass_fds": [write], "env": environment}
    done = held("--size=small", "-q", "bash", "-c", line, **settings)
    os.close(write)
    with open(read) as pipe:
        assert pipe.read() == "below\n"
    assert done.out == f"typed\n{tmp_path}\ny\n141\nhello\n"


def test_standard_descriptors_that_are_closed_stay_closed(tmp_path: Path) -> None:
    line = f"ls /proc/$$/fd >seen; (exec 9<>/dev/tcp/{FOREIGN}/80); true"
    words = shlex.join([*RUN, "--size=small", "bash", "-c", line])
    done = ended(["bash", "-c", f"{words} <&- >&- 2>&-"], cwd=tmp_path)
    assert (done.status, done.out, done.error) == (1, "", "")
    assert not {"0", "1", "2"} & set((tmp_path / "seen").read_text().split())


def test_who_does_not_read_what_is_said_changes_no_status(tmp_path: Path) -> None:
    line = f"(exec 9<>/dev/tcp/{FOREIGN}/80) 2>/dev/null; exit 5"
    words = shlex.join([*RUN, "--size=small", "bash", "-c", line])
    done = ended(["bash", "-c", f"{words} 2>&1 >/dev/null | true; echo ${{PIPESTATUS[0]}}"], cwd=tmp_path)
    assert done.out == "5\n"


def test_a_long_command_is_one_line() -> None:
    line = f"(exec 9<>/dev/tcp/{FOREIGN}/80)\n" * 100
    shown = [
        text for text in held("--size=small", "bash", "-c", line).error.splitlines() if text.startswith("Command: ")
    ]
    assert [len(text) for text in shown] == [len("Command: ...") + 300]


# -- how it ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -9 $$", -9),
        ("ulimit -c 0; kill -SEGV $$", -11),
        (f"(exec 3<>/dev/tcp/{FOREIGN}/80); exit 0", 1),
        (f"(exec 3<>/dev/tcp/{FOREIGN}/80); exit 7", 7),
        (f"(exec 3<>/dev/tcp/{FOREIGN}/80); kill -9 $$", -9),
    ],
)
def test_the_status_is_the_commands(line: str, status: int) -> None:
    assert held("--size=small", "bash", "-c", line).status == status


@contextlib.contextmanager
def sleeping(line: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a command that prints its process id, and yield the process of ``run`` and that id."""
    words = [*RUN, "--size=small", "-q", "--", "bash", "-c", f"echo $$; {line}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], ids=str)
def test_a_signal_to_the_process_that_was_started_reaches_the_command(number: signal.Signals) -> None:
    with sleeping(f"trap 'exit 9' {number.name.removeprefix('SIG')}; echo ready; while :; do sleep 0.05; done") as (
        process,
        _,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 9


def test_a_signal_that_the_command_does_not_handle_ends_both() -> None:
    with sleeping("exec sleep 60") as (process, pid):
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM
        assert until(lambda: not Path(f"/proc/{pid}").exists())


def test_the_command_ends_when_the_process_that_was_started_is_killed() -> None:
    with sleeping("exec sleep 60") as (process, pid):
        process.kill()
        process.wait()
        assert until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_stopped_command_stops_what_was_started() -> None:
    with sleeping("exec sleep 60") as (process, pid):
        os.kill(pid, signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(process.pid, signal.SIGCONT)
        assert until(lambda: state_of(pid) == "S")


def test_control_z_fg_and_control_c() -> None:
    line = " ".join(f"'{word}'" for word in (*RUN, "--size=small", "bash", "-c", "echo at $$; exec sleep 60"))
    shell = pexpect.spawn("/bin/bash", ["--norc", "-i"], timeout=30, encoding="utf-8", env={**os.environ, "PS1": "$ "})
    shell.sendline(line)
    shell.expect(r"at (\d+)")
    pid = int(shell.match[1])
    assert until(lambda: state_of(pid) == "S")
    shell.sendcontrol("z")
    shell.expect("Stopped")
    assert state_of(pid) == "T"
    shell.sendline("fg")
    assert until(lambda: state_of(pid) == "S")
    shell.sendintr()
    shell.expect("small, strict: no violations")
    shell.sendline("echo status $?")
    shell.expect(r"status \d+")
    assert shell.after == "status 130"
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()


# -- what outlives the command -----------------------------------------------------------------------------------------

DAEMON: Final = f"""
while [ ! -e go ]; do sleep 0.02; done
(exec 3<>/dev/tcp/127.0.0.1/$1 && echo connected) >new 2>&1
(exec 3<>/dev/tcp/{FOREIGN}/80 && echo connected) >>new 2>&1
mv new answer
"""


@pytest.mark.parametrize("user", ["the same", "another"])
def test_a_daemon_that_outlives_the_command_stays_held(
    pytester: pytest.Pytester, listener: tuple[str, int], request: pytest.FixtureRequest, user: str
) -> None:
    prefix = request.getfixturevalue("unprivileged") if user == "another" else ()
    (pytester.path / "daemon.sh").write_text(DAEMON)
    line = f"setsid bash daemon.sh {listener[1]} <&- >&- 2>&- &"
    words = [*prefix, *RUN, "--size=medium", "--", "bash", "-c", line]
    done = ended(words, cwd=pytester.path)  # neither this nor who reads its output waits
    assert done.status == 0, done
    assert until(lambda: len(left_over("daemon.sh")) == 2)  # the daemon and the supervisor
    (pytester.path / "go").touch()
    answer = pytester.path / "answer"
    assert until(answer.exists)
    here, outside = answer.read_text().splitlines()[:2]
    assert here == "connected"
    assert outside.endswith("connect: Permission denied")
    assert until(lambda: not left_over("daemon.sh"))


# -- what is around it, and within -------------------------------------------------------------------------------------


def test_in_a_small_test_it_opens_nothing(run: Callable[..., Outcome], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import subprocess, pytest

        @pytest.mark.small
        def test_small():
            command = ["bash", "-c", "exec 3<>/dev/tcp/{FOREIGN}/80"]
            done = subprocess.run([*{RUN!r}, "--size=large", *command], capture_output=True, text=True)
            print(done.stderr)
        """
    )
    outcome = run("-rA")
    assert outcome.packets == 0
    assert outcome.counts == {"failed": 1}
    said = "test categories: a supervisor around this one holds the command to its own size; the options given here do not apply"
    assert outcome.text.count(said) == 1
    assert f"Attempted network connection to {FOREIGN}:80" in outcome.text


def test_in_a_test_without_the_layer_it_holds_the_command(
    run: Callable[..., Outcome], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        f"""
        import subprocess, pytest

        @pytest.mark.parametrize("size", [pytest.param(s, marks=getattr(pytest.mark, s)) for s in ("small", "large")])
        def test_starts(size):
            command = ["bash", "-c", "exec 3<>/dev/tcp/{FOREIGN}/80"]
            done = subprocess.run([*{RUN!r}, "--size=small", *command], capture_output=True, text=True)
            assert done.returncode == 1
            assert done.stderr.count("[TC001]") == 1
        """
    )
    outcome = run(guard="off")
    assert outcome.counts == {"passed": 2}, outcome.text
    assert outcome.packets == 0


def test_in_another_it_stays_under_that(outside: Callable[..., Ended]) -> None:
    done = outside("medium", *RUN, "--size=large", *WAYS["curl"])
    assert done.packets == 0
    assert done.status == 7
    assert done.error.count("[TC001]") == 1
    assert "holds the command to its own size; the options given here do not apply" in done.error


def test_where_the_other_supervisor_is_not_known_nothing_is_started(tmp_path: Path) -> None:
    started = tmp_path / "started"
    done = held("--size=large", "env", "-i", *RUN, "--size=small", "touch", str(started))
    assert done.status == 4
    assert "can't hold the command here: another supervisor watches this process already" in done.error
    assert not started.exists()


def test_a_variable_that_a_supervisor_has_left_behind_opens_nothing() -> None:
    done = held("--size=small", *WAYS["bash"], env={**os.environ, "_PYTEST_TEST_CATEGORIES_KERNEL": "around"})
    assert done.status == 1
    assert "[TC001]" in done.error


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "xdist"])
def test_around_pytest_the_sizes_of_the_tests_hold_and_the_commands_for_what_they_start(
    outside: Callable[..., Ended],
    command: Callable[..., list[str]],
    pytester: pytest.Pytester,
    workers: tuple[str, ...],
) -> None:
    pytester.makepyfile(
        f"""
        import socket, subprocess, pytest

        @pytest.mark.small
        def test_small():
            socket.create_connection(("127.0.0.1", 1))

        @pytest.mark.large
        def test_large():
            assert subprocess.run(["curl", "-sS", "-m", "1", "http://{FOREIGN}/"]).returncode == 7
        """
    )
    done = outside("medium", *command("-rA", "-v", *workers))
    assert done.packets == 0, done
    assert done.status == 1
    assert "kernel (the run's around this one)" in done.out
    assert "1 failed, 1 passed" in done.out
    assert "    127.0.0.1:1 at test_around_" in done.out
    assert f"Attempted network connection to {FOREIGN}:80\n    in curl" in done.error


# -- what the pages say ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="as for the other pages")
def test_the_examples_of_the_guide_do_what_it_says(tmp_path: Path) -> None:
    try:
        run_page((ROOT / "docs/guides/any-command.md").read_text(encoding="utf-8"), Project(tmp_path))
    except ExampleError as error:
        said = str(error)
    else:
        return
    pytest.fail(said, pytrace=False)


def test_the_reference_lists_the_options() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    rows = table(ROOT / "docs/reference/commands.md", "option")
    actions = [", ".join(action.option_strings) for action in parser._actions if action.option_strings]
    assert [row[0] for row in rows] == actions
