"""Real runs under the kernel layer, in a network of their own whose outside is a sink that counts packets."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOREIGN: Final = "198.51.100.1"
NAMESPACE: Final = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--net")
"""Gives a command a network of its own, root or not, where the system lets it."""
SETTING: Final = """
import os, subprocess, sys

for command in (
    "ip link set lo up",
    "ip link add sink type veth peer name beyond",
    "ip addr add 10.9.9.2/24 dev sink",
    "ip link set beyond up",
    "ip link set sink up",
    "ip neigh add 10.9.9.1 lladdr 02:00:00:00:00:01 dev sink nud permanent",
    "ip route add default via 10.9.9.1",
):
    subprocess.run(command.split(), check=True)
    if "veth" in command:  # the system's own chatter
        for name in ("sink", "beyond"):
            with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as file:
                file.write("1")
status = subprocess.call(sys.argv[1:])
for line in open("/proc/net/dev"):
    if line.strip().startswith("sink:"):
        print("packets:", line.split()[10], flush=True)
sys.exit(status if status >= 0 else 128 - status)
"""
"""Runs a command where nothing gets further than an interface that swallows it, and says how many packets have."""

MARK: Final = "TESTS_OF_THE_KERNEL_LAYER"
MARKED: Final = f"{os.getpid()}-{time.time_ns()}"
"""In the environment of what these tests start: the same tests may run in another checkout at the same time."""
os.environ[MARK] = MARKED
PLUGIN: Final = ("-p", "pytest_test_categories.pytest_plugin", "-p", "no:cacheprovider")
PROBE: Final = """
import os
from pytest_test_categories._kernel import probe
reason = probe.unavailable()
tried = ""
if not reason:
    from pytest_test_categories._kernel import filter
    try:
        filter.install(filter.MACHINES[os.uname().machine], 900)
    except OSError as error:
        tried = "the kernel does not take the filter: " + str(error)
print(reason or tried, flush=True)
os._exit(0)
"""


@pytest.fixture(scope="session")
def _reason() -> str:
    found = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else found.stderr


@pytest.fixture
def kernel(_reason: str) -> None:
    """Skip where the layer can't work; under CI fail, if the probe has not known that it can't."""
    if _reason.startswith("the kernel does not take") and os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(_reason, pytrace=False)
    if _reason:
        pytest.skip(f"no kernel layer here: {_reason}")


@dataclass(frozen=True)
class Outcome:
    """What came of an inner run."""

    result: pytest.RunResult
    packets: int
    text: str

    @property
    def counts(self) -> dict[str, int]:
        """How many tests passed, failed and so on."""
        found: dict[str, int] = self.result.parseoutcomes()
        return {name: count for name, count in found.items() if name in {"passed", "failed", "error", "errors"}}


@pytest.fixture
def network() -> tuple[str, ...]:
    """Return the prefix of a command that is to run in a network of its own; skip where nobody can make one."""
    setting = (*NAMESPACE, sys.executable, "-c", SETTING)
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare and ip are needed to make a network of one's own")
    tried = subprocess.run([*setting, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this system lets nobody make a network of his own: {tried.stderr.strip()[-200:]}")
    return setting


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Let inner runs be interrupted where whoever started this one (nohup, a job in the background) ignores signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make inner runs what they are anywhere."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("RES_OPTIONS", "timeout:1 attempts:1")  # no name server answers
    for name in ("CI", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def command(environment: None, kernel: None) -> Callable[..., list[str]]:
    """Return what makes the command of an inner run under the layer."""

    def make(*args: str, guard: str = "require", mode: str = "strict", plugins: tuple[str, ...] = ()) -> list[str]:
        loaded = [part for name in plugins for part in ("-p", name)]
        return [
            *(sys.executable, "-m", "pytest", *PLUGIN, *loaded),
            f"--test-categories-enforcement={mode}",
            f"--network-kernel-guard={guard}",
            *args,
        ]

    return make


@pytest.fixture
def run(
    pytester: pytest.Pytester, command: Callable[..., list[str]], network: tuple[str, ...]
) -> Callable[..., Outcome]:
    """Run pytest under the layer, where packets that leave are counted."""

    def start(*args: str, timeout: float = 240, prefix: tuple[str, ...] = (), **settings: object) -> Outcome:
        result = pytester.run(*network, *prefix, *command(*args, **settings), timeout=timeout)
        text = result.stdout.str() + result.stderr.str()
        packets = re.search(r"^packets: (\d+)$", text, re.MULTILINE)
        return Outcome(result, int(packets[1]) if packets else -1, text)

    return start


@pytest.fixture
def unprivileged(pytester: pytest.Pytester) -> tuple[str, ...]:
    """Return the prefix of a command that another user is to run; skip where root can't make one of himself."""
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    pytester.path.chmod(0o777)
    for parent in pytester.path.parents:
        if parent.parent != parent and str(parent.parent) != "/":
            parent.chmod(parent.stat().st_mode | 0o055)
    tried = subprocess.run(
        [*prefix, sys.executable, "-c", "import pytest"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"another user may not run this interpreter: {tried.stderr.strip()[-200:]}")
    return prefix


def left_over(marker: str) -> list[str]:
    """Return the command lines that hold a text, of processes that this process or a descendant started."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{pid}/environ", "rb") as file:
                ours = f"{MARK}={MARKED}".encode() in file.read().split(b"\0")
        except OSError:
            continue
        if marker in line and ours:
            found.append(line)
    return found
