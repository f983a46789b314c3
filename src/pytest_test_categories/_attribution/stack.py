"""Reads the stack of an attempt: the user's line, the client library, the import, the awaiting task.

The stack of a refused attempt is read once. Whether a file belongs to the project, a library or the interpreter is
determined once for each file.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pytest_test_categories._attribution import tasks
from pytest_test_categories._host.imports import import_late
from pytest_test_categories._host.system import System
from pytest_test_categories._rules.advice import CURES
from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType, ModuleType

    from pytest_test_categories._attribution import client_requests

_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_STDLIB: Final = tuple(
    {
        # Where os.py is, and where a distribution keeps the compiled modules. Importing sysconfig would slow start-up.
        path + os.sep
        for where in (
            os.path.dirname(os.__file__),
            os.path.join(sys.base_exec_prefix, sys.platlibdir, _VERSION),
        )
        for path in (where, os.path.realpath(where))
    }
)
_LAYERS: Final = frozenset(f"{__name__.partition('.')[0]}{name}" for name in ("", "._watch", "._watch.clients"))
"""The packages that the innermost frames of an attempt belong to."""
_SITE: Final = f"{os.sep}site-packages{os.sep}"
_DIST: Final = f"{os.sep}dist-packages{os.sep}"


Aside: TypeAlias = "Callable[[FrameType, FrameType | None], bool]"


class _State:
    """All mutable state of this file.

    Attributes:
        files: By file, whether it belongs to the project.
        owners: By file, what it belongs to: the project, a client library, or something else.
        aside: By function name, checks that receive the function's frame and the frame that it called. They return
            whether attempts below are exempt, such as the runner's own traffic or those of the pure-Python
            ``socketpair``. It also names the functions that tell of an import: a stack is long, and of most of its
            frames ``read`` needs to know only that their names are not here.
        changes: How often the checks have changed.
    """

    def __init__(self) -> None:
        self.files: dict[str, bool] = {}
        self.owners: dict[str, int] = {}
        self.aside: dict[str, list[Aside]] = {"<module>": [], "_load_unlocked": []}
        self.changes = 0


state: Final = _State()


def is_project_file(filename: str) -> bool:
    """Tell whether a file belongs to the project, and not to this package, the interpreter or an installed library."""
    known = state.files.get(filename)
    if known is None:
        if len(state.files) > 20_000:  # noqa: PLR2004 - generated sources (doctests, exec) must not grow this for ever
            state.files.clear()
        known = state.files[filename] = filename.startswith("<doctest ") or not (
            filename.startswith(("<", _PACKAGE, *_STDLIB))
            or _SITE in filename
            or _DIST in filename
            or _is_script(filename)
        )
    return known


def _is_script(filename: str) -> bool:
    """Tell whether a file is an installed command, such as ``bin/pytest``."""
    directory, name = os.path.split(System.absolute(filename))
    if name == "__main__.py" and directory.lower().endswith(".exe"):  # on Windows, a program that contains a zip file
        return True
    return directory == os.path.dirname(sys.executable) or name in {"pytest", "py.test"}


Made: TypeAlias = "tuple[CodeType, int]"
"""The line that created a task, a thread or a job. It does not keep the frame alive."""


def line_of_caller(frame: FrameType | None) -> Made | None:
    """Return the innermost line of the project's own code within the running step of an event loop, or None."""
    edge = None
    if "uvloop" in sys.modules and (task := tasks.current()) is not None:  # its steps have no Python frame
        edge = getattr(_coroutine_of(task), "cr_frame", None)
    while frame is not None:
        code = frame.f_code
        filename = code.co_filename
        known = state.files.get(filename)  # this runs for each task, so avoid a call where possible
        if known or (known is None and is_project_file(filename)):
            return code, frame.f_lineno
        if frame is edge or (code.co_name in _STEPS and code.co_qualname in _STEPS.values()):
            return None
        frame = frame.f_back
    return None


class Place(NamedTuple):
    """A line of code."""

    filename: str
    line: int
    function: str

    def text(self, root: str) -> str:
        """Return ``path:line``, the path relative to ``root`` if it is below it."""
        return f"{relative(self.filename, root)}:{self.line}"


def relative(filename: str, root: str) -> str:
    """Return a path with forward slashes, relative to ``root`` if it is below it."""
    if root and filename.startswith(root + os.sep):
        filename = filename[len(root) + 1 :]
    return filename.replace(os.sep, "/")


