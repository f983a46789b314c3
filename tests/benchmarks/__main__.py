"""What the plugin costs, beside bare pytest and its peers, and what it may cost: ``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks import page, suites, table, walk
from tests.benchmarks.calls import Calls
from tests.benchmarks.inner import OFF, PINNED, STRICT, TOP, Machine, UnmeasuredError
from tests.benchmarks.suites import EachTest, Gather, Growth, Start
from tests.benchmarks.table import Reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.table import Figure


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Args:
        name: What it is called on the command line.
        unit: What its values count.
        reach: The most that may be measured.
        measure: Measures it.
    """

    name: str
    unit: str
    reach: Reach
    measure: Callable[[Machine], Figure]


def _times(limit: float) -> Reach:
    return Reach("x", limit)


def _more(limit: float) -> Reach:
    return Reach("+", limit)


def _at_most(limit: float) -> Reach:
    return Reach("=", limit)


_BARE: Final = ("bare", ())
_SMALL: Final = "test_small"
_TWO: Final = ("bare", "ours")

ROWS: Final = (
    Row("create-connection-name", "us", _times(1.15), Calls("create_connection_localhost")),
    Row("connect", "us", _times(1.10), Calls("connect")),
    Row("create-connection", "us", _times(1.12), Calls("create_connection")),
    Row("sendto", "us", _times(1.3), Calls("sendto")),
    Row("send", "us", _times(1.8), Calls("send")),
    Row("connect-in-thread", "us", _times(1.2), Calls("thread_connect", base="connect", sides=("ours",))),
    Row("write-file", "us", _times(2.5), Calls("write_file", sides=_TWO)),
    Row("write-pipe", "us", _times(2.5), Calls("write_pipe", sides=_TWO)),
    Row("getaddrinfo", "us", _more(1), Calls("getaddrinfo")),
    Row("refused", "us", _at_most(25), Calls("refused", _SMALL, sides=("ours",))),
    Row("deepcopy", "us", _times(1.35), Calls("deepcopy", _SMALL, sides=_TWO)),
    Row("subprocess", "us", _more(100), Calls("child", sides=_TWO, times=5, blocks=5)),
    Row("small-test", "k instr.", _more(110), EachTest()),
    Row("small-test-collection", "k instr.", Reach("+", None), EachTest(part="collection")),
    Row("small-test-execution", "k instr.", Reach("+", None), EachTest(part="execution")),
    Row("large-test", "k instr.", _more(110), EachTest("large", sides=(_BARE, ("ours", STRICT)))),
    Row("unsized-test", "k instr.", _more(110), EachTest("", sides=(_BARE, ("ours", STRICT)))),
    Row("off-test", "k instr.", _more(3), EachTest(sides=(_BARE, ("ours", OFF)))),
    Row("audit-events", "events", _more(0), suites.audit_events),
    Row("start", "M instr.", _more(150), Start()),
    Row("off-start", "M instr.", _more(25), Start((_BARE, ("ours", OFF)))),
    Row("off-modules", "modules", _at_most(0), suites.modules_in_off_mode),
    Row("collection", "s", _times(1.04), suites.collection),
    Row("report", "s", _times(1.03), suites.report),
    Row("baseline-load", "ms", _at_most(50), suites.baseline_load),
    Row("kernel-connect", "us", _times(2.5), Calls("connect", kernel=True, sides=_TWO)),
    Row("kernel-sendto", "us", _times(4), Calls("sendto", kernel=True, sides=_TWO)),
    Row("kernel-tests", "s", _times(1.02), suites.kernel_tests),
    Row("kernel-start", "s", _times(1.06), suites.kernel_start),
    Row("kernel-request", "us", _times(1.12), Calls("request", kernel=True, sides=_TWO, blocks=3, http=True)),
    Row("kernel-keep-alive", "us", _times(1.01), Calls("keep_alive", kernel=True, sides=_TWO, blocks=3, http=True)),
    Row("kernel-subprocess", "us", _times(1.2), Calls("child", kernel=True, sides=_TWO, times=5, blocks=5)),
    Row("walk-calls", "calls", _at_most(180), walk.calls),
    Row("walk-files", "files", _at_most(11), walk.files),
    Row("gather", "ms", _times(5), Gather("wait")),
    Row("gather-timeout", "ms", _times(10), Gather("wait_in_time")),
    Row("gather-task", "ms", _times(12), Gather("leave_a_task")),
    Row("page-opens", "s", _at_most(2), page.opens),
    Row("page-search", "s", _at_most(1), page.searches),
    *(Row(f"growth-time-{count}", "us", _times(1.1), Growth(count)) for count in (1_000, 10_000, 30_000)),
    *(
        Row(f"growth-memory-{count}", "KiB", _times(1.1), Growth(count, memory=True))
        for count in (1_000, 10_000, 30_000)
    ),
)


def main() -> int:
    """Measure the rows, and print each as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="ROW", action="append", help="a row or a pattern of rows; several times")
    parser.add_argument("--quick", action="store_true", help="fewer samples, smaller suites, no suite of 30,000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--list", action="store_true", help="name the rows, and end")
    parser.add_argument(
        "--python",
        metavar="EXECUTABLE",
        help=f"an environment with {', '.join(PINNED)}; without this option a temporary one is made, with pip",
    )
    parser.add_argument(
        "--source", type=Path, default=TOP / "src", metavar="DIR", help="another state of the plugin (%(default)s)"
    )
    given = parser.parse_args()
    rows = [row for row in ROWS if given.only is None or any(re.fullmatch(pattern, row.name) for pattern in given.only)]
    if given.quick:
        rows = [row for row in rows if not row.name.endswith("-30000")]
    if not rows:
        parser.error(f"no row matches {', '.join(given.only)}: --list names them")
    if given.list:
        print(*(row.name for row in rows), sep="\n")
        return 0
    measured: list[tuple[str, str, Reach, Figure]] = []
    complete = True
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        machine = Machine(Path(name), given.python, given.source.resolve(), quick=given.quick)
        print(f"Python {platform.python_version()}, {platform.platform()}; {', '.join(PINNED)}\n\n{table.header()}")
        for row in rows:
            start = time.monotonic()
            try:
                figure = row.measure(machine)
            except UnmeasuredError as error:
                print(f"{row.name}: not measured: {error}", flush=True)
                complete = False
                continue
            first, _, more = figure.notes.partition("\n")
            machine.say(f"{row.name} took {time.monotonic() - start:.0f} s. {first}")
            if more and given.only:
                print(more, file=sys.stderr)
            print(table.line(row.name, row.unit, row.reach, figure), flush=True)
            measured.append((row.name, row.unit, row.reach, figure))
            if given.json:
                given.json.write_text(json.dumps(table.as_json(measured), indent=2) + "\n", encoding="utf-8")
    return int(not complete or any(table.passed(reach, figure) is False for _, _, reach, figure in measured))


if __name__ == "__main__":
    sys.exit(main())
