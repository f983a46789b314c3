"""The fakes that reports offer, pasted as they say: the sample project's failing tests pass with them."""

from __future__ import annotations

import ast
import re
import shutil
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_test_categories import Violation
from pytest_test_categories._rules.fakes import _SERVED_BY_MOTO, fake

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

FIXABLE: Final = Path(__file__).parent / "fixable"
LIBRARIES: Final = (
    *("aiohttp", "boto3", "fakeredis", "httpx", "moto", "pook", "psycopg", "pytest_asyncio", "redis", "requests"),
    *("responses", "respx", "urllib3"),
)

WITHOUT: Final = frozenset({"test_command_line", "test_staff"})
"""Tests whose violations come with no fake: another program makes them, and a fixture of several tests does."""

TWICE: Final = frozenset({"test_quote"})
"""Tests that ask for two things: the fake answers the first."""

ANSWERS: Final = {
    "test_latest": '{"rates": {"USD": 1.25}}',
    "test_convert": '{"rates": {"USD": 1.25}}',
    "test_dollars": '{"rates": {"USD": 1.25}}',
    "test_main": '{"rates": {"USD": 1.25}}',
    "test_name": '{"name": "Ada"}',
    "test_create": '{"id": 7}',
    "test_emails_of_one_page": '{"items": [{"email": "ada@example.com"}]}',
    "test_position": '{"lat": 30.0, "lon": 32.5}',
    "test_storm_with_a_client_of_its_own": '{"wind": {"knots": 50}}',
    "test_arrivals": '{"ships": [{"name": "Ever Given"}]}',
    "test_berths": '[{"free": True}, {"free": False}]',
    "test_overview": '[{"free": True}]',
    "test_tides": '{"tides": [{"height": 3.5}, {"height": 3.7}]}',
    "test_label": '{"label": "HAM-7"}',
    "test_labels": '{"label": "HAM-7"}',
    "test_invoice": """{"Body": Mock(read=lambda: b'{"total": 12.5}')}""",
    "test_enqueue": 'import boto3; boto3.client("sqs", region_name="eu-west-1").create_queue(QueueName="jobs")',
    "test_booked": (
        'import boto3; table = boto3.resource("dynamodb", region_name="eu-west-1").create_table(TableName="bookings", '
        'KeySchema=[{"AttributeName": "ship", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST", '
        'AttributeDefinitions=[{"AttributeName": "ship", "AttributeType": "S"}]); '
        'table.put_item(Item={"ship": "ever-given", "containers": ["C-7"]})'
    ),
    "test_order": '{"number": 7, "weight": 2.5}',
    "test_heaviest": "[4.0]",
    "test_last_page": 'fakeredis.FakeRedis(server=server, db=1).set("page:ada", "/ships")',
    "test_greeting": 'fakeredis.FakeRedis(server=server).set("session:abc", "Ada")',
    "test_quote": '{"name": "Ada"}',
    "test_weight": '{"number": 7, "weight": 2.5}',
}
"""What the users of these tests write in the one place that the fake leaves to them."""

_PLACE: Final = re.compile(
    r"(?<=json=)\{\}|(?<=json\()\{\}|(?<=return_value = )\{\}|(?<=return_value=)(?:\{\}|None)|# (?:put in|make) what .*"
)

_LAST: Final = re.compile(r" *@patch\(| *@pytest\.mark\.usefixtures\(")


def fakes_in(lines: list[str]) -> dict[str, str]:
    """Return the fake of each test, as it stands in what pytest prints: a section that begins with where to paste it."""
    found: dict[str, str] = {}
    for at, line in enumerate(lines):
        if match := re.fullmatch(r" *# Paste this above (\w+) and its decorators\.", line):
            end = next(n for n in range(at, len(lines)) if _LAST.match(lines[n]))
            found.setdefault(match[1], "\n".join(lines[at : end + 1]))
    return found


