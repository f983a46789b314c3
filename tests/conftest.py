"""What every test of ours stands on: real listeners, real pytest runs, and a check that nothing is left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# gRPC would start threads of its own in each child that a later test forks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
# What these set is for the run itself, not for those inside of it.
for name in ("TEST_CATEGORIES_ENFORCEMENT", "TEST_CATEGORIES_NETWORK_ALLOW"):
    os.environ.pop(name, None)

pytest_plugins = ["pytester", "tests.services"]

FOREIGN = ("198.51.100.1", 9)
"""An address of TEST-NET-2: nobody is there, and a guard in strict mode sends nothing to it."""


@pytest.fixture(scope="module", autouse=True)
def _older_objects_stay() -> None:
    """Take what is alive before a module's tests, which none of them made, out of the collections after each of them."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Check that no entry point stays patched and no socket stays open."""
    before = (dict(vars(socket.socket)), dict(vars(socket)), dict(vars(threading.Thread)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    left_open = [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
    after = (dict(vars(socket.socket)), dict(vars(socket)), dict(vars(threading.Thread)))
    assert after == before
    assert left_open == []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Let coverage see what the audit hook does: CPython traces those hooks only that ask for it."""
    coverage = sys.modules.get("coverage")
    if coverage is not None and coverage.Coverage.current() is not None:
        from pytest_test_categories._watch import audit

        vars(audit._hook)["__cantrace__"] = True


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    """The address of a TCP server on loopback that accepts and closes."""
    server = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def serve() -> None:
        while not closing.is_set():
            with contextlib.suppress(OSError):
                server.accept()[0].close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()
    closing.set()
    with contextlib.suppress(OSError), socket.socket() as last:
        last.settimeout(1)
        last.connect(server.getsockname())
    thread.join(5)
    server.close()


PLUGIN = ("-p", "pytest_test_categories.pytest_plugin")


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run pytest in a process of its own, with our plugin and those named, in strict mode unless told otherwise."""

    def run(
        *args: str, mode: str | None = "strict", plugins: tuple[str, ...] = (), workers: int = 0, timeout: float = 240
    ) -> pytest.RunResult:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.delenv("CI", raising=False)  # there pytest says everything twice
        wanted = [*plugins, *(["xdist"] if workers else [])]
        command = [sys.executable, "-m", "pytest", *PLUGIN, *(part for name in wanted for part in ("-p", name))]
        command += ["-p", "no:cacheprovider"]
        if mode is not None:
            command += [f"--test-categories-enforcement={mode}"]
        if workers:
            command += ["-n", str(workers)]
        return pytester.run(*command, *args, timeout=timeout)

    return run