class Trace(NamedTuple):
    """The facts read from the stack of an attempt.

    Attributes:
        at: Innermost line of the project's own code; None if there is none.
        test: Innermost line in the test's own file, or in the conftest being imported; None if it is the same as
            ``at``.
        library: Top-level module of the outermost known client library below the project's code.
        cassette: Whether VCR.py is on the stack.
        importing: Name of the module being imported around the attempt; empty if none.
        aside: Whether the attempt is exempt: the test runner's own traffic, or that of an exempt function.
        self_test: Whether an installed library makes the attempt while it is being imported.
        request: The request that the client was about to send, if requested.
        replace: What a fake can replace so that the call isn't made, if requested.
    """

    at: Place | None = None
    test: Place | None = None
    library: str = ""
    cassette: bool = False
    importing: str = ""
    aside: bool = False
    self_test: bool = False
    request: str = ""
    replace: str = ""


class Outside:
    """What was read outside of the frame by which a test runner calls a phase of a test.

    Reading a frame's code raises an audit event, and most frames of a stack are the runner's. Those outside of a frame
    stay as they are until it ends, and so does what they say. The frame is held, so that no other one can be taken for
    it: only while the phase runs, or the frame would keep what a failed test has left.

    Attributes:
        frame: The frame; None before the first reading.
        changes: How often the checks for exempt attempts had changed by then: none of them applies outside.
        importing: As in ``Trace``.
        conftest: The innermost line of a conftest that is being imported there.
    """

    __slots__ = ("changes", "conftest", "frame", "importing")

    def __init__(self) -> None:
        self.frame: FrameType | None = None
        self.changes = 0
        self.importing = ""
        self.conftest: Place | None = None

    def note(self, frame: FrameType, importing: str, conftest: Place | None) -> None:
        """Remember what was read outside of a frame."""
        self.frame, self.changes, self.importing, self.conftest = frame, state.changes, importing, conftest

    def is_of(self, frame: FrameType) -> bool:
        """Return whether this is what was read outside of a frame."""
        return frame is self.frame and self.changes == state.changes


def set_aside(name: str, aside: Aside) -> None:
    """Add a check for functions of a name: it decides whether attempts below their frames are exempt."""
    state.aside.setdefault(name, []).append(aside)
    state.changes += 1


def unset_aside(name: str, aside: Aside) -> None:
    """Remove a check that ``set_aside`` added."""
    state.aside[name].remove(aside)
    state.changes += 1


identity: Final = object.__hash__
"""An object's identity like ``id``, without the audit event that ``id`` raises: our own hook would receive each one."""

_CONFTEST: Final = f"{os.sep}conftest.py"
_IMPORT_CODE: Final = "<frozen importlib._bootstrap>"
_SHARED: Final = "<string>"
"""The file name of generated code, whichever module generates it."""

_OTHER, _CLIENT, _OWN = range(3)
"""What a file belongs to: something irrelevant here, a client library, the project."""


def _whose(frame: FrameType) -> int:
    """Return what the file of a frame's code belongs to, and remember it."""
    filename = frame.f_code.co_filename
    whose = _OWN if is_project_file(filename) else _CLIENT if _library_of(frame) else _OTHER
    if filename != _SHARED:
        if len(state.owners) > 20_000:  # noqa: PLR2004 - as above
            state.owners.clear()
        state.owners[filename] = whose
    return whose


