"""The fake to paste: the request that was refused, and the lines of code that answer it instead of the network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_test_categories._rules.advice import metadata_hint
from pytest_test_categories._rules.violation import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._rules.violation import Violation

_Asked: TypeAlias = "list[tuple[str, str]]"
_Made: TypeAlias = "tuple[str, list[str]]"
"""The fixture of pytest that a fake's fixture requests, and the lines of its body."""
API_CALL: Final = "botocore.client.BaseClient._make_api_call"
"""The function that every call of AWS's API goes through."""

_LONGEST: Final = 300
_METHOD: Final = re.compile(r"[A-Za-z]{1,20}")
_SCHEMES: Final = frozenset({"http", "https"})
_NAME: Final = re.compile(r"[A-Za-z_][\w.\-\[\]]{0,30}", re.ASCII)


def request_text(method: str, url: str) -> str:
    """Return a request as reports show it: ``GET https://api.example.com/users?page=...``.

    User names, passwords, the values of a query and fragments are left out; empty if it is not an HTTP request.
    """
    scheme, colon, rest = url.partition("://")
    if not colon or scheme.lower() not in _SCHEMES or not _METHOD.fullmatch(method):
        return ""
    rest = rest.partition("#")[0]
    rest, mark, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2].lower()
    text = f"{method.upper()} {scheme.lower()}://{host}{slash}"
    if not host or not text.isprintable() or text.count(" ") != 1:
        return ""
    if len(text) + len(path) > _LONGEST or not path.isprintable() or " " in path:
        return f"{text}..."
    return text + path + (f"?{_names(query)}" if mark and query else "")


def _names(query: str) -> str:
    """Return the names in a query; parts that are not ``name=value`` are left out, since they may be secrets."""
    found = []
    for part in re.split("[&;]", query)[:20]:
        name, equals, value = part.partition("=")
        found.append(f"{name}=..." if equals and _NAME.fullmatch(name) and value.strip("=") else "...")
    return "&".join(dict.fromkeys(found))


def fake(violation: Violation, *others: Violation) -> str:
    """Return code that makes a test pass if it is pasted above the test and its decorators; empty if nothing fits.

    The code is one block: a fixture with a unique name and the marker that applies it to this test, or a decorator that
    replaces a function. It affects no other test of the module, changes no signature, and works for functions, methods,
    coroutines and unittest's classes.

    Args:
        violation: The violation to fake.
        others: Further violations of the test; the fake also answers requests of the same client among them.
    """
    where = _test_of(violation)
    if where is None or not _can_be_faked(violation):
        return ""
    test, depth = where
    lines = _client_fake(violation, others, test, depth) or _function_fake(_replaced(violation), test)
    return "\n".join(f"{'    ' * depth}{line}" if line else "" for line in lines)


def _test_of(violation: Violation) -> tuple[str, int] | None:
    """Return the name of a test's function and the number of classes around it; None if it is not in a Python file."""
    file, _, inside = violation.test.partition("::")
    *classes, test = inside.partition("[")[0].split("::")
    names = (*classes, test)
    doctest = not test.startswith("test") and file.endswith(f"{test}.py")  # a doctest has the name of its module
    if not file.endswith(".py") or doctest or not all(map(str.isidentifier, names)):
        return None
    return test, len(classes)


def _can_be_faked(violation: Violation) -> bool:
    """Tell whether a fake that is active in the test's process while the test runs can replace the call."""
    if violation.process or violation.late or violation.importing or violation.cassette:
        return False
    if violation.kind in {"bind", PROGRAM} or metadata_hint(violation):
        return False
    return not violation.fixture or violation.fixture.endswith("(function)")


def _client_fake(violation: Violation, others: tuple[Violation, ...], test: str, depth: int) -> list[str]:
    """Return the fixture that answers a client's requests, and its marker."""
    client = violation.request.partition(" ")[0]
    made: _Made | None = None
    if client in _REDIS:
        made = _redis(client, test)
    elif violation.library in _AWS and client and violation.reach != "machine" and violation.replace != API_CALL:
        made = _aws(client, test)
    elif (write := _HTTP.get(violation.library)) and (first := _asked(violation)):
        same = (other for other in others if other.library == violation.library and _can_be_faked(other))
        made = write(list(dict.fromkeys([first, *filter(None, map(_asked, same))])), test)
    if made is None:
        return []
    fixture, body = made
    arguments = ", ".join((*(("self",) if depth else ()), *((fixture,) if fixture else ())))
    name = f"fake_network_of_{test}"
    return [
        f"# Paste this above {test} and its decorators.",
        "import pytest",
        "",
        "",
        "@pytest.fixture",
        f"def {name}({arguments}):",
        *(f"    {line}" if line else "" for line in body),
        "",
        "",
        f'@pytest.mark.usefixtures("{name}")',
    ]


def _asked(violation: Violation) -> tuple[str, str] | None:
    """Return method and URL, without the query, of a request that a library can fake; None for other requests."""
    method, _, url = violation.request.partition("?")[0].partition(" ")
    known = "://" in url and not url.endswith("/...") and violation.reach != "machine"
    return (method, url) if known else None


def _replaced(violation: Violation) -> str:
    """Return the function to replace: ``API_CALL`` for a call of AWS's API that no library fakes."""
    request = violation.request
    return API_CALL if violation.library in _AWS and request and "://" not in request else violation.replace


