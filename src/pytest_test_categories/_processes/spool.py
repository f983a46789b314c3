"""Child processes that were not forked: the guards they receive, their reports, and which of them are unwatched."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._attribution.origin import charge
from pytest_test_categories._host.system import System
from pytest_test_categories._host.unix_sockets import our_family
from pytest_test_categories._ledger.records import NOWHERE
from pytest_test_categories._processes.child.pytest_test_categories_child import (
    REPORTS,
    Handed,
    append,
    append_to,
    is_this_interpreter,
    new_ident,
    program_name,
)
from pytest_test_categories._processes.forked import ChildReport, Strides, report_line
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import Attempt
from pytest_test_categories._rules.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._ledger.records import Place
    from pytest_test_categories._ledger.runs import Run

SUBINTERPRETER: Final = "subinterpreter"
"""The name of a subinterpreter of this process in the list of unwatched programs."""

_PENDING: Final = 5000  # starts that are remembered until their child reports; older ones are counted as unwatched
_NAMES: Final = 50
_OTHERS: Final = "other programs"
_READ: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_LONGEST: Final = 16_000  # Linux allows 128 KiB for one variable, Windows 32 KiB for all of them together

_ATTEMPTS, _PAUSE = 10, 0.02  # how often to try to remove the directory, and the seconds between two attempts
_PATIENCE: Final = 0.5  # seconds to wait at the end for a Python that has just been started


class _Start(NamedTuple):
    """A start of a program whose child process has not yet reported that it is watched.

    Attributes:
        run: The run that it is counted in.
        test: The test that started it.
        program: Its name.
        files: The program's possible files, as they were given.
        serial: Serial number of the guard that it was started under.
        place: The line that started it, from the ledger; None if the test runner started it.
        blind: Whether it has reported that it can't load the layers.
    """

    run: Run
    test: str
    program: str
    files: Sequence[Any]
    serial: int = 0
    place: Place | None = NOWHERE
    blind: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is this interpreter, which reports unless it is killed before it starts."""
        if self.blind or " -" in self.program or sys.implementation.name != "cpython":
            return False
        return is_this_interpreter(_absolute(self.files))

    @property
    def failed(self) -> bool:
        """Whether nothing was started, since none of the files exists."""
        try:
            return not any(System.access(file, os.F_OK) for file in self.files) and bool(_absolute(self.files))
        except (TypeError, ValueError):  # not a path
            return False


