"""Clients that others register: from a conftest, and by an entry point of their distribution."""

from __future__ import annotations

import _socket
import contextlib
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from pytest_test_categories import NetworkAccessViolationError, network_guard, watch_client
from pytest_test_categories._ledger.runs import runs
from pytest_test_categories._watch import clients
from pytest_test_categories._watch.clients import announced
from pytest_test_categories._watch.clients.places import of_url, place
from pytest_test_categories._watch.clients.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DRIVER = """
class Connection:
    def open(self, dsn):
        return "opened " + dsn

async def dial(host, port=4000):
    return f"dialled {host}"
"""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A client whose calls meet no socket of Python's."""
    module = types.ModuleType("acme_driver")
    exec(DRIVER, vars(module))
    monkeypatch.setitem(sys.modules, "acme_driver", module)
    return module


@pytest.fixture
def watch() -> Iterator[Callable[..., None]]:
    ends = []

    def begin(*args: Any, **kwargs: Any) -> None:
        ends.append(watch_client(*args, **kwargs))

    yield begin
    for end in ends:
        end()


@pytest.mark.filterwarnings("ignore::pytest_test_categories.NetworkAccessWarning")
def test_a_registered_call_that_was_warned_of_is_one_attempt(driver: Any, watch: Callable[..., None]) -> None:
    """Whatever its name stands for."""
    watch("acme_driver:Connection.open", lambda _instance, args, _kwargs: args[0])
    with network_guard("small", "warn") as guard:
        driver.Connection().open("localhost:4000")
    assert [(violation.target, violation.count) for violation in guard.violations] == [("localhost:4000", 1)]


