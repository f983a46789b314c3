"""What differs on macOS and Windows, as far as values show it: names of interfaces, C structures, drives.

Their values are written down here from their headers and documents; nothing of theirs runs.
"""

from __future__ import annotations

import _socket
import ntpath
import os
import socket

import pytest

from pytest_test_categories._attribution.stack import is_project_file
from pytest_test_categories._host import multicast, names
from pytest_test_categories._rules.address import Reach, parse_allow_entry, pipe_endpoint, split_target, stable_target
from pytest_test_categories._rules.policy import Attempt, Kind, Policy, TestSize, decide
from pytest_test_categories._sizing import apply
from pytest_test_categories._watch.clients import connectors
from pytest_test_categories._watch.clients.places import place
from pytest_test_categories.pytest_plugin import _results


@pytest.mark.parametrize("name", ["lo", "lo0", "loopback_0"])
def test_the_loopback_interface_is_known_by_each_systems_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "if_indextoname", lambda _index: name)
    assert names.reach_of_interface(name) is Reach.MACHINE
    option = (socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP)
    group = socket.inet_pton(socket.AF_INET6, "ff15::1") + (1).to_bytes(4, "little")
    assert multicast.group_joined(option, group) is None


@pytest.mark.parametrize("name", ["en0", "ethernet_32768", "lo:1", "low0", "bridge100"])
def test_other_interfaces_are_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "if_indextoname", lambda _index: name)
    assert names.reach_of_interface(name) is Reach.BEYOND


def test_the_interface_of_a_source_membership_stands_behind_the_source_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    option = (socket.IPPROTO_IP, 70)  # macOS' IP_ADD_SOURCE_MEMBERSHIP
    monkeypatch.setitem(multicast.JOINS, option, "ip_mreq_source")
    monkeypatch.setattr(multicast, "_OURS_OF_SOURCE", slice(8, 12))
    group, here, source = map(socket.inet_aton, ("232.1.1.1", "127.0.0.1", "198.51.100.1"))
    assert multicast.group_joined(option, group + source + here) is None
    assert multicast.group_joined(option, group + here + source) == "232.1.1.1"
    assert multicast.group_joined(option, group + source) is None  # too short: the call itself says so


@pytest.mark.parametrize("file", ["/venv/Scripts/pytest.exe/__main__.py", "/venv/Scripts/PYTEST.EXE/__main__.py"])
def test_an_installed_command_of_windows_is_not_the_projects_code(file: str) -> None:
    assert not is_project_file(file)
    assert is_project_file(file.replace(".exe", "").replace(".EXE", ""))


# -- drives ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def drives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read paths as Windows does."""
    monkeypatch.setattr(os, "path", ntpath)
    monkeypatch.setattr(os, "sep", "\\")


@pytest.mark.usefixtures("drives")
@pytest.mark.parametrize(
    ("root", "workspace", "inside"),
    [
        pytest.param(r"D:\work\shop", r"C:\actions\shop", "", id="another-drive"),
        pytest.param(r"\\server\share\shop", r"C:\actions\shop", "", id="a-share"),
        pytest.param(r"D:\a\shop\shop\services\api", r"D:\a\shop\shop", "services/api", id="below"),
        pytest.param(r"d:\A\shop\..services", r"D:\a\shop", "..services", id="in-another-case"),
        pytest.param(r"D:\a\shop", r"D:\a\shop", "", id="the-same"),
        pytest.param(r"D:\a\other", r"D:\a\shop", "", id="beside"),
    ],
)
def test_annotations_name_files_below_the_workspace(
    root: str, workspace: str, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", workspace)
    assert _results._place_in_workspace(root) == inside


@pytest.mark.usefixtures("drives")
@pytest.mark.parametrize(
    ("path", "inside"),
    [
        (r"E:\elsewhere\test_it.py", ""),
        (r"D:\elsewhere\test_it.py", ""),
        (r"D:\a\shop\tests\test_it.py", "tests/test_it.py"),
        (r"D:\a\shop\..tests\test_it.py", "..tests/test_it.py"),
        (r"\\?\E:\test_it.py", ""),
    ],
)
def test_markers_are_written_below_the_root_directory_only(path: str, inside: str) -> None:
    assert apply._inside(r"D:\a\shop", path) == inside


# -- named pipes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "path", "admitted"),
    [
        ("pipe:docker_engine", r"\\.\pipe\docker_engine", True),
        ("pipe:Docker_Engine", "//./pipe/DOCKER_ENGINE", True),
        (r"pipe:\\.\pipe\docker_engine", r"\\.\pipe\docker_engine", True),
        ("pipe:docker_*", r"\\.\pipe\docker_engine", True),
        (r"small: pipe:\\server\pipe\sql\query", r"\\SERVER\pipe\sql\query", True),
        ("pipe:docker_engine", r"\\.\pipe\other", False),
        ("pipe:docker_engine", r"\\server\pipe\docker_engine", False),
        ("unix:docker_engine", r"\\.\pipe\docker_engine", False),
        ("pipe:5432", r"\\.\pipe\5432", False),  # a host of that name, and a port
    ],
)
def test_an_allow_entry_names_a_pipe_as_reports_do(entry: str, path: str, admitted: bool) -> None:
    policy = Policy(TestSize.SMALL, allow=(parse_allow_entry(entry).of_any_size(),))
    endpoint = pipe_endpoint(path)
    assert decide(policy, Attempt(Kind.CONNECT, endpoint, Reach.BEYOND)).permitted is admitted
    if admitted:
        shown = parse_allow_entry(str(endpoint)).of_any_size()
        assert decide(policy._replace(allow=(shown,)), Attempt(Kind.CONNECT, endpoint, Reach.BEYOND)).permitted


@pytest.mark.parametrize(
    ("server", "where"),
    [
        (r"(localdb)\MSSQLLocalDB", ("ip", ("localhost", 1433))),
        (r".\SQLEXPRESS", ("ip", ("localhost", 1433))),
        (r"lpc:(local)", ("ip", ("localhost", 1433))),
        (r"np:\\.\pipe\sql\query", ("pipe", r"\\.\pipe\sql\query")),
        (r"\\db.example\pipe\MSSQL$INSTANCE\sql\query", ("pipe", r"\\db.example\pipe\MSSQL$INSTANCE\sql\query")),
    ],
)
def test_sql_servers_ways_on_windows_are_read(server: str, where: tuple[str, object]) -> None:
    (found,) = connectors.odbc(None, (f"Driver={{ODBC Driver 18 for SQL Server}};Server={server};",), {})
    assert place(found) == where


def test_the_target_of_a_pipe_is_one_word() -> None:
    for path in (r"\\.\pipe\docker_engine", r"\\.\pipe\a:1", r"\\server\pipe\x"):
        target = str(pipe_endpoint(path))
        assert split_target(target) == (target, "")
        assert stable_target(target) == target