class Unwatched:
    """Counts the starts of programs that no layer watches."""

    def __init__(self) -> None:
        self.count = 0
        self.tests: dict[str, dict[str, int]] = {}
        self.programs: dict[str, int] = {}

    def add(self, start: _Start) -> None:
        """Count a start."""
        name = start.program
        if name not in self.programs and len(self.programs) >= _NAMES:
            name = _OTHERS
        self.count += 1
        of_test = self.tests.setdefault(start.test, {})
        of_test[name] = of_test.get(name, 0) + 1
        self.programs[name] = self.programs.get(name, 0) + 1

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-safe values."""
        return {
            "count": self.count,
            "tests": len(self.tests),
            "programs": dict(self.programs),
            "by_test": {test: dict(programs) for test, programs in self.tests.items()},
        }


class Spawned:
    """The private directory that child processes write reports into, one line each, and the reader of these reports.

    The directory is created when a program is first started under a guard, here or in a forked child process.

    Args:
        companions: Returns the directory of wrapt, and the modules whose import loads the layers.

    Attributes:
        scopes: The guards that child processes may report to, by serial number.
        expecting: The serial numbers of those that only expect violations.
        offers_fakes: Returns whether the requests of refused clients are read, in child processes, too.
    """

    def __init__(self, companions: Callable[[], tuple[str, str]]) -> None:
        self._companions = companions
        self._lock = threading.RLock()  # a forked child process needs a new one
        self._home = ""
        self._made = False
        self._owner = 0
        self._files: dict[str, tuple[int, bytes]] = {}  # by name: descriptor, and an unfinished line
        self._handed_last: tuple[object, tuple[str, str, str, int, str] | None] = (None, None)
        self._pending: dict[str, _Start] = {}
        self._fresh: list[str] = []
        self._heard: set[str] = set()
        self._unwatched: weakref.WeakKeyDictionary[Run, Unwatched] = weakref.WeakKeyDictionary()
        self._sent = Strides()
        self._told: dict[tuple[object, ...], Callable[[int], None]] = {}
        self.scopes: weakref.WeakValueDictionary[int, Scope] = weakref.WeakValueDictionary()
        self.expecting: set[int] = set()
        self.offers_fakes: Callable[[], bool] = lambda: True

    # -- the directory -------------------------------------------------------------------------------------------------

    def expect_fork(self) -> None:
        """Choose the path of the directory: a forked child process may have to create it."""
        if self._home:
            return
        import tempfile

        with self._lock:
            if not self._home:
                self._owner = os.getpid()
                name = f"pytest-test-categories-{self._owner:x}-{os.urandom(16).hex()}"
                self._home = os.path.join(System.absolute(tempfile.gettempdir()), name)
                atexit.register(self.close)
                our_family.share(os.path.join(self._home, "sockets"), self._keep_bound)

    def _make(self) -> None:
        self.expect_fork()
        if self._made:
            return
        with self._lock, contextlib.suppress(OSError):
            # A forked child process may have created it. If it can't be created, child processes can't report.
            System.mkdir(self._home, 0o700)
        self._made = True

    def keep(self, line: bytes) -> None:
        """Write the line of a forked child process that can't use the pipe to its parent."""
        self._make()
        append(self._home, line)

    def _keep_bound(self, line: bytes) -> None:
        self._make()
        append_to(our_family.told, line)

    def close(self) -> None:
        """Remove the directory, when no guard is active any more."""
        if self._owner != os.getpid():
            return
        with self._lock:
            files, self._files = self._files, {}
        for file, _ in files.values():
            with contextlib.suppress(OSError):  # a program may close all descriptors that it finds
                System.close(file)
        home, self._home, self._made, self._owner = self._home, "", False, 0
        self._pending.clear()
        self._fresh.clear()
        self._heard.clear()
        atexit.unregister(self.close)
        our_family.told, our_family.tell = "", None
        _remove(home)

    # -- guards for child processes ------------------------------------------------------------------------------------

    def hand_down(
        self,
        argv: Sequence[Any],
        files: Sequence[Any],
        root: str,
        run: Run | None,
        *,
        count: bool,
        place: Place | None = NOWHERE,
    ) -> str | None:
        """Return the guards for a program that is started here and now, as text; None if no guard applies to it.

        Args:
            argv: Its command line.
            files: Its possible files.
            root: Directory that paths in reports are relative to.
            run: The run that the start is counted in.
            count: Whether to count the start if no layer watches it.
            place: The line that starts it, if it is needed.
        """
        found = self._handed(root)
        if found is None:
            return None
        before, after, home, serial, test = found
        ident = new_ident()
        if count:
            self._note(ident, home, serial, test, run, argv, files, place)
        return before + ident + after

    def note_interpreter(self, root: str, run: Run | None, place: Place | None = NOWHERE) -> None:
        """Count a subinterpreter of this process as an unwatched program."""
        if (found := self._handed(root)) is not None:
            self._note(new_ident(), *found[2:], run, [SUBINTERPRETER], (), place)

    def hand_to_job(self, root: str) -> str:
        """Return the guards for a job of a process pool, as text; empty if no guard applies to it.

        Args:
            root: Directory that paths in reports are relative to.
        """
        found = self._handed(root)
        return "" if found is None else found[0] + found[1]

    def _handed(self, root: str) -> tuple[str, str, str, int, str] | None:
        """Return the two halves of the value for a child, and what a start is counted for: home, guard and test."""
        charged = charge()
        if charged is None:
            return None
        key = ([scope.serial for scope in charged.scopes], charged.late, charged.unattributed, root, self._home)
        if self._handed_last[0] == key:
            return self._handed_last[1]
        observed = any(scope.kind.observes for scope in charged.scopes)
        scopes = [scope for scope in charged.scopes if scope.kind.expects or observed or _restricts(scope)]
        if all(scope.policy is None for scope in scopes):
            return None
        if any(scope.home is None for scope in scopes):
            self._make()
        late = charged.late
        if charged.unattributed:
            late = late or "by a child process of a thread that no test is known to have started"
        # Starts are reported to the outermost process, since its summary is the one that users read.
        home, serial = next(
            (scope.home for scope in reversed(scopes) if scope.home is not None),
            (self._home, next(scope for scope in scopes if scope.policy is not None).serial),
        )
        policy = self._policy_text(scopes, late, root)
        before, after = Handed(home, str(serial), "", *self._companions(), policy).halves()
        for scope in scopes:
            if scope.home is None:
                self.scopes[scope.serial] = scope
                if scope.policy is None:
                    self.expecting.add(scope.serial)
        found = before, after, home, serial, charged.scopes[0].test
        self._handed_last = ((*key[:-1], self._home), found)
        return found

    def _policy_text(self, scopes: list[Scope], late: str, root: str) -> str:
        policies: list[list[object]] = []
        listed: list[list[object]] = []
        for scope in scopes:
            index = -1
            if scope.policy is not None:
                policy = scope.policy.to_data()
                index = policies.index(policy) if policy in policies else len(policies)
                policies[index:] = [policy]
            home, serial = scope.home or (self._home, scope.serial)
            facts = [scope.test, scope.fixture, scope.held_by, scope.test_size, scope.where, str(scope.file)]
            listed.append([home, serial, scope.kind, index, *facts])
        handed = {
            "root": root,
            "late": late,
            "policies": policies,
            "scopes": listed,
            "root_process": our_family.root,
            "inherited": sorted(our_family.inherited),
            "bound": our_family.told,
            "fakes": self.offers_fakes(),
        }
        text = json.dumps(handed)
        return text if len(text) < _LONGEST else self._policy_file(text)

    def _policy_file(self, text: str) -> str:
        """Write a policy that is too long for a variable into a file, and return a reference to the file."""
        self._make()
        path = os.path.join(self._home, f"policy.{new_ident()}")
        try:
            file = System.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return text
        try:
            System.write(file, text.encode())
        finally:
            System.close(file)
        return f"@{path}"

    # -- receiving reports ---------------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether anything was started that may report."""
        return bool(self._home)

    def receive(self) -> list[ChildReport]:
        """Return what child processes have reported since the last call."""
        if not self._home or self._owner != os.getpid():
            return []
        with self._lock:
            found = [report for line in self._lines() if (report := self._read(line)) is not None]
            if self._fresh:
                self._forget_failed_starts()
            return found

    def _lines(self) -> Iterable[bytes]:
        names: Iterable[str] = (REPORTS,)
        if os.name == "nt":
            try:
                names = [name for name in System.listdir(self._home) if name.startswith(REPORTS)]
            except OSError:
                return
        for name in names:
            if name not in self._files:
                path = os.path.join(self._home, name)
                if not System.access(path, os.F_OK):  # the usual case, which would cost an exception
                    continue
                try:
                    self._files[name] = (System.open(path, _READ), b"")
                except OSError:
                    continue
            file, rest = self._files[name]
            while chunk := System.read(file, 1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            self._files[name] = (file, rest)

    def _read(self, line: bytes) -> ChildReport | None:
        if not line:
            return None
        try:
            first, *facts = json.loads(line)
            if first == "here":
                self._hear(str(facts[0]))
                return None
            if first == "blind":
                self._note_blind(str(facts[0]))
                return None
            if first == "spawn":
                self._take_start(*facts)
                return None
            late, expected, times, data, attempt = facts
            judged = Attempt.from_data(attempt) if attempt else None
            return ChildReport(int(first), bool(late), bool(expected), int(times), Violation.from_dict(data), judged)
        except (ValueError, TypeError, LookupError):  # its writer was killed, or does not belong to this package
            return None

    # -- unwatched programs --------------------------------------------------------------------------------------------

    def _note(
        self,
        ident: str,
        home: str,
        serial: int,
        test: str,
        run: Run | None,
        argv: Sequence[Any],
        files: Sequence[Any],
        place: Place | None,
    ) -> None:
        program = program_name(argv, files)
        if home != self._home or self._owner != os.getpid():
            append(home, json.dumps(["spawn", ident, serial, program]).encode())
        elif run is not None:
            self._keep(ident, _Start(run, test, program, tuple(files), int(serial), place))

    def _keep(self, ident: str, start: _Start) -> None:
        with self._lock:
            self._pending[ident] = start
            self._fresh.append(ident)
            if len(self._pending) > _PENDING:
                self._count(list(self._pending)[: _PENDING // 2])

    def _take_start(self, ident: str, serial: int, program: str) -> None:
        scope = self.scopes.get(serial)
        run = self._run()
        if ident in self._heard:
            self._heard.discard(ident)
        elif run is not None:
            self._keep(ident, _Start(run, "" if scope is None else scope.test, program, (), serial))

    def _run(self) -> Run | None:
        from pytest_test_categories._ledger.runs import runs

        return next((run for run in reversed(runs) if run is not None), None)

    def _hear(self, ident: str) -> None:
        if self._pending.pop(ident, None) is None and len(self._heard) < _PENDING:
            self._heard.add(ident)  # on Windows the start may be in a file that is read later

    def _note_blind(self, ident: str) -> None:
        start = self._pending.get(ident)
        if start is not None:
            self._pending[ident] = start._replace(blind=True)

    def _forget_failed_starts(self) -> None:
        for ident in self._fresh:
            start = self._pending.get(ident)
            if start is not None and start.failed:
                del self._pending[ident]
        self._fresh.clear()

    def _count(self, idents: Iterable[str]) -> None:
        for ident in idents:
            start = self._pending.pop(ident)
            if start.is_ours:  # killed before it started: otherwise it would have reported, watched or not
                continue
            self._unwatched.setdefault(start.run, Unwatched()).add(start)

    def unwatched(self, run: Run, collect: Callable[[], None]) -> dict[str, Any]:
        """Return the number and names of the programs that a run's tests started and no layer watches; JSON-safe.

        Args:
            run: The run.
            collect: Reads what child processes have reported.
        """
        if not self.started:
            return {}
        end = time.monotonic() + _PATIENCE
        while self._of(run, only_ours=True) and time.monotonic() < end:
            System.sleep(0.01)
            collect()
        with self._lock:
            self._count(self._of(run))
        found = self._unwatched.get(run)
        return Unwatched().to_dict() if found is None else found.to_dict()

    def take_unwatched(self, run: Run, serial: int | None) -> list[tuple[str, str, Place]]:
        """Count the unwatched programs of a guard that ends, and return the test, name and line of each.

        A program that has not reported by then that it is watched counts as unwatched.

        Args:
            run: The run that they are counted in.
            serial: Serial number of the guard; None for all programs that are left.
        """
        with self._lock:
            idents = [
                ident
                for ident, start in self._pending.items()
                if start.run is run and not start.is_ours and (serial is None or start.serial == serial)
            ]
            found = [self._pending[ident] for ident in idents]
            self._count(idents)
        return [(start.test, start.program, start.place) for start in found if start.place is not None]

    def _of(self, run: Run, *, only_ours: bool = False) -> list[str]:
        with self._lock:
            return [
                ident for ident, start in self._pending.items() if start.run is run and (start.is_ours or not only_ours)
            ]

    # -- sending reports -----------------------------------------------------------------------------------------------

    def send(
        self, home: tuple[str, int], violation: Violation, attempt: Attempt | None, *, late: bool, expected: bool
    ) -> None:
        """Report a violation to another process; repeated ones in ever larger groups, and the rest at the end."""
        key = (home, violation.key)
        count = self._sent.step(key)

        def tell(count: int) -> None:
            data = [] if attempt is None else attempt.to_data()
            append(home[0], report_line([home[1], late, expected, count], violation, data))

        if count:
            tell(count)
        else:
            with self._lock:
                self._told.setdefault(key, tell)
                if len(self._told) == 1:
                    atexit.unregister(self.tell_rest)
                    atexit.register(self.tell_rest)

    def take_back(self, home: tuple[str, int], violation: Violation, times: int) -> None:
        """Report to another process how many of the reported attempts were expected."""
        append(home[0], report_line([home[1], False, True, -times], violation, []))

    def tell_rest(self) -> None:
        """Report what was counted but not yet sent, at the end of the process or of a pool's job."""
        if not self._told:
            return
        with self._lock:
            told, self._told = self._told, {}
            atexit.unregister(self.tell_rest)
        for key, tell in told.items():
            if rest := self._sent.rest(key):
                tell(rest)

    def after_fork_in_child(self) -> None:
        """Forget what was counted: the parent reports it."""
        self._lock = threading.RLock()
        self._sent.clear()
        self._told.clear()
        self._pending.clear()
        self._fresh.clear()


def _remove(directory: str) -> None:
    """Remove a directory of files; silently leave what can't be removed.

    A child process may be writing to it, and Windows does not remove a file that a process has open.
    """
    for _ in range(_ATTEMPTS):
        try:
            left = System.listdir(directory)
        except OSError:  # it is gone, or was never created
            return
        for entry in left:
            with contextlib.suppress(OSError):
                System.unlink(os.path.join(directory, entry))
        with contextlib.suppress(OSError):
            System.rmdir(directory)
            return
        System.sleep(_PAUSE)


def _restricts(scope: Scope) -> bool:
    return scope.policy is not None and scope.policy.restricts


def _absolute(files: Sequence[Any]) -> list[str]:
    """Return the files if all paths are absolute; otherwise none, since the child may start in another directory."""
    try:
        named = [os.fsdecode(file) for file in files]
    except TypeError:  # a descriptor
        return []
    return named if all(map(os.path.isabs, named)) else []
