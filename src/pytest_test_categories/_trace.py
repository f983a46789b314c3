"""Which line did it: the user's frame, the client library, the import, the awaiting task.

Reads the stack of a refused attempt once. What a file is (the project's, a library's, the interpreter's) is worked
out once for each code object's file.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_test_categories._errors import CURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

_PACKAGE: Final = os.path.dirname(__file__) + os.sep
_STDLIB: Final = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")}
    | {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")}
)
_SITE: Final = tuple(
    {
        path.rstrip(os.sep) + os.sep
        for path in [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()]
    }
)
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_files: dict[str, bool] = {}


def is_project_file(filename: str) -> bool:
    """Tell whether a file is the project's own: not ours, not the interpreter's, not an installed library's."""
    known = _files.get(filename)
    if known is None:
        if len(_files) > 20_000:  # noqa: PLR2004 - generated sources (doctests, exec) must not grow this for ever
            _files.clear()
        known = _files[filename] = not (
            filename.startswith(("<", _PACKAGE, *_STDLIB, *_SITE)) or any(part in filename for part in _INSTALLED)
        )
    return known


class Place(NamedTuple):
    """A line of code."""

    filename: str
    line: int
    function: str

    def text(self, root: str) -> str:
        """Return ``path:line``, the path relative to ``root`` where it lies below it."""
        return f"{relative(self.filename, root)}:{self.line}"


def relative(filename: str, root: str) -> str:
    """Return a path as seen from ``root``, with forward slashes, if it lies below it."""
    if root and filename.startswith(root + os.sep):
        filename = filename[len(root) + 1 :]
    return filename.replace(os.sep, "/")


class Trace(NamedTuple):
    """What the stack of an attempt tells.

    Attributes:
        at: Innermost line of the project's own code; None if there is none.
        test: Innermost line in the test's own file, if that is another one.
        library: Top-level module of the outermost known client library below the project's code.
        cassette: Whether VCR.py is on the stack.
        importing: Name of the module being imported around the attempt; empty if none.
        aside: Whether the attempt is the runner's own traffic or an exempt function's.
        self_test: Whether an installed library does it while it is imported itself.
    """

    at: Place | None = None
    test: Place | None = None
    library: str = ""
    cassette: bool = False
    importing: str = ""
    aside: bool = False
    self_test: bool = False


exempt_codes: set[CodeType] = set()
"""Code whose network calls are nobody's attempt, such as the pure-Python ``socketpair``."""

stands_aside: list[Callable[[FrameType], bool]] = []
"""Asked about each frame: does everything below it belong to the test runner?"""

_IMPORT_CODE: Final = "<frozen importlib._bootstrap>"


def read(frame: FrameType | None, test_file: str = "", awaiting: Any = None) -> Trace:
    """Read the stack outwards from ``frame``.

    Args:
        frame: Innermost frame to look at.
        test_file: File of the running test.
        awaiting: The asyncio task that waits for this work, if it runs in an executor's thread.
    """
    at = test = None
    library = importing = module = ""
    cassette = self_test = False
    while frame is not None:
        code = frame.f_code
        filename = code.co_filename
        if code in exempt_codes or (stands_aside and any(aside(frame) for aside in stands_aside)):
            return Trace(aside=True)
        if filename == _IMPORT_CODE:
            if not importing and code.co_name == "_load_unlocked" and module:
                importing = module
                self_test = at is None
        elif is_project_file(filename):
            place = (frame, filename)
            at = at or _place(*place)
            if test is None and filename == test_file:
                test = _place(*place)
        elif at is None:
            known = _library_of(frame)
            if known == "vcr":
                cassette = True
            elif known:
                library = known
        if code.co_name == "<module>":
            module = frame.f_globals.get("__name__", "")
        frame = frame.f_back
    if at is None and awaiting is not None:
        at, library = _read_task(awaiting, library)
    return Trace(at, None if test == at else test, library, cassette, importing, self_test=self_test)


def _library_of(frame: FrameType) -> str:
    """Return the client library that a frame belongs to, as ``CURES`` names it; ``vcr`` for VCR.py; else nothing."""
    name = frame.f_globals.get("__name__", "")
    top = name.partition(".")[0]
    if top in CURES or top == "vcr":
        return str(top)
    return str(name) if name in CURES else ""


def _place(frame: FrameType, filename: str) -> Place:
    return Place(filename, frame.f_lineno or frame.f_code.co_firstlineno, frame.f_code.co_name)


def _read_task(task: Any, library: str) -> tuple[Place | None, str]:
    """Return the innermost project line of a suspended task, or of the task that awaits it."""
    for link in _awaiters(task):
        at = None
        for frame in _suspended_frames(link):
            filename = frame.f_code.co_filename
            if is_project_file(filename):
                at = _place(frame, filename)
            else:
                library = library or _library_of(frame)
        if at is not None:
            return at, library
    return None, library


def _suspended_frames(task: Any) -> Iterator[FrameType]:
    """Yield a suspended task's frames, outermost first."""
    step = task.get_coro()
    for _ in range(200):
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None) or getattr(step, "ag_frame", None)
        if frame is None:
            return
        yield frame
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None) or getattr(step, "ag_await", None)


def _awaiters(task: Any) -> Iterator[Any]:
    """Yield a task, the task that awaits it, and so on (at most a handful)."""
    seen = {id(task)}
    yield task
    tasks = list(_all_tasks())
    for _ in range(8):
        waited = _futures_behind(task)
        task = next((t for t in tasks if id(t) not in seen and id(getattr(t, "_fut_waiter", None)) in waited), None)
        if task is None:
            return
        seen.add(id(task))
        yield task


def _futures_behind(future: Any) -> set[int]:
    """Return the ids of a future and of those that its callbacks complete (``shield``, ``gather``)."""
    found: set[int] = set()
    pending = [future]
    while pending and len(found) < 32:  # noqa: PLR2004 - a bound, not a meaning
        future = pending.pop()
        if id(future) in found:
            continue
        found.add(id(future))
        for callback, _context in getattr(future, "_callbacks", None) or ():
            for cell in getattr(callback, "__closure__", None) or ():
                try:
                    held = cell.cell_contents
                except ValueError:
                    continue
                if hasattr(held, "add_done_callback"):
                    pending.append(held)
            if hasattr(getattr(callback, "__self__", None), "add_done_callback"):
                pending.append(callback.__self__)
    return found


_task_sets: list[Any] = []


def _all_tasks() -> list[Any]:
    """Return every asyncio task that is not done, whatever its loop."""
    if not _task_sets:
        tasks = sys.modules.get("asyncio.tasks")
        if tasks is None:
            return []
        # 3.11 has one weak set; 3.12 splits eager tasks off.
        _task_sets.extend(
            held
            for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
            if (held := getattr(tasks, name, None)) is not None
        )
    found: list[Any] = []
    for held in _task_sets:
        if not getattr(held, "data", held):  # the weak set's own set: cheaper to ask when empty
            continue
        for _ in range(10):
            try:
                found.extend(held)
                break
            except RuntimeError:  # another thread made a task meanwhile
                continue
    return [task for task in found if not task.done()]


all_tasks = _all_tasks


def place_of_exception(error: BaseException, test_file: str = "") -> tuple[Place | None, Place | None]:
    """Return the innermost project line, and the test's line, that an exception passed through."""
    at = test = None
    step = error.__traceback__
    while step is not None:
        filename = step.tb_frame.f_code.co_filename
        if is_project_file(filename):
            at = Place(filename, step.tb_lineno, step.tb_frame.f_code.co_name)
            if filename == test_file:
                test = at
        step = step.tb_next
    return at, None if test == at else test
