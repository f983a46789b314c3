"""A debugger that attaches to a process of a test is the runner's, there too."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from pytest_test_categories import NetworkAccessViolationError, network_guard

CODE = """
def start_client(client, address):
    client.connect(address)

def _on_run(client):
    client.sendall(b"x")
"""


def functions(module: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": module}
    exec(CODE, namespace)
    return namespace


def test_rule_5_a_debugger_attaches_under_a_small_guard() -> None:
    pydevd = functions("_pydevd_bundle.pydevd_comm")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        with network_guard("small", "strict") as guard:
            pydevd["start_client"](client, server.getsockname())
            pydevd["_on_run"](client)
        assert guard.violations == []


def test_a_function_of_that_name_elsewhere_is_no_debugger() -> None:
    mine = functions("mine")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket() as client,
        pytest.raises(NetworkAccessViolationError),
        network_guard("small", "strict"),
    ):
        mine["start_client"](client, server.getsockname())
