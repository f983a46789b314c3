"""Gates: how they are written, and what they say about a report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.report.samples import small_report

from pytest_test_categories._report import gates
from pytest_test_categories._report.baseline import Baseline, Entry
from pytest_test_categories._report.gates import Gate, SinceError, check, hosts_beyond, load_report
from pytest_test_categories._report.json import render
from pytest_test_categories._report.model import Report

if TYPE_CHECKING:
    from pathlib import Path

COUNTERS = [name.replace("_", " ") for name in small_report().totals]


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        pytest.param("unsized = 0", Gate("unsized", 0, exact=True), id="equals"),
        pytest.param("  New  Hosts<=12 ", Gate("new hosts", 12, exact=False), id="at most"),
        pytest.param("tests_in_breach=3", Gate("tests in breach", 3, exact=True), id="as in JSON"),
    ],
)
def test_a_gate_is_a_name_and_a_number(text: str, gate: Gate) -> None:
    assert Gate.parse(text) == gate
    assert Gate.parse(str(gate)) == gate


@pytest.mark.parametrize(
    "text", ["", "unsized", "unsized =", "= 3", "unsized < 3", "unsized == 0", "unsized = 1.5", "a = \u0663"]
)
def test_another_form_is_an_error_that_shows_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(repr(text))} is not a gate; write NAME = N or NAME <= N"):
        Gate.parse(text)


def test_a_name_that_is_no_counter_is_an_error_that_lists_them() -> None:
    with pytest.raises(ValueError, match="^'hots' is not one of ") as refused:
        Gate.parse("hots = 1")
    assert str(refused.value).partition("one of ")[2].split(", ") == ["new hosts", *COUNTERS]


@pytest.mark.parametrize("name", COUNTERS)
def test_each_counter_of_the_totals_can_be_a_gate(name: str) -> None:
    report = small_report()
    number = report.totals[name.replace(" ", "_")]
    assert number > 0, "a sample without it shows nothing"
    assert [*check([Gate(name, number, exact=True)], report)] == []
    (found,) = check([Gate(name, number - 1, exact=False)], report)
    assert found.fails
    assert found.text.startswith(f"gate '{name} <= {number - 1}' is exceeded by 1: {number:,} ")
    assert gates._ADVICE[name] in found.text


def test_only_a_complete_run_and_an_equals_sign_say_that_a_number_can_be_lowered() -> None:
    whole = small_report()
    number = whole.totals["tests"]
    part = Report(whole.tests, whole.accesses, complete=False)
    assert [*check([Gate("tests", number + 1, exact=False)], whole)] == []
    assert [*check([Gate("tests", number + 1, exact=True)], part)] == []
    (found,) = check([Gate("tests", number + 1, exact=True)], Report(whole.tests, whole.accesses, complete=True))
    assert (found.text, found.fails) == (f"gate 'tests = {number + 1}' can be lowered to {number}", False)


def test_hosts_of_this_machine_and_programs_are_never_new() -> None:
    assert all("localhost" not in host and "127.0.0.1" not in host for host in hosts_beyond(small_report()))
    assert "api.example.com" in hosts_beyond(small_report())


def test_new_hosts_are_those_that_the_other_report_lacks() -> None:
    report = small_report()
    gate = [Gate.parse("new hosts = 0")]
    assert [*check(gate, report, since=report)] == []
    (found,) = check(gate, report, since=Report([], [], complete=True))
    hosts = hosts_beyond(report)
    assert found.fails
    assert found.text.startswith(f"gate 'new hosts = 0' is exceeded by {len(hosts)}: this change adds ")
    assert all(f"{host} ({hosts[host]})" in found.text for host in sorted(hosts)[:3])
    (found,) = check(gate, report, since=Report([], [], complete=False))
    assert "incomplete run" in found.text


def test_the_baseline_is_compared_with_violations_only() -> None:
    report = small_report()
    breaches = hosts_beyond(report, breaches=True)
    listed = Baseline(Entry("any", "connect", f"{host}:443") for host in breaches)
    assert [*check([Gate.parse("new hosts = 0")], report, baseline=listed)] == []
    (found,) = check([Gate.parse("new hosts = 0")], report, baseline=Baseline())
    assert f"exceeded by {len(breaches)}:" in found.text


def test_a_report_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "main.json"
    file.write_text(render(small_report()), encoding="utf-8")
    assert hosts_beyond(load_report(str(file))) == hosts_beyond(small_report())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 99}', '{"version": 1}', "\udcff", '{"version": 1, "tests": 3}']
)
def test_another_file_is_an_error_that_says_how_to_make_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "main.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SinceError, match="make it with --network-report=FILE.json"):
        load_report(str(file))
