"""Reports to render: a small one with one of everything, and a big one."""

from __future__ import annotations

from pytest_test_categories._report.model import Access, Case, Report
from pytest_test_categories._rules.violation import Violation


def small_report() -> Report:
    """Return a report with a case of everything."""

    def access(test: str, size: str, target: str, verdict: str, needs: str, **facts: object) -> Access:
        layer = str(facts.pop("layer", "python"))
        facts = {
            "kind": "connect",
            "route": "socket.connect",
            "reach": "machine" if needs == "medium" else "beyond",
        } | facts
        return Access(Violation(test=test, size=size, target=target, **facts), verdict, needs, "", layer)  # type: ignore[arg-type]

    users = "tests/test_users.py"
    orders = "tests/test_orders.py"
    return Report(
        [
            Case(f"{users}::test_fetch", "small", users, 8, "failed", 0.12),
            Case(f"{users}::test_list[https://bob:secret@example.com/?key=1]", "small", users, 20, "passed", 0.01),
            Case(f"{users}::TestStore::test_save", "medium", users, 31, "passed", 0.3),
            Case(f"{orders}::test_unsized", "", orders, 4, "passed", 0.02),
            Case(f"{orders}::test_pays", "large", orders, 12, "passed", 1.5),
            Case(f"{orders}::test_spawns", "small", orders, 30, "passed", 0.2, unwatched=2),
            Case(f"{orders}::test_skipped", "small", orders, 40, "skipped"),
        ],
        [
            access(
                f"{users}::test_fetch",
                "small",
                "api.example.com:443",
                "refused",
                "large",
                kind="lookup",
                location="src/shop/users.py:12",
                function="fetch_user",
                called_from=f"{users}:9",
                library="requests",
                request="GET https://api.example.com/users/7?page=...",
                count=3,
            ),
            access(
                f"{users}::test_list[https://bob:secret@example.com/?key=1]",
                "small",
                "localhost:5432",
                "known",
                "medium",
                address="127.0.0.1:5432",
                location=f"{users}:22",
                function="test_list",
                library="psycopg",
                layer="client",
            ),
            access(
                f"{users}::TestStore::test_save",
                "medium",
                "localhost:6379",
                "permitted",
                "medium",
                fixture="cache (session)",
                location="tests/conftest.py:31",
                function="cache",
                library="redis",
            ),
            access(
                f"{users}::TestStore::test_save",
                "medium",
                "telemetry.example.net:443",
                "warned",
                "large",
                late=f"by a thread that {users}::TestStore::test_save started and that outlived it",
                thread="telemetry",
                location="src/shop/telemetry.py:7",
            ),
            access(
                f"{orders}::test_unsized",
                "",
                "[2001:db8::7]:8080",
                "permitted",
                "large",
                location=f"{orders}:6",
                function="test_unsized",
            ),
            access(
                f"{orders}::test_pays",
                "large",
                "pay.example.org:443",
                "permitted",
                "large",
                location="src/shop/pay.py:3",
                function="pay",
                library="httpx",
            ),
            access(
                f"{orders}::test_spawns",
                "small",
                "<script>alert(1)</script>.example:80",
                "refused",
                "large",
                process="/usr/bin/curl -u bob:secret http://x (pid 7, descendant of the test process)",
                layer="kernel",
                route="kernel",
            ),
            access(
                f"{orders}::test_spawns",
                "small",
                "unix:/var/run/docker.sock",
                "observed",
                "medium",
                location=f"{orders}:33",
            ),
        ],
        mode="strict",
        layers=("socket wrappers", "audit hook", "Python child processes"),
        complete=False,
        why_incomplete=("-k was given",),
        unwatched={"curl": 2},
        tool="1.0",
    )


def big_report(tests: int = 10_000, hosts: int = 200, modules: int = 400) -> Report:
    """Return a report of many tests that reach for many hosts, each for three."""
    sizes = ("small", "medium", "large", "")
    all_tests = []
    accesses = []
    for number in range(tests):
        file = f"tests/area{number % modules // 20}/test_module{number % modules:03}.py"
        node = f"{file}::test_case_{number:05}"
        size = sizes[number % 4]
        all_tests.append(Case(node, size, file, number // modules * 7 + 3, "passed", 0.01))
        for step in range(3):
            host = (number * 7 + step * 31) % hosts
            local = host % 3 == 0
            needs = "medium" if local else "large"
            target = f"service{host:03}.{'localhost' if local else 'example.com'}:{8000 + host}"
            broken = size == "small" or (size == "medium" and not local)
            violation = Violation(
                test=node, size=size, kind="connect", target=target, route="socket.connect",
                reach="machine" if local else "beyond", location=f"src/pkg/client{host % 17}.py:{host + 5}",
                function="call", called_from=f"{file}:{number % 90 + 4}", library="httpx" if host % 2 else "requests",
            )  # fmt: skip
            accesses.append(Access(violation, "refused" if broken else "permitted", needs))
    return Report(all_tests, accesses, layers=("socket wrappers", "audit hook"), tool="1.0")
