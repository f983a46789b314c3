"""The projects whose suites are run, what their tests need, and the hits that are true."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Project:
    """A project on the package index, most of which ship their tests in their source distribution.

    Attributes:
        release: What to download, with its version: explanations hold for one version.
        needs: What the tests need beside the project itself.
        extras: The project's own extras to install.
        arguments: What pytest is given, from the root of the source distribution.
        environment: Environment variables for the tests.
        wheel: Install the project from a wheel; where building needs more than a C compiler.
        repository: The source distribution has no usable tests; the repository has.
        size: What its tests are held to: libraries that keep tests off the network must do so in small ones.
        part: Which of several parts of a suite this is, where they are held to different sizes.
        standard_library: The suite is CPython's own, of the Python that runs it: nothing is downloaded.
        stand_in: In strict mode a module in the folder ``stand_in`` takes the place of the project's own; the plugin is
            off for the tests themselves, and strict in the runs of pytest that they make.
        seconds: How long one run may take.
        strict: Further options in strict mode.
    """

    release: str
    needs: tuple[str, ...]
    arguments: tuple[str, ...]
    extras: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    wheel: bool = False
    repository: bool = False
    size: str = "medium"
    part: str = ""
    standard_library: bool = False
    stand_in: bool = False
    seconds: float = 900
    strict: tuple[str, ...] = ()

    @property
    def distribution(self) -> str:
        """What the package index calls it."""
        return self.release.partition("==")[0]

    @property
    def version(self) -> str:
        """The version whose suite is run."""
        return self.release.partition("==")[2]

    @property
    def name(self) -> str:
        """The suite's name."""
        return f"{self.distribution}{self.part and '-'}{self.part}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why refusing a target in a project's suite is right.

    Attributes:
        project: The project's name; ``*`` for all.
        target: A regular expression that the whole target must match, as TC001 names it.
        reason: What the test does there.
        test: A regular expression searched for in the test's id.
    """

    project: str
    target: str
    reason: str
    test: str = ""

    def covers(self, project: str, test: str, target: str) -> bool:
        """Say whether this explains a hit."""
        return (
            self.project in ("*", project)
            and re.fullmatch(self.target, target) is not None
            and re.search(self.test, test) is not None
        )


_NO_ADDOPTS: Final = ("-o", "addopts=")

_CPYTHON: Final = Path(__file__).resolve().with_name("cpython")
_VCRPY: Final = ("setuptools<81",)

PROJECTS: Final = (
    Project(
        "anyio==4.16.0",
        (
            "blockbuster",
            "coverage",
            "hypothesis",
            "psutil",
            "pytest-mock",
            "pytest-timeout",
            "trustme",
            "truststore",
            "uvloop",
        ),
        ("tests",),
        extras="[trio]",
    ),
    Project(
        "trio==0.35.0",
        ("async_generator", "pyOpenSSL", "trustme", "cryptography", "astor"),
        (
            *_NO_ADDOPTS,
            "-p",
            "trio._tests.pytest_plugin",
            "--skip-optional-imports",
            "--pyargs",
            "trio",
        ),
    ),
    Project(
        "websockets==17.1",
        ("mitmproxy", "python-socks[asyncio]", "trio", "werkzeug"),
        ("tests",),
        environment=MappingProxyType({"WEBSOCKETS_TESTS_TIMEOUT_FACTOR": "20"}),
        repository=True,
    ),
    Project(
        "tornado==6.6.1",
        ("hypothesis", "pycares<5", "pycurl", "twisted"),
        ("--log-disable=tornado.access", "tornado/test"),
        environment=MappingProxyType({"ASYNC_TEST_TIMEOUT": "25"}),
    ),
    Project(
        "aiosmtpd==1.4.6",
        ("colorama", "packaging", "pytest-asyncio", "pytest-mock", "setuptools<81"),
        (*_NO_ADDOPTS, "-o", "asyncio_default_fixture_loop_scope=function", "aiosmtpd/tests"),
    ),
    Project(
        "cheroot==11.1.2",
        (
            "requests[use_chardet_on_py3]",
            "jaraco.context",
            "jaraco.text",
            "portend",
            "pyopenssl<25.2",
            "pypytools",
            "pytest-mock",
            "requests-unixsocket",
            "requests_toolbelt",
            "trustme",
        ),
        (
            *_NO_ADDOPTS,
            "-o",
            "markers=flaky",
            "-p",
            "cheroot.test._pytest_plugin",
            "--doctest-modules",
            "cheroot/test",
        ),
    ),
    Project(
        "aiohttp==3.14.5",
        (
            "blockbuster",
            "coverage",
            "freezegun",
            "isal",
            "pkgconfig",
            "proxy.py>=2.4.4rc5",
            "pytest-cov",
            "pytest-mock",
            "pytest-timeout",
            "pytest_codspeed",
            "pytest-xdist",
            "python-on-whales",
            "re-assert",
            "setuptools-git",
            "trustme",
            "uvloop",
            "zlib_ng",
        ),
        (
            *_NO_ADDOPTS,
            "-m",
            "not dev_mode and not autobahn and not internal",
            "--aiohttp-fast",  # no garbage collection after each test
            "-n2",
            "tests",
        ),
        extras="[speedups]",
        # The source folder holds the package without its compiled parts.
        environment=MappingProxyType({"PYTHONSAFEPATH": "1"}),
        wheel=True,
        seconds=2400,
    ),
    Project(
        "urllib3==2.8.0",
        (
            "anyio[trio]",
            "cryptography",
            "httpx",
            # As its own development does: the released one has no extension of theirs for proxies.
            "hypercorn @ git+https://github.com/urllib3/hypercorn@urllib3-changes",
            "pyopenssl",
            "pytest-socket",
            "pytest-timeout",
            "quart",
            "quart-trio",
            "trustme",
        ),
        ("-m", "not integration", "test"),
        extras="[socks,h2,brotli]",
    ),
    Project(
        "uvicorn==0.54.0",
        (
            "a2wsgi",
            "coverage",
            "cryptography",
            "httpx2",
            "pytest-codspeed",
            "pytest-mock",
            "pytest-xdist",
            "trustme",
            "wsproto",
            "zttp",
        ),
        (*_NO_ADDOPTS, "tests"),
        extras="[standard]",
    ),
    Project(
        "httpx==0.28.1",
        ("chardet==5.2.0", "trio", "trustme", "uvicorn<0.36", "cryptography"),
        (*_NO_ADDOPTS, "tests"),
        extras="[brotli,cli,http2,socks,zstd]",
    ),
    Project(
        "httpcore==1.0.9",
        ("anyio", "pytest-httpbin", "pytest-trio", "trustme"),
        (*_NO_ADDOPTS, "tests"),
        extras="[asyncio,http2,socks,trio]",
    ),
    Project("waitress==3.0.2", (), (*_NO_ADDOPTS, "tests")),
    Project(
        "werkzeug==3.1.9",
        ("cryptography", "ephemeral-port-reserve", "pytest-timeout", "pytest-xprocess", "watchdog"),
        ("--deselect=tests/test_serving.py::test_reloader_sys_path", "tests"),
    ),
    Project(
        "pyzmq==27.3.0",
        ("pytest-asyncio", "tornado", "pymongo"),
        ("tests",),
        # The source folder holds the package without its compiled parts.
        environment=MappingProxyType({"PYTHONSAFEPATH": "1"}),
        wheel=True,
    ),
    Project(
        "asyncssh==2.24.1",
        ("aiofiles", "bcrypt", "fido2", "ifaddr", "pyOpenSSL", "setuptools<81", "uvloop"),
        ("tests",),
    ),
    Project("paramiko==5.1.0", ("pytest-relaxed", "icecream"), ("tests",)),
    Project(
        "dnspython==2.9.2",
        ("anyio", "quart-trio", "trustme", "trio", "cryptography", "aioquic", "idna"),
        ("tests",),
    ),
    Project(
        "gunicorn==27.0.1",
        ("gevent", "h2", "httpx[http2]", "inotify", "pytest-asyncio", "uvloop"),
        (*_NO_ADDOPTS, "--assert=plain", "tests"),
    ),
    Project(
        "requests==2.34.2",
        ("pytest-httpbin==2.1.0", "httpbin~=0.10.0", "pytest-mock", "trustme"),
        ("tests",),
        extras="[socks]",
    ),
    Project(
        "pyftpdlib==2.2.0",
        ("psutil", "pyopenssl", "setuptools<81", "pyasyncore", "pyasynchat"),
        (*_NO_ADDOPTS, "--ignore=tests/test_functional_ssl.py", "tests"),
    ),
    Project(
        "websocket-client==1.9.2", ("python-socks", "wsaccel", "websockets"), ("websocket/tests",)
    ),
    Project(
        "hypercorn==0.18.0",
        ("httpx", "hypothesis", "mock", "pytest-asyncio", "pytest-trio", "trio"),
        (*_NO_ADDOPTS, "tests"),
    ),
    Project(
        "starlette==1.10.0",
        (
            "httpx2[zstd]",
            "blockbuster",
            "importlib-metadata",
            "opentelemetry-sdk",
            "pytest-codspeed",
            "trio",
        ),
        (*_NO_ADDOPTS, "tests"),
        extras="[full]",
    ),
    Project("portend==3.2.1", (), (*_NO_ADDOPTS, "test_portend.py")),
    Project(
        "python-socks==3.2.1",
        (
            "anyio",
            "pytest-asyncio",
            "pytest-trio",
            "starlette",
            "tiny-proxy",
            "trio",
            "trustme",
            "uvicorn",
            "yarl",
            "async-timeout",
        ),
        ("tests",),
    ),
    Project("botocore==1.44.5", ("jsonschema", "pytest-xdist", "setuptools<81"), ("-n2", "tests/unit"), seconds=1800),
    # Libraries that keep tests off the network: held to small.
    Project(
        "responses==0.26.3",
        ("pytest-asyncio", "pytest-httpserver", "tomli-w"),
        ("--asyncio-mode=auto", "responses/tests"),
        size="small",
    ),
    Project(
        "respx==0.23.1",
        ("pytest-asyncio", "trio", "starlette", "flask"),
        (*_NO_ADDOPTS, "-p", "no:respx", "tests"),
        repository=True,
        size="small",
    ),
    Project(
        "requests-mock==1.12.1",
        ("fixtures", "purl", "testtools", "requests_futures"),
        ("tests",),
        size="small",
    ),
    Project(
        "httpretty==1.1.4",
        (
            "boto3",
            "eventlet",
            "freezegun",
            "httplib2",
            "httpx",
            "mock",
            "pyOpenSSL",
            "redis",
            "requests",
            "requests-toolbelt",
            "sure",
            "tornado",
            "urllib3<2.3",  # later ones ask the socket for what httpretty's has not
        ),
        # The file left out makes eleven thousand copies of two tests.
        (*_NO_ADDOPTS, "--ignore=tests/bugfixes/pytest/test_426_mypy_segfault.py", "tests"),
        size="small",
    ),
    # aiohttp 3.14 has an argument more than aioresponses gives it.
    Project("aioresponses==0.7.9", ("aiohttp~=3.13.0", "ddt", "pytest-asyncio", "yarl"), ("tests",), size="small"),
    Project(
        "pook==2.1.6",
        (
            "aiohttp~=3.13.0",  # and here: it answers nothing by 3.14, and no chunks by urllib3 2.8
            "async-timeout~=4.0",
            "falcon~=4.0",
            "httpx~=0.26",
            "mocket[pook]~=3.12.2",
            "pytest-asyncio",
            "pytest-pook==0.1.0b0",
            "requests~=2.20",
            "urllib3<2.8",
        ),
        ("-o", "python_files=*_test.py", "tests"),
        repository=True,
        size="small",
        strict=("--network-allow=small: 127.0.0.1:8080",),  # the server that a request goes to if pook lets it pass
    ),
    Project("vcrpy==9.4.2", _VCRPY, ("tests/unit",), extras="[tests]", size="small"),
    # These record what a server on this machine answers.
    Project("vcrpy==9.4.2", _VCRPY, ("-m", "not online", "tests/integration"), extras="[tests]", part="integration"),
    *(
        Project(
            "pytest-socket==0.8.1",
            ("httpx", "starlette", "pytest-codspeed", "pytest-randomly"),
            (*_NO_ADDOPTS, "--ignore=tests/test_benchmarks.py", "-p", "pytester", "tests"),
            size="small",
            part=part,
            stand_in=True,
            environment=MappingProxyType({"STAND_IN_USES_SOCKETS": "1"} if part else {}),
        )
        for part in ("", "bound")
    ),
    # CPython's own, through pytest: each holds unittest classes, and starts children.
    *(
        Project(
            "cpython",
            (),
            (
                "--assert=plain",
                "-p",
                "no:unraisableexception",
                "-p",
                "no:threadexception",
                # Waits for ever in virtual machines whose kernel does not loop AF_VSOCK back.
                "--deselect=test/test_socket.py::ThreadedVSOCKSocketStreamTest",
                *where,
            ),
            part=part,
            standard_library=True,
            seconds=1800,
        )
        for part, where in (
            *((part, ("--pyargs", f"test.{part}")) for part in ("test_socket", "test_httpservers", "test_asyncio")),
            ("test_multiprocessing_spawn", (str(_CPYTHON / "test_multiprocessing_spawn.py"),)),
        )
    ),
)

EXPLANATIONS: Final = (
    Explanation(
        "anyio", r"anyio\.invalid:6666", "asks DNS for a name that doesn't exist, to see the error"
    ),
    Explanation(
        "anyio", r"(xn--fa-hia|fass)\.de", "asks DNS for two names that IDNA 2003 takes for one"
    ),
    Explanation(
        "httpx",
        r"example\.com:80",
        "a real request to example.com; fails in off mode too, without a network",
    ),
    Explanation(
        "httpx", r"10\.255\.255\.1:80", "dials an address nobody has, to see a connect time out"
    ),
    Explanation(
        "uvicorn",
        r"illegal_host:8000",
        "asks DNS for a name that doesn't exist, to see the server not start",
    ),
    Explanation("gunicorn", r"host:8080", "sends statistics to a host named `host`: asks DNS"),
    Explanation(
        "requests", r"10\.255\.255\.1:80", "dials an address nobody has, to see a connect time out"
    ),
    Explanation(
        "requests", r"doesnotexist\.google\.com:80", "asks DNS for a name that doesn't exist"
    ),
    Explanation(
        "requests", r"non-resolvable-address:80", "asks DNS for a proxy that doesn't exist"
    ),
    Explanation(
        "websocket-client",
        r"nonexistent\.example\.com:80",
        "asks DNS for a name that doesn't exist",
    ),
    Explanation("websocket-client", r"example:80", "asks DNS for a host named `example`"),
    Explanation(
        "dnspython",
        r"(8\.8\.8\.8|1\.1\.1\.1|\[2001:4860:4860::8888\]|\[2606:4700:4700::1111\]):53",
        "asks public resolvers, while imported, whether there is a network",
    ),
    Explanation(
        "urllib3", r"240\.0\.0\.0:\d+", "dials an address nobody has, to see a connect time out"
    ),
    Explanation(
        "urllib3",
        r"(something|badhost|thishostdoesnotexist)\.invalid:\d+",
        "asks DNS for a name that doesn't exist",
    ),
    Explanation("asyncssh", "ÿ:22", "asks DNS for a name that cannot exist"),
    Explanation("asyncssh", r"unknown\.test|fail", "asks DNS for a name that doesn't exist"),
    Explanation("asyncssh", "test1|text|wild", "asks DNS for the host of an X display"),
    Explanation("aiohttp", r"wrong-dns-name\.com:\d+", "asks DNS for a name that doesn't exist"),
    Explanation(
        "botocore",
        r"169\.254\.169\.254:80",
        "looks for credentials at the metadata service, as it does where none are configured",
    ),
    Explanation("responses", r"localhost:0", "starts a real server here (pytest-httpserver) to record or to pass on to"),
    Explanation("cpython-test_socket", r"python\.org", "asks DNS for python.org, to see whether there is a network"),
    Explanation(
        "cpython-test_socket",
        "",
        "counts references to an argument while the call's error is at hand: the frame of the wrapper, in its traceback,"
        " holds one more",
        test="testRefCountGetNameInfo",
    ),
    Explanation("aioresponses", r"httpbin\.org:\d+", "passes a request on to httpbin.org; fails in off mode too"),
    Explanation(
        "httpretty", r"127\.0\.0\.1:6379", "asks a Redis on this machine, while imported, whether it is there", "test_redis"
    ),
    Explanation("httpretty", r"httpbin\.org:\d+", "passes a request on to httpbin.org; fails in off mode too"),
    Explanation("httpretty", r"unix:\./not-exist-socket", "dials a unix socket that nobody has made, to see it fail"),
    *(
        Explanation(name, target, reason, test)
        for name in ("pytest-socket", "pytest-socket-bound")
        for reason, target, test in (
            (
                "a refusal that is caught fails the test: no warning is needed to show it, and `pytest.raises(Exception)`"
                " is no block that expects one",
                "",
                "emits_warning|does_not_leak_socket",
            ),
            (
                "refused, by an error alone: there is no warning beside it",
                "",
                r"test_socket_allow_hosts_blocks_unix_by_default",
            ),
            ("looking `localhost` up sends nothing, and is free in small tests", "", r"test_dns\.py"),
            (
                "a unix socket among the test's own processes is free, and any other wants an allow entry that names it",
                "",
                "unix_domain_sockets|test_combine_unix|disable_socket_blocks_unix",
            ),
            (
                "an allow entry that can mean nothing is an error: it stops the run, or fails the test that has it",
                "",
                "malformed_cidr",
            ),
            (
                "nothing is looked up ahead: an allowed name lets through what a look-up of it in the run has given",
                "",
                "name_resolution_cached|normalize_allowed_hosts|localhost_resolved|disabled_hostname_resolved",
            ),
            ("a function inside of pytest-socket", "", "host_from_address"),
            (
                "holds here without a network, too: the look-up of a foreign name is refused",
                "",
                "test_global_disable_and_allow_host",
            ),
        )
    ),
    Explanation(
        "pytest-socket",
        "",
        "making a socket is free: it is refused where it is used, as the other column shows",
        r"test_precedence\.py|disable_socket_marker|global_disable_via|mix_and_match|subclass|double_call|during_setup",
    ),
    Explanation("vcrpy", r"127\.0\.0\.1:0", "starts a real server here (pytest-httpbin) to record what it answers"),
    Explanation("vcrpy", r"www\.google\.com:443", "really connects to www.google.com; fails in off mode too"),
    Explanation(
        "urllib3",
        "",
        "`localhost.` is answered on this machine, as RFC 6761 has it: a test that is skipped where no resolver knows it runs",
        test="fqdn|test_same_url",
    ),
)