def pasted(source: str, test: str, text: str) -> str:
    """Return a module with a text pasted above a test and its decorators."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    node = next(node for node in nodes if node.name == test)
    line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = source.splitlines()
    return "\n".join([*lines[: line - 1], *text.splitlines(), *lines[line - 1 :], ""])


def test_the_fakes_of_the_sample_project_make_its_tests_pass(
    pytester: pytest.Pytester,
    run_pytest: Callable[..., pytest.RunResult],
    outcomes: Callable[[pytest.RunResult], dict[str, set[str]]],
    require: Callable[..., None],
    record_property: Callable[[str, object], None],
) -> None:
    require(*LIBRARIES)
    shutil.copytree(FIXABLE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))

    def run() -> tuple[dict[str, bool], pytest.RunResult]:
        result = run_pytest("-v", "--tb=short", mode=None, plugins=("asyncio",))
        by_name: dict[str, bool] = {}
        for node, words in outcomes(result).items():
            name = node.rpartition("::")[2].partition("[")[0]
            by_name[name] = by_name.get(name, True) and words == {"PASSED"}
        return by_name, result

    failing, result = run()
    assert not any(failing.values())
    fakes = fakes_in(result.outlines)
    assert failing.keys() - fakes.keys() == WITHOUT

    files = list(pytester.path.joinpath("tests").glob("test_*.py"))
    own = {file: file.read_text(encoding="utf-8") for file in files}

    def paste(texts: dict[str, str]) -> None:
        for file, source in own.items():
            for test, text in texts.items():
                if re.search(rf"^ *(?:async )?def {test}\(", source, re.MULTILINE):
                    source = pasted(source, test, text)  # noqa: PLW2901 - grows
            file.write_text(source, encoding="utf-8")

    paste(fakes)
    at_once, _ = run()
    assert {test for test in fakes if not at_once[test]} == ANSWERS.keys()

    filled = {test: _PLACE.sub(answer.replace("\\", "\\\\"), fakes[test], count=1) for test, answer in ANSWERS.items()}
    paste(fakes | filled)
    now, result = run()
    record_property("violations", len(failing))
    record_property("passed as pasted", sum(at_once.values()))
    record_property("passed with their answers", sum(now.values()))
    print(
        f"{len(failing)} tests: {sum(at_once.values())} pass as pasted, {sum(now.values())} with their answers filled in"
    )
    assert {test for test, passed in now.items() if not passed} == WITHOUT | TWICE, result.outlines
    assert sum(now.values()) >= 0.9 * len(failing)


READS: Final = {
    "acm": "list_certificates",
    "apigateway": "get_rest_apis",
    "athena": "list_work_groups",
    "autoscaling": "describe_auto_scaling_groups",
    "cloudformation": "list_stacks",
    "cloudwatch": "list_metrics",
    "cognito-idp": "list_user_pools",
    "dynamodb": "list_tables",
    "ec2": "describe_instances",
    "ecr": "describe_repositories",
    "ecs": "list_clusters",
    "elbv2": "describe_load_balancers",
    "events": "list_rules",
    "firehose": "list_delivery_streams",
    "glue": "get_databases",
    "iam": "list_users",
    "kinesis": "list_streams",
    "kms": "list_keys",
    "logs": "describe_log_groups",
    "rds": "describe_db_instances",
    "route53": "list_hosted_zones",
    "s3": "list_buckets",
    "secretsmanager": "list_secrets",
    "ses": "list_identities",
    "sns": "list_topics",
    "sqs": "list_queues",
    "ssm": "describe_parameters",
    "stepfunctions": "list_state_machines",
    "sts": "get_caller_identity",
}
"""A call of each service that asks for nothing that has to be made before."""


def test_moto_answers_for_each_service_that_the_fakes_give_to_it(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult], require: Callable[..., None]
) -> None:
    require("boto3", "moto")
    assert READS.keys() == _SERVED_BY_MOTO
    pytester.makepyfile(
        test_services=f"""
        import boto3, pytest
        from moto import mock_aws

        @pytest.mark.small
        @pytest.mark.parametrize(("service", "call"), {list(READS.items())})
        def test_read(service, call):
            arguments = {{"MaxResults": 1}} if service == "cognito-idp" else {{}}
            try:
                with mock_aws():
                    getattr(boto3.client(service, region_name="eu-west-1"), call)(**arguments)
            except ModuleNotFoundError as missing:
                pytest.skip(f"one of moto's extras is not installed: {{missing}}")
        """
    )
    found = run_pytest("-Wignore").parseoutcomes()
    assert found["passed"] + found.pop("skipped", 0) == len(READS)
    assert found.keys() == {"passed"}


def test_the_extras_of_moto_that_fakes_name_are_there(require: Callable[..., None]) -> None:
    require("moto")
    extras = set(metadata("moto").get_all("Provides-Extra") or ())
    for service in _SERVED_BY_MOTO:
        violation = Violation("t.py::test_a", "small", "lookup", "aws:443", library="boto3", request=f"{service} Read")
        (extra,) = re.findall(r"pip install 'moto\[(.*)\]'", fake(violation))
        assert extra in extras