def test_a_call_with_a_name_is_judged_by_its_addresses_too_where_networks_are_denied(
    driver: Any, watch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch("acme_driver:Connection.open", lambda _instance, args, _kwargs: args[0])
    answer = [(_socket.AF_INET, _socket.SOCK_STREAM, 6, "", ("10.1.2.3", 0))]
    monkeypatch.setattr(_socket, "getaddrinfo", lambda *_args, **_kwargs: answer)
    outer, runs[:] = list(runs), []  # as outside pytest, whatever plugin this run has
    try:
        for entry in ("10.1.2.3:1", "10.2.0.0/16", "10.0.0.0/8", "10.1.2.3:4000"):
            monkeypatch.setenv("TEST_CATEGORIES_NETWORK_DENY", entry)
            guard = network_guard("large", "strict")
            with contextlib.suppress(NetworkAccessViolationError), guard:
                driver.Connection().open("db.example:4000")
            refused = [violation.target for violation in guard.violations]
            assert refused == (["db.example:4000"] if entry in {"10.0.0.0/8", "10.1.2.3:4000"} else [])
    finally:
        runs[:] = outer


def test_a_registered_call_is_judged(driver: Any, watch: Callable[..., None]) -> None:
    with network_guard("small"):
        assert driver.Connection().open("db.example:4000") == "opened db.example:4000"  # the way out
    watch("acme_driver:Connection.open", lambda _instance, args, _kwargs: args[0])
    original = vars(driver.Connection)["open"]
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("medium"):
        driver.Connection().open("db.example:4000")
    assert caught.value.violation.target == "db.example:4000"
    assert caught.value.violation.route == "acme_driver.Connection.open"
    with network_guard("medium", allow=["db.example:4000"]):
        assert driver.Connection().open("db.example:4000")
    with network_guard("medium"):
        assert driver.Connection().open("127.0.0.1:4000")
        assert driver.Connection().open("unix:/run/acme")
    with pytest.raises(NetworkAccessViolationError, match="unix:/run/acme"), network_guard("small"):
        driver.Connection().open("unix:/run/acme")
    assert vars(driver.Connection)["open"] is original
    assert driver.Connection().open("db.example:4000")


def test_a_call_may_lead_to_several_places_or_to_none(driver: Any, watch: Callable[..., None]) -> None:
    watch("acme_driver:Connection.open", lambda _instance, args, _kwargs: args[0] and args[0].split(","))
    with network_guard("small") as guard:
        driver.Connection().open("")
    assert guard.violations == []
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("medium"):
        driver.Connection().open("127.0.0.1:1,[2001:db8::1]:2")
    assert caught.value.violation.target == "[2001:db8::1]:2"


def test_a_coroutine_function_is_judged_when_it_is_awaited(driver: Any, watch: Callable[..., None]) -> None:
    watch("acme_driver:dial", lambda _module, args, _kwargs: (args[0], 4000), awaited=True)
    with network_guard("small") as guard:
        driver.dial("db.example").close()
    assert guard.violations == []
    with pytest.raises(NetworkAccessViolationError, match=r"db\.example:4000"), network_guard("small"):
        driver.dial("db.example").send(None)
    with pytest.raises(StopIteration) as returned, network_guard("large"):
        driver.dial("db.example").send(None)
    assert returned.value.value == "dialled db.example"


def test_a_kind_may_be_named(driver: Any, watch: Callable[..., None]) -> None:
    watch("acme_driver:Connection.open", lambda _instance, args, _kwargs: args[0], kind="bind")
    with network_guard("medium"):
        assert driver.Connection().open("198.51.100.1:80")
    with pytest.raises(NetworkAccessViolationError) as caught, network_guard("small"):
        driver.Connection().open("127.0.0.1:80")
    assert caught.value.violation.kind == "bind"


def test_what_it_returns_ends_the_watch(driver: Any) -> None:
    original = vars(driver.Connection)["open"]
    with network_guard("small"):
        end = watch_client("acme_driver:Connection.open", lambda _instance, args, _kwargs: args[0])
        assert vars(driver.Connection)["open"] is not original  # at once, where a guard is active
        end()
        assert vars(driver.Connection)["open"] is original
        assert driver.Connection().open("db.example:4000")
        end()  # once more does nothing


def test_a_client_that_was_dropped_and_is_imported_again_is_watched_again(
    watch: Callable[..., None], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytester's in-process runs put ``sys.modules`` back to what it was."""
    (tmp_path / "acme_again.py").write_text(DRIVER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    watch("acme_again:Connection.open", lambda _instance, args, _kwargs: args[0])
    for _ in range(3):
        with pytest.raises(NetworkAccessViolationError), network_guard("small"):
            __import__("acme_again").Connection().open("db.example:4000")
        del sys.modules["acme_again"]


def test_a_module_that_holds_the_function_too_is_watched(
    driver: Any, watch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    front = types.ModuleType("acme_front")
    vars(front)["dial"] = original = driver.dial
    monkeypatch.setitem(sys.modules, "acme_front", front)
    watch("acme_driver:dial", lambda _module, args, _kwargs: (args[0], 4000), also=["acme_front"], awaited=True)
    for home in (front, driver):
        with pytest.raises(NetworkAccessViolationError), network_guard("small") as guard:
            home.dial("db.example").send(None)
        assert len(guard.violations) == 1
    assert vars(front)["dial"] is vars(driver)["dial"] is original


@pytest.mark.parametrize("target", ["acme_driver", ":name", "acme_driver:", ""])
def test_a_target_of_another_form_is_an_error(target: str) -> None:
    with pytest.raises(ValueError, match="module:function"):
        watch_client(target, lambda *_: None)


def test_a_kind_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'dial' is not a kind.*choose one of connect, send, lookup"):
        watch_client("acme_driver:dial", lambda *_: None, kind="dial")


def test_neither_the_client_nor_wrapt_is_imported_by_registering() -> None:
    script = (
        "import sys\n"
        "from pytest_test_categories import watch_client\n"
        "watch_client('wave:open', lambda instance, args, kwargs: args[0])\n"
        "print('wrapt' in sys.modules, 'wave' in sys.modules, 'pytest' in sys.modules)\n"
        "from pytest_test_categories import network_guard\n"
        "with network_guard('small'):\n"
        "    print('wave' in sys.modules)\n"
        "    from wave import open\n"
        "    try:\n"
        "        open('db.example:1')\n"
        "    except Exception as error:\n"
        "        print(error.violation.target)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["False False False", "False", "db.example:1"], done.stderr


def test_a_module_that_another_puts_into_place_by_itself_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Callable[..., None]
) -> None:
    """As native modules do with their submodules; no import hook hears of it."""
    (tmp_path / "acme_native.py").write_text(
        "import sys, types\n"
        "blocking = sys.modules['acme_native.blocking'] = types.ModuleType('blocking')\n"
        f"exec({DRIVER!r}, vars(blocking))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    watch("acme_native.blocking:Connection.open", lambda _instance, args, _kwargs: args[0])
    watch("acme_native:dial", lambda _module, args, _kwargs: args[0])
    with pytest.raises(NetworkAccessViolationError), network_guard("small"):
        import acme_native  # type: ignore[import-not-found]

        acme_native.blocking.Connection().open("db.example:4000")
    for name in ("acme_native", "acme_native.blocking"):
        monkeypatch.delitem(sys.modules, name)


def test_the_table_names_its_modules_and_readers() -> None:
    assert set(clients.MODULES) == {module for row in ROWS for module in (row.module, *row.also)}
    from pytest_test_categories._rules.policy import Kind

    assert set(clients.KINDS) == {kind.value for kind in Kind} - {"reuse"}


@pytest.mark.parametrize(
    "where, expected",
    [
        ("db.example:5432", ("ip", ("db.example", 5432))),
        ("db.example", ("ip", ("db.example", None))),
        ("db.example:http", ("ip", ("db.example", "http"))),
        ("[::1]:80", ("ip", ("::1", 80))),
        ("[::1]", ("ip", ("::1", None))),
        ("2001:db8::1", ("ip", ("2001:db8::1", None))),
        (("db.example", "5432"), ("ip", ("db.example", 5432))),
        ((b"db.example", None), ("ip", ("db.example", None))),
        ("unix:/run/x", ("unix", "/run/x")),
        ("unix:///run/x", ("unix", "/run/x")),
        ("unix:@name", ("unix", "@name")),
        ("http://user:pass@db.example/x", ("ip", ("db.example", 80))),
        ("https://db.example", ("ip", ("db.example", 443))),
        ("acme://db.example", ("ip", ("db.example", None))),
        ("redis://[::1]:7000/0", ("ip", ("::1", 7000))),
    ],
)
def test_places_are_read(where: Any, expected: Any) -> None:
    assert place(where) == expected


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://localhost\\@db.example/", "localhost"),  # as browsers read it
        ("http://localhost@db.example/", "db.example"),
        ("http://%6cocalhost/", "localhost"),
        ("http://db.example?localhost", "db.example"),
        ("http://[::1/", "::1/"),  # no URL at all, and no address of this machine
    ],
)
def test_urls_are_read_as_clients_do(url: str, host: str) -> None:
    assert of_url(url)[0] == host


# -- entry points ------------------------------------------------------------------------------------------------------


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    """A directory in which a driver is installed that registers itself."""
    metadata = tmp_path / "acme_driver-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-driver\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[console_scripts]\nacme = acme_driver:main\n\n"
        "[pytest_test_categories.clients]\nacme_driver = acme_driver_testing:watch\n"
    )
    (tmp_path / "acme_driver.py").write_text(DRIVER)
    (tmp_path / "acme_driver_testing.py").write_text(
        "from pytest_test_categories import watch_client\n"
        "def watch():\n"
        "    watch_client('acme_driver:Connection.open', lambda instance, args, kwargs: args[0])\n"
    )
    return tmp_path


def test_an_entry_point_registers_a_driver_when_it_is_imported(
    distribution: Path, pytester: pytest.Pytester, run_pytest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(distribution))
    pytester.makepyfile(
        test_one="""
        import sys
        import pytest

        @pytest.mark.small
        def test_before():
            assert "acme_driver_testing" not in sys.modules

        @pytest.mark.small
        def test_small():
            import acme_driver
            acme_driver.Connection().open("127.0.0.1:4000")

        @pytest.mark.medium
        def test_medium():
            import acme_driver
            acme_driver.Connection().open("127.0.0.1:4000")
        """
    )
    result = run_pytest("-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*Attempted network connection to 127.0.0.1:4000*"])


def test_a_conftest_registers_a_driver(
    distribution: Path, pytester: pytest.Pytester, run_pytest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (distribution / "acme_driver-1.0.dist-info" / "entry_points.txt").unlink()
    monkeypatch.setenv("PYTHONPATH", str(distribution))
    pytester.makepyfile(
        test_one="""
        import pytest
        import acme_driver

        @pytest.mark.small
        def test_small():
            acme_driver.Connection().open("127.0.0.1:4000")
        """
    )
    run_pytest().assert_outcomes(passed=1)  # nobody knows it
    pytester.makeconftest(
        """
        from pytest_test_categories import watch_client

        watch_client("acme_driver:Connection.open", lambda instance, args, kwargs: args[0])
        """
    )
    run_pytest().assert_outcomes(failed=1)


def test_only_distributions_that_name_the_group_are_read(distribution: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = distribution / "other-1.0.dist-info"
    other.mkdir()
    (other / "entry_points.txt").write_text("[console_scripts]\nother = other:main\n")
    (distribution / "bare-1.0.dist-info").mkdir()
    read = []

    def read_text(self: Any, name: str) -> str:
        read.append(str(self._path))
        text: str = (self._path / name).read_text()
        return text

    monkeypatch.setattr("importlib.metadata.PathDistribution.read_text", read_text)
    found = announced.announced_in([str(distribution), str(distribution / "none"), str(distribution)], clients.GROUP)
    assert [(name, [entry.value for entry in entries]) for name, entries in found.items()] == [
        ("acme_driver", ["acme_driver_testing:watch"])
    ]
    assert read == [str(distribution / "acme_driver-1.0.dist-info")]