def read(
    frame: FrameType | None,
    test_file: str = "",
    task: Any = None,
    made: Callable[[], Made | None] | None = None,
    *,
    requests: bool = False,
    outside: Outside | None = None,
) -> Trace:
    """Read the stack outwards from ``frame``.

    Args:
        frame: Innermost frame to look at.
        test_file: File of the running test; counts as the project's own wherever it is.
        task: The asyncio or trio task that runs here, or that waits for this job of an executor's thread. Where the
            stack ends at it, the frames of the tasks that wait for it are read next.
        made: Returns the line that created this task, thread or job. It is used if no frame of the task itself is the
            project's; for other work, if no frame of the waiting tasks is, either.
        requests: Whether to read the client's request, too.
        outside: What has been read before in this phase.
    """
    if "greenlet" in sys.modules:  # whose switches change what is outside of a frame
        outside = None
    found = _Reading(test_file, requests=requests)
    edge = None if task is None else _edge_of(task)
    importing = module = ""
    conftest = None
    self_test = settled = False
    installed_test = bool(test_file) and not is_project_file(test_file)
    called = begun = None
    special = state.aside
    while frame is not None and frame.f_globals.get("__package__") in _LAYERS:  # no audit event, unlike its code
        called, frame = frame, frame.f_back
    while frame is not None:
        code = frame.f_code
        if code.co_name in special:
            name, filename = code.co_name, code.co_filename
            for aside in special[name]:
                if aside(frame, called):
                    return Trace(aside=True)
            if begun is None and settled and outside is not None and special[name] and task is None:
                if outside.is_of(frame) and not (importing or module or conftest):
                    importing, conftest = outside.importing, outside.conftest
                    break
                begun = None if importing or module or conftest else frame
            if name == "_load_unlocked" and filename == _IMPORT_CODE and not importing and module:
                importing = module
                self_test = found.at is None
            elif name == "<module>":
                module = frame.f_globals.get("__name__") or ""
                if filename.endswith(_CONFTEST):  # the outermost counts: it is the one that pytest imports
                    conftest = _place(frame, filename, None)
        if not settled:
            filename = code.co_filename
            whose = state.owners.get(filename)
            if whose is None:
                whose = _whose(frame)
            if whose or (installed_test and filename == test_file):
                settled = found.take(frame, filename)
        if frame is edge:
            found.take_waiting(task, made)
            settled = settled or found.settled
            task = made = None
        called, frame = frame, frame.f_back
    if begun is not None and outside is not None:
        outside.note(begun, importing, conftest)
    if task is not None:
        for suspended in _frames_of(task):
            found.take(suspended, suspended.f_code.co_filename)
        found.take_waiting(task, made)
    if found.at is None:
        found.take_made(made)
    at, test = found.at, found.test or conftest
    return Trace(
        at,
        None if test == at else test,
        found.library,
        found.cassette,
        importing,
        self_test=self_test,
        request="" if found.requests is None else found.requests.request_in(found.clients),
        replace="" if found.requests is None else found.requests.replaced_in(found.own, found.clients, test_file),
    )


@functools.cache
def _client_requests() -> ModuleType:
    """Import the reader of clients' requests, at the first violation: most runs have none."""
    return import_late("_attribution.client_requests")


class _Reading:
    """The facts found in the frames read so far, from the innermost outwards."""

    __slots__ = ("at", "cassette", "clients", "library", "own", "requests", "test", "test_file")

    def __init__(self, test_file: str, *, requests: bool = False) -> None:
        self.test_file = test_file
        self.at: Place | None = None
        self.test: Place | None = None
        self.library = ""
        self.cassette = False
        self.requests: Any = None
        if requests:
            with contextlib.suppress(Exception):  # no descriptor is left, or a test has replaced what imports need
                self.requests = _client_requests()
        self.own: list[FrameType] = []
        self.clients: client_requests.Clients = {}

    def take(self, frame: FrameType, filename: str, line: int | None = None) -> bool:
        """Read the next frame outwards; True if frames further out have nothing to add."""
        if filename == self.test_file or is_project_file(filename):
            if self.requests is not None:
                self.own.append(frame)
            place = None
            if self.at is None:
                self.at = place = _place(frame, filename, line)
            if self.test is None and filename == self.test_file:
                self.test = place or _place(frame, filename, line)
        elif self.at is None:
            known = _library_of(frame)
            if known == "vcr":
                self.cassette = True
            elif known:
                self.library = known
                if self.requests is not None:
                    self.requests.note(frame, self.clients)
        return self.settled

    @property
    def settled(self) -> bool:
        """Whether frames further out have nothing to add."""
        return self.at is not None and (self.test is not None or not self.test_file)

    def take_made(self, made: Callable[[], Made | None] | None) -> None:
        """Use the line that created the work instead."""
        line_of_maker = None if made is None else made()
        if line_of_maker is None:
            return
        code, line = line_of_maker
        self.at = Place(code.co_filename, line, code.co_name)
        if code.co_filename == self.test_file:
            self.test = self.at

    def take_waiting(self, task: Any, made: Callable[[], Made | None] | None) -> None:
        """Read the suspended tasks that wait for a task that has been read, the nearest first.

        If no frame of the task itself is the project's, the line that created it says more than the line that waits
        for its group, and is used as ``at``.
        """
        has_own = self.at is not None
        for link in _awaiters(task):
            if self.settled:
                break
            if link is not task:
                for frame in _frames_of(link):
                    self.take(frame, frame.f_code.co_filename)
        if not has_own:
            self.take_made(made)


def other_threads_stand_still() -> bool:
    """Tell whether other threads pause while this one reads their frames, as the interpreter lock makes them do."""
    return not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled()


def _library_of(frame: FrameType) -> str:
    """Return the client library of a frame, as ``CURES`` names it; ``vcr`` for VCR.py; otherwise an empty text."""
    name = frame.f_globals.get("__name__") or ""  # in exec'd code it may be None
    top = name.partition(".")[0]
    if top in CURES or top == "vcr":
        return str(top)
    return str(name) if name in CURES else ""