def _function_fake(path: str, test: str) -> list[str]:
    """Return the decorator that replaces a function, which is given as in ``Violation.replace``."""
    kind, _, target = path.rpartition(" ")
    if not target:
        return []
    mock = {"async": "AsyncMock", "class": "MagicMock"}.get(kind, "Mock")
    made = f"{mock}()" if kind == "class" else f"{mock}(return_value={'{}' if target == API_CALL else None})"
    said = f"what {test} expects it to do" if kind == "class" else f"what {test} expects it to return"
    return [
        f"# Paste this above {test} and its decorators.",
        f"from unittest.mock import {mock}, patch",
        "",
        "",
        f"@patch({_patched(target)}, {made})  # {said}",
    ]


def _patched(target: str) -> str:
    return f'__name__ + "{target}"' if target.startswith(".") else f'"{target}"'


# If several requests are refused, a later one may be the reaction to the failure of the first one. Therefore the fakes
# don't require all requests.


def _responses(asked: _Asked, test: str) -> _Made:
    some = "assert_all_requests_are_fired=False" if len(asked) > 1 else ""
    return "", [
        "import responses  # pip install responses",
        "",
        f"with responses.RequestsMock({some}) as fake:",
        *(
            f'    fake.add("{method}", {_quoted(url)}, {_content(method)})  # the answer that {test} expects'
            for method, url in asked
        ),
        "    yield",
    ]


def _content(method: str) -> str:
    return "status=200" if method == "HEAD" else "json={}"  # responses answers it with a body, if it is given one


def _respx(asked: _Asked, test: str) -> _Made:
    some = "assert_all_called=False" if len(asked) > 1 else ""
    return "", [
        "import respx  # pip install respx",
        "",
        f"with respx.mock({some}) as fake:",
        *(
            f'    fake.request("{method}", {_quoted(url)}).respond(json={{}})  # the answer that {test} expects'
            for method, url in asked
        ),
        "    yield",
    ]


def _pook(asked: _Asked, test: str) -> _Made:
    return "", [
        "import pook  # pip install pook",
        "",
        "with pook.use():",
        *(
            line
            for method, url in asked
            for line in (
                f'    fake = pook.mock({_quoted(url)}, method="{method}").persist()',
                f"    fake.reply(200).json({{}})  # the answer that {test} expects",
            )
        ),
        "    yield",
    ]


def _aiohttp(asked: _Asked, test: str) -> _Made:
    # Libraries that fake aiohttp lag behind its releases: aioresponses 0.7.9 answers none from 3.14 on.
    return "monkeypatch", [
        "from unittest.mock import AsyncMock, MagicMock",
        "",
        "import aiohttp",
        "",
        *(f"# {method} {url}" for method, url in asked),
        "answer = MagicMock(spec=aiohttp.ClientResponse, status=200, ok=True)",
        "answer.__aenter__.return_value = answer",
        f"answer.json.return_value = {{}}  # the answer that {test} expects",
        'monkeypatch.setattr("aiohttp.ClientSession._request", AsyncMock(return_value=answer))',
    ]


def _aws(service: str, test: str) -> _Made | None:
    if service not in _SERVED_BY_MOTO:
        return None
    return "", [
        f"from moto import mock_aws  # pip install 'moto[{service.replace('-', '')}]'",
        "",
        "with mock_aws():",
        f'    # make what {test} expects to find, such as a bucket, with boto3.client("{service}") here',
        "    yield",
    ]


def _redis(client: str, test: str) -> _Made:
    connection = _REDIS[client]
    return "monkeypatch", [
        "import fakeredis  # pip install fakeredis",
        "",
        "server = fakeredis.FakeServer()",
        f"# put in what {test} expects to find: fakeredis.FakeRedis(server=server).set(...)",
        "monkeypatch.setattr(",
        f'    "{client}.ConnectionPool.make_connection",',
        f"    lambda pool: fakeredis.{connection}(server=server, **pool.connection_kwargs),",
        ")",
    ]


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text else repr(text)


_HTTP: Final[dict[str, Callable[[_Asked, str], _Made]]] = {
    "aiohttp": _aiohttp,
    "http.client": _pook,
    "httpcore": _respx,
    "httpx": _respx,
    "requests": _responses,
    "urllib": _pook,
    "urllib3": _pook,
}
_AWS: Final = frozenset({"boto3", "botocore"})
_REDIS: Final = {"redis": "FakeRedisConnection", "redis.asyncio": "FakeAsyncRedisConnection"}
_SERVED_BY_MOTO: Final = frozenset(
    {
        "acm",
        "apigateway",
        "athena",
        "autoscaling",
        "cloudformation",
        "cloudwatch",
        "cognito-idp",
        "dynamodb",
        "ec2",
        "ecr",
        "ecs",
        "elbv2",
        "events",
        "firehose",
        "glue",
        "iam",
        "kinesis",
        "kms",
        "logs",
        "rds",
        "route53",
        "s3",
        "secretsmanager",
        "ses",
        "sns",
        "sqs",
        "ssm",
        "stepfunctions",
        "sts",
    }
)
"""Services whose calls moto answers without a container or a server; for others the API call is replaced."""
