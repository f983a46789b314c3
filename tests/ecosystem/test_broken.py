"""An application that dials by every client there is: each breach is named with its target, line, client and cure."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pytest_test_categories._rules.advice import CURES

if TYPE_CHECKING:
    from collections.abc import Callable

BROKEN: Final = Path(__file__).parent / "broken"
LIBRARIES: Final = (
    "aiohttp",
    "anyio",
    "asyncpg",
    "boto3",
    "httpx",
    "pytest_asyncio",
    "redis",
    "requests",
    "trio",
    "urllib3",
    "vcr",
    "websockets",
)

_CASSETTE: Final = "under a VCR cassette: record once with --test-categories-enforcement=off"
_PROBE: Final = "AWS_EC2_METADATA_DISABLED=true stops boto"


class Breach(NamedTuple):
    """What a report must name: the target, the client (with its cure), and what else helps."""

    target: str
    client: str = ""
    hint: str = ""


BREACHES: Final = {
    "requests": Breach("api.example.com:443", "requests"),
    "requests_in_vain": Breach("api.example.com:8080", "requests"),
    "a_patient_session": Breach("api.example.com:443", "requests"),
    "httpx": Breach("api.example.com:443", "httpx"),
    "httpx_async": Breach("api.example.com:443", "httpx"),
    "httpx_gathered": Breach("api.example.com:8080", "httpx"),
    "httpx_under_trio": Breach("api.example.com:443", "httpx"),
    "httpx_under_trio_in_vain": Breach("api.example.com:443", "httpx"),
    "aiohttp": Breach("api.example.com:443", "aiohttp"),
    "aiohttp_in_a_task": Breach("api.example.com:8080", "aiohttp"),
    "aiohttp_with_its_own_resolver": Breach("api.example.com:443", "aiohttp"),
    "aiohttp_to_an_address": Breach("198.51.100.7:8080", "aiohttp"),
    "urllib": Breach("api.example.com:443", "urllib"),
    "http_client": Breach("api.example.com:443", "http.client"),
    "urllib3": Breach("api.example.com:443", "urllib3"),
    "boto3": Breach("things.s3.eu-west-1.amazonaws.com:443", "botocore"),
    "botocore": Breach("sqs.eu-west-1.amazonaws.com:443", "botocore"),
    "boto3_without_credentials": Breach("169.254.169.254:80", "boto3", _PROBE),
    "asyncpg": Breach("db.example.com:6543", "asyncpg"),
    "redis": Breach("cache.example.com:6380", "redis"),
    "redis_async": Breach("cache.example.com:6379", "redis"),
    "smtplib": Breach("mail.example.com:587", "smtplib"),
    "ftplib": Breach("files.example.com:21", "ftplib"),
    "imaplib": Breach("mail.example.com:143"),
    "websockets": Breach("api.example.com:80", "websockets"),
    "websockets_sync": Breach("api.example.com:80", "websockets"),
    "asyncio": Breach("api.example.com:443"),
    "asyncio_to_an_address": Breach("[2001:db8::7]:443"),
    "anyio": Breach("api.example.com:443"),
    "sockets": Breach("api.example.com:443"),
    "sockets_to_an_address": Breach("198.51.100.7:443"),
    "a_cassette": Breach("api.example.com:443", "requests", _CASSETTE),
    "a_cassette_async": Breach("api.example.com:443", "httpx", _CASSETTE),
    "a_cassette_of_aiohttp": Breach("api.example.com:443", "aiohttp", _CASSETTE),
}

CALLER_UNKNOWN: Final = {
    "anyio",  # these run in loops of their own, which hide who started them
    "httpx_under_trio",
    "httpx_under_trio_in_vain",
    "aiohttp_in_a_task",  # from 3.12 on the look-up's task starts before anybody waits for it
}


def _lines(path: Path, pattern: str) -> dict[str, str]:
    """Return where lines are that match, by what they say in the pattern's group."""
    numbered = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return {match[1]: f"{path.name}:{at}" for at, line in numbered if (match := re.search(pattern, line))}


def _reports(result: pytest.RunResult) -> dict[str, str]:
    """Return the TC001 text of each failed test, by the way that it dials."""
    text = re.sub(r"^E   (.*\[TC001\])?", "[TC001]", result.stdout.str(), flags=re.MULTILINE)
    found = re.findall(
        r"\[TC001\] Network Access Violation\n(?:\[TC001\])?Test: \S+\[(\w+)\]\n(.*?)\n(?:\[TC001\])?Documentation",
        text,
        re.DOTALL,
    )
    return {name: report.replace("[TC001]", "") for name, report in found}


@pytest.mark.parametrize(
    ("size", "workers"),
    [
        pytest.param("small", 0, id="small"),
        pytest.param("small", 2, id="small, two workers"),
        pytest.param("medium", 0, id="medium"),
    ],
)
def test_each_breach_is_named_with_its_target_line_client_and_cure(
    size: str,
    workers: int,
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    require: Callable[..., None],
) -> None:
    require(*LIBRARIES)
    shutil.copytree(BROKEN, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    tests = pytester.path / "test_shop.py"
    tests.write_text(tests.read_text(encoding="utf-8").replace("mark.small", f"mark.{size}"), encoding="utf-8")
    result = run_pytest("--tb=short", mode=None, plugins=("asyncio",), workers=workers, timeout=200)
    assert result.parseoutcomes() == {"failed": len(BREACHES)}, result.outlines

    dials = _lines(pytester.path / "shop.py", r"  # (\w+)$")
    calls = set(_lines(tests, r"^    ((?:await )?way\(\))").values())
    reports = _reports(result)
    assert reports.keys() == dials.keys() == BREACHES.keys()
    wrong = {}
    for name, breach in BREACHES.items():
        report = reports[name]
        probe = breach.hint == _PROBE  # no client and no size is the way to fix it
        cure = CURES[breach.client] if breach.client and not probe else ""
        if size == "medium":
            cure = cure.replace(" and @pytest.mark.medium", "")
        wanted = [
            f"Category: {size.upper()}\n",
            f"  Attempted network connection to {breach.target}\n    at {dials[name]} in ",
            f", use {cure}" if cure else "",
            breach.hint,
            "no other size is needed" if probe else "@pytest.mark.large instead: ",
            f"test_categories_network_allow = {breach.target}" if size == "medium" and not probe else "",
        ]
        missing = [part for part in wanted if part not in report]
        if name not in CALLER_UNKNOWN and not any(f", called from {call}\n" in report for call in calls):
            missing.append("called from")
        unfit = [part for part in (", use ", "VCR", "metadata probe", "Also attempted") if part in report]
        fit = [", use "] * bool(cure) + ["VCR"] * (breach.hint == _CASSETTE) + ["metadata probe"] * probe
        if missing or unfit != fit:
            wrong[name] = (missing, unfit, report)
    assert wrong == {}
