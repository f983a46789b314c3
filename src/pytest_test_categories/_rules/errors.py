"""TC001: its text, the exception that carries it, the warning of warn mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._rules.address import parse_allow_entry, split_target
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DOCUMENTATION: Final = "https://pytest-test-categories.readthedocs.io/errors/TC001"

_HTTP: Final = {
    "aiobotocore": "moto in server mode, or a stubbed client",
    "aiohttp": "aioresponses",
    "boto3": "moto",
    "botocore": "moto",
    "http.client": "pook, httpretty or manual patching",
    "httpcore": "respx or pytest-httpx",
    "httpx": "respx or pytest-httpx",
    "curl_cffi": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "impit": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "pyreqwest": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "wreq": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "httpr": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "primp": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "pycurl": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "requests": "responses or requests-mock",
    "rnet": "a fake client, or a local HTTP server and @pytest.mark.medium",
    "tornado": "pook or manual patching",
    "urllib": "pook, httpretty or manual patching",
    "urllib3": "pook, httpretty or manual patching",
}
_SERVICES: Final = dict.fromkeys(
    (
        "aiomysql",
        "aiopg",
        "asyncpg",
        "elasticsearch",
        "kafka",
        "ldap3",
        "glide",
        "motor",
        "mysql",
        "pulsar",
        "MySQLdb",
        "adbc_driver_manager",
        "connectorx",
        "pg8000",
        "pika",
        "psycopg",
        "psycopg2",
        "psycopg_pool",
        "pylibmc",
        "pymongo",
        "pymssql",
        "pymysql",
        "pyodbc",
    ),
    "a fake repository, or a local server and @pytest.mark.medium",
) | {
    "aiodns": "manual patching",
    "aiosmtplib": "manual patching, or a local aiosmtpd and @pytest.mark.medium",
    "confluent_kafka": "a fake producer or consumer, or test.mock.num.brokers and @pytest.mark.medium",
    "deltalake": "a table in tmp_path",
    "duckdb": "files of tmp_path",
    "ftplib": "manual patching",
    "grpc": "grpc_testing or a fake stub, or a server in this process and @pytest.mark.medium",
    "obstore": "obstore.store.MemoryStore",
    "paramiko": "manual patching",
    "polars": "files of tmp_path",
    "pyarrow": "pyarrow.fs.LocalFileSystem and tmp_path",
    "pygit2": "a repository in tmp_path",
    "snowflake": "a fake repository",
    "redis": "fakeredis, or a local server and @pytest.mark.medium",
    "smtplib": "manual patching, or a local aiosmtpd and @pytest.mark.medium",
    "temporalio": "temporalio.testing, or a local server and @pytest.mark.medium",
    "websockets": "manual patching, or a local server and @pytest.mark.medium",
    "zmq": "inproc:// endpoints",
}
CURES: Final = _HTTP | _SERVICES
"""What to use instead of the network, by client library (its top-level module)."""


def library_of_route(route: str) -> str:
    """Return the client library that a native client's entry point belongs to, where no frame of it tells."""
    top = route.partition(".")[0].lstrip("_")
    return top if top in CURES else ""


_METADATA: Final = {
    "169.254.169.254": (
        "the metadata probe of a cloud SDK: AWS_EC2_METADATA_DISABLED=true stops boto, NO_GCE_CHECK=true google-auth"
    ),
    "metadata.google.internal": "the metadata probe of google-auth: NO_GCE_CHECK=true stops it",
}


class HermeticityViolationError(Exception):
    """A test broke the rules of its size."""


