"""The request and the fake to paste, in what a run prints and writes; one option silences both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

TESTS = """
import subprocess, sys, urllib.request
import pytest

URL = "https://me:s3cr3t@api.example.com/users/7?page=s3cr3t"

def fetch():
    return urllib.request.urlopen("https://api.example.com/users/7?page=s3cr3t")

@pytest.mark.small
def test_fetch():
    fetch()

@pytest.mark.small
def test_child():
    subprocess.run([sys.executable, "-c", "import urllib.request as r; r.urlopen('http://api.example.com/x?y=s3cr3t')"])
"""

REQUEST = "GET https://api.example.com/users/7?page=..."
OF_CHILD = "GET http://api.example.com/x?y=..."
FAKE = 'fake = pook.mock("https://api.example.com/users/7", method="GET").persist()'


def test_a_report_shows_the_request_and_the_fake(pytester: pytest.Pytester, run_pytest: Run, workers: int) -> None:
    pytester.makepyfile(test_users=TESTS)
    result = run_pytest("--tb=short", "--network-report=network.json", workers=workers)
    text = result.stdout.str()
    assert text.count(FAKE) == 1
    assert REQUEST in text
    assert OF_CHILD in text
    assert "s3cr3t" not in "\n".join(
        line for line in result.outlines if "example.com" in line and "urlopen" not in line
    )
    accesses = json.loads(pytester.path.joinpath("network.json").read_text(encoding="utf-8"))["accesses"]
    seen = {access["test"].rpartition("::")[2]: (access["request"], access["fake"]) for access in accesses}
    assert seen["test_fetch"][0] == REQUEST.replace(
        "page=", ""
    )  # reports hold no more of a query than others' texts do
    assert FAKE in seen["test_fetch"][1]
    assert seen["test_child"] == (OF_CHILD.replace("y=", ""), "")


@pytest.mark.parametrize(
    ("ini", "arguments"),
    [
        pytest.param("off", (), id="ini"),
        pytest.param("on", ("--network-fakes=off",), id="command-line"),
    ],
)
def test_one_option_silences_both(
    pytester: pytest.Pytester, run_pytest: Run, workers: int, ini: str, arguments: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_users=TESTS)
    pytester.makeini(f"[pytest]\ntest_categories_network_fakes = {ini}\n")
    result = run_pytest("--tb=short", "--network-report=network.json", *arguments, workers=workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*Attempted network connection to api.example.com:443"])
    for text in (REQUEST, OF_CHILD, "Paste this"):
        result.stdout.no_fnmatch_line(f"*{text.replace('?', '[?]')}*")
    accesses = json.loads(pytester.path.joinpath("network.json").read_text(encoding="utf-8"))["accesses"]
    assert {access[name] for access in accesses for name in ("request", "fake", "replace")} == {""}


def test_another_value_stops_the_run(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(test_users=TESTS)
    result = run_pytest("--network-fakes=maybe")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--network-fakes: 'maybe' is not one of on, off"])


def test_a_run_that_enforces_nothing_tells_of_breaches_in_its_report(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makepyfile(
        test_users="""
        import http.client, pytest, socket

        def ask(port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/users")

        @pytest.mark.small
        def test_small(server):
            ask(server)

        @pytest.mark.medium
        def test_medium(server):
            ask(server)
        """
    )
    pytester.makeconftest(
        """
        import pytest, socket

        @pytest.fixture
        def server():
            with socket.create_server(("127.0.0.1", 0)) as made:
                yield made.getsockname()[1]
        """
    )
    result = run_pytest("--network-report=network.json", mode="off")
    assert result.ret == 0
    accesses = json.loads(pytester.path.joinpath("network.json").read_text(encoding="utf-8"))["accesses"]
    found = {access["test"].rpartition("::")[2]: access for access in accesses if access["kind"] == "connect"}
    assert found["test_small"]["request"].startswith("GET http://127.0.0.1:")
    assert found["test_medium"]["request"] == ""