def _place(frame: FrameType, filename: str, line: int | None) -> Place:
    code = frame.f_code
    return Place(filename, line or frame.f_lineno or code.co_firstlineno, code.co_name)


def _coroutine_of(task: Any) -> Any:
    return task.get_coro() if hasattr(task, "get_coro") else task.coro  # asyncio's, trio's


_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE


def _edge_of(task: Any) -> FrameType | None:
    """Return the outermost frame of the step that runs a task; for an eager task, one of the task that started it."""
    edge = frame = getattr(_coroutine_of(task), "cr_frame", None)
    while frame is not None and (frame := frame.f_back) is not None:
        if frame.f_code.co_qualname in _STEPS.values():
            break
        if frame.f_code.co_flags & _COROUTINE:
            edge = frame
    return edge


def _frames_of(task: Any) -> list[FrameType]:
    """Return a task's frames, innermost first."""
    step = _coroutine_of(task)
    if getattr(step, "cr_running", False):
        # The job may run before the task waits for it: then the task's frames are on the stack of its own thread.
        edge = step.cr_frame
        for innermost in sys._current_frames().values():
            running = list(_stack_of_step(innermost))
            if edge in running:
                return running
    suspended: list[FrameType] = []
    while len(suspended) < 200:  # noqa: PLR2004 - a bound, not a meaning
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None) or getattr(step, "ag_frame", None)
        if frame is None:
            break
        suspended.append(frame)
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None) or getattr(step, "ag_await", None)
        if type(step).__name__ == "coroutine_wrapper":  # the result of a coroutine's __await__ has no frame attribute
            step = next(iter(gc.get_referents(step)), None)
    return suspended[::-1]


def _stack_of_step(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of the step that an event loop runs in a thread; after an eager task's, those of its creator."""
    while frame is not None and frame.f_code.co_qualname not in _STEPS.values():
        yield frame
        frame = frame.f_back


_STEPS: Final = {"_run": "Handle._run", "unrolled_run": "unrolled_run"}
"""The functions of asyncio and trio that run a step, by name."""


def _awaiters(task: Any) -> Iterator[Any]:
    """Yield a task, the tasks that wait for it, those that wait for them, and so on: the nearest first."""
    seen: set[int] = set()
    pending = [task]
    for future in pending:
        if id(future) in seen:
            continue
        seen.add(id(future))
        nursery = getattr(future, "parent_nursery", None)
        if nursery is not None or hasattr(future, "get_coro"):  # a task
            yield future
        if len(seen) > 64:  # noqa: PLR2004 - a bound, not a meaning
            return
        if nursery is not None:
            pending.append(nursery.parent_task)
        for callback, _context in getattr(future, "_callbacks", None) or ():
            pending += (waiting for held in _held_by(callback) for waiting in _futures_in(held))


def _held_by(callback: Any) -> Iterator[object]:
    """Yield the objects that a future's callback refers to: ``shield``, ``gather`` and ``wait`` complete futures so."""
    yield getattr(callback, "__self__", None)  # a task's wake-up is a method of the task
    if isinstance(callback, functools.partial):  # wait_for before 3.12
        yield from callback.args
    for cell in getattr(callback, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue


def _futures_in(held: Any) -> Iterator[Any]:
    """Yield the futures that an object is or has, such as a task group's parent, or waiters at a queue of results."""
    kind = type(held)  # look at the type only: a proxy object may return anything for any attribute
    if hasattr(kind, "_asyncio_future_blocking"):
        yield held
    elif kind.__module__.startswith(("asyncio.", "anyio.")):
        # A task group's parent: in asyncio; in anyio, where it may not be waiting for its group yet; and if it is.
        host = getattr(getattr(held, "cancel_scope", None), "_host_task", None)
        groups = (getattr(held, "_parent_task", None), host, getattr(held, "_on_completed_fut", None))
        yield from (waiting for waiting in groups if waiting is not None)
        for queue in (held, getattr(held, "_done", None)):  # as_completed, up to 3.12 and from 3.13 on
            yield from getattr(queue, "_getters", ())


def read_exception(error: BaseException, test_file: str = "") -> Trace:
    """Read the frames of an exception's traceback, as ``read`` does with a stack."""
    found = _Reading(test_file)
    steps = []
    step = error.__traceback__
    while step is not None:
        steps.append(step)
        step = step.tb_next
    for step in reversed(steps):
        found.take(step.tb_frame, step.tb_frame.f_code.co_filename, step.tb_lineno)
    return Trace(found.at, None if found.test == found.at else found.test, found.library, found.cassette)