class NetworkAccessViolationError(HermeticityViolationError):
    """A test reached for a network that its size may not touch (TC001).

    Not an ``OSError``: clients must not take it for an ordinary failure and try again.

    Attributes:
        violations: What was refused, the first one first. Empty only in an error that somebody made of a text.
        text: That text.
        undelivered: Whether the guard raises at its end what code under test had caught.
    """

    def __init__(
        self, violations: Violation | Iterable[Violation] | NetworkAccessViolationError | str, undelivered: bool = False
    ) -> None:
        # Code that wraps errors makes new ones of the same class, of the old one, its text or its arguments.
        self.text = violations if isinstance(violations, str) else ""
        if isinstance(violations, Violation):
            self.violations: tuple[Violation, ...] = (violations,)
        elif isinstance(violations, NetworkAccessViolationError):
            self.violations = violations.violations
        elif not isinstance(violations, str):
            self.violations = tuple(violations)
        else:
            self.violations = ()
        self.undelivered = undelivered
        self.records: list[Any] = []  # the guard's own; they stay in this process, as does what it tells of
        self.delivery: Any = None
        super().__init__(self.text or self.violations, undelivered)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the records alone."""
        return _rebuild, (type(self), self.text or self.violations, self.undelivered)

    @property
    def violation(self) -> Violation:
        """The first violation."""
        return self.violations[0]

    def __repr__(self) -> str:
        """Return the violations in a line, as groups of exceptions show it."""
        return f"{type(self).__name__}({self.text or '; '.join(map(line_text, self.violations))!r})"

    def __str__(self) -> str:
        """Return the TC001 text."""
        return self.text or report_text(self.violations, undelivered=self.undelivered)


def _rebuild(
    cls: type[NetworkAccessViolationError], violations: tuple[Violation, ...] | str, undelivered: bool
) -> NetworkAccessViolationError:
    return cls(violations, undelivered=undelivered)


class NetworkAccessWarning(UserWarning):
    """A test in warn mode reached for a network that its size may not touch."""


# People see these names in tracebacks: show where to import them from.
for _public in (HermeticityViolationError, NetworkAccessViolationError, NetworkAccessWarning):
    _public.__module__ = "pytest_test_categories"


_DECLARED: Final = "test_categories_fixture_sizes"
KERNEL: Final = "kernel"
"""Route of what the Linux kernel layer saw."""
_REFUSED_UNSEEN: Final = "the refusal did not reach the test: it was caught on the way, or lost in a thread or task"
_REFUSED_OUTSIDE: Final = (
    "the call failed there with EACCES (permission denied), and what came of that was caught or lost"
)


def warning_text(violation: Violation) -> str:
    """Return the one line that warn mode says, made to be searched for with grep."""
    _path, _colons, inside = violation.test.partition("::")
    names, bracket, parameters = (inside or violation.test).partition("[")  # parameters may hold colons: test_get[::1]
    test = names.rpartition("::")[2] + bracket + parameters
    return f"Network access violation in {test}: attempted connection to {violation.target}"


def report_text(violations: tuple[Violation, ...], *, undelivered: bool = False) -> str:
    """Return the TC001 text: the first violation in full, a line for each further one."""
    first, *others = violations
    lines = [
        "[TC001] Network Access Violation",
        f"Test: {first.test}",
        f"Category: {first.size.upper()}",
        "",
        "What happened:",
        f"  Attempted network connection to {first.target}",
        *(f"    {fact}" for fact in _facts(first)),
    ]
    if undelivered:
        lines.append(f"    {_REFUSED_OUTSIDE if first.route == KERNEL else _REFUSED_UNSEEN}")
        lines.append("    a test whose subject is being refused says `with expect_network_violation():`")
    lines += [f"  Also attempted: {line_text(other)}" for other in others]
    lines += [
        "",
        "How to fix:",
        "  1. Mock the network call using responses, httpretty, or respx",
        *(f"    {hint}" for hint in cures(first)),
        "  2. Use dependency injection to provide a fake HTTP client",
        "  3. Change test category to @pytest.mark.medium (if network is required)",
        *(f"    {hint}" for hint in reach_hints(first)),
        "",
        f"Documentation: {DOCUMENTATION}",
    ]
    return "\n".join(lines)


def line_text(violation: Violation) -> str:
    """Return a violation in one line, for lists."""
    parts = [violation.target]
    if violation.count > 1:
        parts.append(f"(x{violation.count})")
    if place := place_text(violation):
        parts.append(place)
    notes = [fact for fact in _circumstances(violation) if fact]
    return " ".join(parts) + (f"; {'; '.join(notes)}" if notes else "")


def place_text(violation: Violation) -> str:
    """Return where a violation was made: ``at path:line in function, called from path:line``."""
    if not violation.location:
        return ""
    where = f"at {violation.location}" + (f" in {violation.function}" if violation.function else "")
    return where + (f", called from {violation.called_from}" if violation.called_from else "")


def _facts(violation: Violation) -> Iterator[str]:
    if place := place_text(violation):
        yield place
    yield from facts(violation)
    if violation.count > 1:
        yield f"seen {violation.count} times"


def facts(violation: Violation) -> Iterator[str]:
    """Yield what is known of a violation beside its place: by what call, in which fixture, thread or process."""
    if violation.kind == "bind":
        yield f"by binding a server socket ({violation.route})"
    elif violation.kind == "reuse":
        yield f"by sending on a connection that was already open ({violation.route})"
    elif violation.kind != "connect":
        yield f"by a {violation.kind} ({violation.route})"
    yield from _circumstances(violation)
    if violation.address:
        yield f"its address: {violation.address}"


def _circumstances(violation: Violation) -> Iterator[str]:
    if violation.importing:
        yield f"while importing {violation.importing}: mock or disable it there"
    if violation.fixture:
        held = f", held to {violation.size} by {violation.held_by}" if violation.held_by else ""
        yield f"in fixture {violation.fixture}{held}"
    if violation.thread:
        yield f"in thread {violation.thread}"
    if violation.process:
        yield f"in {violation.process}"
    elif violation.route == KERNEL:
        yield "by native code (the kernel layer saw it)"
    if violation.guard:
        yield f"refused by {violation.guard}"
    if violation.late:
        yield violation.late


def cures(violation: Violation) -> Iterator[str]:
    """Yield what to use instead of the network, where the violation tells."""
    host = violation.target.rpartition(":")[0] or violation.target
    if hint := _METADATA.get(host) or _METADATA.get(violation.target):
        yield hint
    if cure := CURES.get(violation.library):
        yield f"seen: {violation.library}. Use {cure}"
    if violation.cassette:
        yield "under a VCR cassette: record once with --test-categories-enforcement=off"


def reach_hints(violation: Violation) -> Iterator[str]:
    """Yield which larger size, or which allow entry, would permit the attempt."""
    if violation.fixture and violation.held_by and violation.held_by != violation.test:
        yield from _fixture_hints(violation)
    host, port = split_target(violation.target)
    if violation.size == "medium":
        entry = violation.target if not port or port.isdecimal() else host  # "https" is no port of an entry
        if _is_allow_entry(entry):
            yield f"medium reaches this machine only: {host} needs @pytest.mark.large,"
            yield f"or, if it is a service of your test environment, test_categories_network_allow = {entry}"
        else:
            yield f"medium reaches this machine only: {host} needs @pytest.mark.large"
    elif violation.reach == "machine":
        yield f"medium reaches this machine: {violation.target} is on it"
    else:
        yield f"medium reaches this machine only: {host} needs @pytest.mark.large"


def _fixture_hints(violation: Violation) -> Iterator[str]:
    """Yield what is to be changed for a fixture that another test than the one that fails holds to its size."""
    name = violation.fixture.partition(" ")[0]
    needs = violation.needs if violation.needs not in {"", violation.size} else "large"
    if violation.held_by == _DECLARED:
        yield f"{_DECLARED} declares fixture {name} {violation.size}: declare it {needs}"
    else:
        yield f"fixture {name} is {violation.size} because of {violation.held_by}: make that test {needs},"
        yield f"or declare the fixture's size: {_DECLARED} = {name} = {needs}"


def _is_allow_entry(text: str) -> bool:
    try:
        parse_allow_entry(text)
    except ValueError:
        return False
    return True
