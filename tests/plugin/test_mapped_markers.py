"""Markers that stand for a size and name hosts: what they name is allowed to the tests that they give the size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]
    Outcomes = Callable[[pytest.RunResult], dict[str, set[str]]]

INI: Final = """
[pytest]
markers = allow_hosts
    block_network
    enable_socket
    remote_data
    vcr
test_categories_default_size = small
test_categories_marker_sizes =
    allow_hosts = small
    block_network = small
    vcr = medium
    enable_socket = large
    remote_data = large
"""
REACHES: Final = """
import socket
import pytest

def reach(*hosts):
    for host in hosts:
        with socket.socket() as s:
            s.connect_ex((host, 9))

"""
TESTS: Final = (
    REACHES
    + """
@pytest.mark.allow_hosts(["127.0.0.2", "127.0.0.3:9"])
def test_list(): reach("127.0.0.2", "127.0.0.3")

@pytest.mark.allow_hosts(["127.0.0.2", "127.0.0.3:10"])
def test_list_names_another_port(): reach("127.0.0.3")

@pytest.mark.allow_hosts("127.0.0.2,127.0.0.8/31")
def test_text(): reach("127.0.0.2", "127.0.0.9")

@pytest.mark.block_network
def test_bare(): reach("127.0.0.2")

@pytest.mark.block_network(allowed_hosts=["127.0.0.2"])
def test_keyword(): reach("127.0.0.2")

@pytest.mark.block_network(allowed_hosts=["127.0.0.2"])
def test_keyword_names_another(): reach("127.0.0.3")

@pytest.mark.vcr("cassettes/a b.yaml", record_mode="none", hosts_of=[1])
def test_text_for_others(): reach("127.0.0.2")

@pytest.mark.remote_data("astropy", source=["(not an entry"])
def test_large_reads_nothing(): pass

@pytest.mark.allow_hosts(["127.0.0.2"])
class TestClosest:
    def test_of_class(self): reach("127.0.0.2")

    @pytest.mark.allow_hosts(["127.0.0.3"])
    def test_of_test(self): reach("127.0.0.3")

    @pytest.mark.allow_hosts(["127.0.0.3"])
    def test_not_of_class(self): reach("127.0.0.2")

    @pytest.mark.small
    def test_other_marker(self): reach("127.0.0.2")

    @pytest.mark.network_allow("127.0.0.4")
    def test_adds_up_with_ours(self): reach("127.0.0.2", "127.0.0.4")

    @pytest.mark.parametrize("host", [pytest.param("127.0.0.5", marks=pytest.mark.allow_hosts(["127.0.0.5"]))])
    def test_of_set(self, host): reach(host)
"""
)
REFUSED: Final = {
    "test_list_names_another_port",
    "test_bare",
    "test_keyword_names_another",
    "TestClosest::test_not_of_class",
    "TestClosest::test_other_marker",
}


def test_arguments_of_the_marker_that_gives_the_size_are_allow_entries(
    pytester: pytest.Pytester, run_pytest: Run, outcomes: Outcomes, workers: int
) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(TESTS)
    found = outcomes(run_pytest("-v", "--strict-markers", workers=workers))
    assert len(found) == 14
    assert {name for name, words in found.items() if words != {"PASSED"}} == REFUSED


@pytest.mark.parametrize(
    ("marker", "named"),
    [
        pytest.param("allow_hosts(['10.0.0.256'])", "10.0.0.256", id="no address"),
        pytest.param("block_network(allowed_hosts=['api[.]example'])", "api[.]example", id="regular expression"),
        pytest.param("block_network(allowed_hosts='.*')", "'.*'", id="text"),
        pytest.param("allow_hosts(('a', 'b c'))", "'b c'", id="tuple"),
    ],
)
def test_rule_12_a_host_that_is_no_entry_is_an_error_of_its_module(
    pytester: pytest.Pytester, run_pytest: Run, marker: str, named: str
) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(test_bad=f"import pytest\n@pytest.mark.{marker}\ndef test_one(): pass")
    result = run_pytest("--strict-markers")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    start = f"test_bad.py::test_one: @pytest.mark.{marker.partition('(')[0]}: "
    [line] = {line for line in result.outlines if line.startswith(start)}
    assert named in line


def test_the_explanation_names_the_marker(pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini(INI)
    pytester.makepyfile("import pytest\n@pytest.mark.allow_hosts(['db:5432'])\ndef test(): pass")
    assert any(
        line.strip() == "allowed: db:5432, from @pytest.mark.allow_hosts"
        for line in run_pytest("--network-explain").outlines
    )


def test_a_run_that_only_watches_goes_on_over_a_host_that_is_no_entry(
    pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(
        "import pytest\n@pytest.mark.allow_hosts(['.*'])\ndef test_bad(): pass\n"
        "@pytest.mark.allow_hosts(['127.0.0.1'])\ndef test_good(): pass\n"
    )
    result = run_pytest("--network-report=report.json", mode="off")
    assert result.parseoutcomes() == {"passed": 2}
