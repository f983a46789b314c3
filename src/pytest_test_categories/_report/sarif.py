"""The breaches as SARIF 2.1.0, which code hosts show beside the lines of code.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; the parts that GitHub reads:
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pytest_test_categories._rules.wording import DOCUMENTATION

if TYPE_CHECKING:
    from pytest_test_categories._report.model import Access, Position, Report

RULE: Final = "TC001"
ROOT: Final = "SRCROOT"
"""The base of all paths; the code host knows its location."""

LIMIT: Final = 5_000
"""The most results: GitHub shows no more for a run, and rejects files with more than 25,000."""

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULE: Final = {
    "id": RULE,
    "name": "NetworkAccessViolation",
    "shortDescription": {"text": "Network access violation"},
    "fullDescription": {"text": "A test used the network in a way that its size does not permit."},
    "helpUri": DOCUMENTATION,
    "help": {
        "text": f"Mock the network call, inject a fake client, or give the test a larger size. See {DOCUMENTATION}",
    },
    "defaultConfiguration": {"level": "error"},
    "properties": {"tags": ["testing", "network"]},
}


def render(report: Report) -> str:
    """Return the breaches as SARIF, the same text for the same report.

    A breach without a known line or test becomes a notification of the invocation: code hosts reject a result without a
    location. If there are more than ``LIMIT``, errors come first, and a notification says how many are missing.
    """
    placed = [(access, report.position(access)) for access in report.breaches]
    results = [_result(access, where) for access, where in placed if where is not None]
    shown = results if len(results) <= LIMIT else sorted(results, key=lambda result: result["level"])[:LIMIT]
    missing = f"{len(results) - LIMIT} of {len(results)} results are not shown; a report in another format lists them"
    run = {
        "tool": {
            "driver": {
                "name": "pytest-test-categories",
                "informationUri": DOCUMENTATION.partition("errors/")[0],
                **({"version": report.tool} if report.tool else {}),
                "rules": [_RULE],
            }
        },
        "originalUriBaseIds": {ROOT: {"description": {"text": "pytest's root directory"}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                # Success of the tool itself; the results say that tests failed.
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    *(_notification(access.level, access.message) for access, where in placed if where is None),
                    *([_notification("warning", missing)] if shown is not results else []),
                    *(_notification("warning", f"the run is incomplete: {why}") for why in report.why_incomplete),
                    *(
                        _notification("note", f"the program {program} was not watched; starts: {count}")
                        for program, count in report.unwatched.items()
                    ),
                ],
            }
        ],
        "results": shown,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _notification(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": _message(text)}


def _message(text: str) -> dict[str, str]:
    return {"text": text.replace("](", "\\](")}  # so that a name doesn't become a link (section 3.11.6)


def _result(access: Access, where: Position) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": quote(where.file), "uriBaseId": ROOT}}
    if where.line:
        location["region"] = {"startLine": where.line}
    violation = access.violation
    return {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": access.level,
        "message": _message(access.message),
        "locations": [
            {
                "physicalLocation": location,
                "logicalLocations": [{"fullyQualifiedName": violation.test, "kind": "function"}],
            }
        ],
        "partialFingerprints": {
            "testKindTarget/v1": hashlib.sha256("\0".join(access.fingerprint).encode()).hexdigest(),
        },
        "occurrenceCount": violation.count,
        "properties": {
            "test": violation.test,
            "size": violation.size,
            "kind": violation.kind,
            "target": violation.target,
            "verdict": access.verdict,
            "needs": access.needs,
            "late": bool(violation.late),
        },
    }
