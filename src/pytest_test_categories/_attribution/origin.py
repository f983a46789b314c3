"""Finds the guards that an attempt is charged to: by context, thread, job, task, or as a leftover.

A ``Scope`` is one entry of a guard. ``charge()`` returns the scopes that the current attempt belongs to. It looks, in
this order, for an open guard of the context, an open guard of the job or thread, a closed guard that the running work
is a leftover of, and the guard of the running phase.
"""

from __future__ import annotations

import contextlib
import contextvars
import enum
import itertools
import sys
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pytest_test_categories._attribution import stack, tasks
from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import Context
    from types import FrameType
    from typing import Protocol

    from pytest_test_categories._ledger.records import Expecting, Record
    from pytest_test_categories._rules.policy import Policy

RECORDS_PER_SCOPE: Final = 1000
"""How many distinct violations one scope records separately; further ones are counted together."""

OWN_SERIALS: Final = 1 << 32
"""A scope with a higher serial number was entered in a forked child process."""


def renumber(process: int) -> None:
    """Give the scopes of a forked child process serial numbers that its parent does not use."""
    state.serials = itertools.count(process * OWN_SERIALS + 1)


class _Thread:
    """Identifies one thread; unlike a thread's number, it is never used again."""

    __slots__ = ()


MAIN_THREAD: Final = _Thread()


def this_thread() -> object:
    """Return the object that identifies the running thread, also if Python did not start it."""
    try:
        return state.local.thread
    except AttributeError:
        is_main = threading.get_ident() == threading.main_thread().ident
        state.local.thread = thread = MAIN_THREAD if is_main else _Thread()
        return thread


def running_thread() -> threading.Thread | None:
    """Return the running thread; None if Python did not start it: ``current_thread`` would register one for it."""
    active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # not in typeshed
    return active.get(threading.get_ident())


def thread_name() -> str:
    """Return the name of the running thread; for one that Python did not start, its native thread id."""
    thread = running_thread()
    return f"native {threading.get_native_id()}" if thread is None else thread.name


class ScopeKind(enum.StrEnum):
    """What a scope is for.

    Attributes:
        judges: Whether its policy may refuse.
        observes: Whether it records every attempt, permitted or not.
        expects: Whether violations inside it are expected; it permits everything itself.
        claims_tasks: Whether tasks that outlive it are its leftovers, whatever context they have.
    """

    BLOCK = "block"
    TEST = "test"
    FIXTURE = "fixture"
    COLLECT = "collect"
    EXPECT = "expect"  # a block that expects violations
    OBSERVE = "observe"  # around a whole run that writes a report

    def __init__(self, name: str) -> None:
        # Attributes rather than comparisons: looking up a member in its class is slow before Python 3.12.
        self.observes = name == "observe"
        self.expects = name == "expect"
        self.judges = not (self.observes or self.expects)
        self.claims_tasks = name == "test"


class Scope:
    """One entry of a guard: the policy that it enforces, and the records of what it refused.

    Attributes:
        kind: What it is for.
        policy: None for ``expect``.
        test: Label of the test, for reports.
        where: For a block, where it was entered.
        open: Whether it judges the contexts that it was entered in.
        held: For a fixture between set-up and tear-down: whether it judges the threads that it started.
    """

    # Each test creates a scope. Attributes that few scopes need are class attributes until they are set.
    fixture = ""
    fixture_home = ""
    held_by = ""
    test_size = ""
    held = False
    closer: object = None
    closed_at: int | None = None  # the moment it closed, as ``tasks.moment`` counts
    previous: Scope | None = None
    mark: weakref.ref[_Mark] | None = None
    outer_mark: _Mark | None = None
    observe: Callable[..., None] | None = None
    late: dict[tuple[str, ...], Record] | None = None
    awaits: Expecting | None = None  # for a block that expects violations only if one of them ends it
    home: tuple[str, int] | None = None  # in a started child process: the directory to report to, and the serial
    outside: stack.Outside | None = None  # for a test: what the stack outside of the running phase says
    resolved: dict[str, int] | None = (
        None  # names whose look-up went on with a warning: the connect belongs to the same attempt
    )

    def __init__(
        self,
        kind: ScopeKind,
        policy: Policy | None,
        test: str,
        *,
        parent: Scope | None = None,
        file: object = "",
        where: str = "",
    ) -> None:
        self.kind = kind
        self.policy = policy
        self.test = test
        self.parent = parent
        self.around: tuple[Scope, ...] = () if parent is None else parent.chain
        self.file = file
        self.where = where
        self.open = True
        self.records: dict[tuple[str, ...], Record] = {}
        self.memo: dict[object, Any] = {}
        self.serial = next(state.serials)
        self.thread = this_thread()

    @property
    def chain(self) -> tuple[Scope, ...]:
        """The scope and those around it, innermost first (an attribute would be a reference cycle)."""
        return (self, *self.around)

    @property
    def guard(self) -> str:
        """Where it was entered, if it is a block inside another guard; otherwise empty."""
        return self.where if self.kind is ScopeKind.BLOCK and self.parent is not None else ""

    def entered(self, *, phase: bool = False) -> Entered:
        """Return a context manager that makes this the innermost scope; ``close`` ends it for good.

        Args:
            phase: Whether it is a phase of a test runner, which judges contexts that carry no guard.
        """
        return Entered(self, phase=phase)

    def close(self) -> None:
        """End the scope: tasks that still run become its leftovers."""
        self.open = False
        if self.held:
            self.held = False
        self.memo.clear()  # it holds answers of look-ups, and the scope may live on for its records
        flow = _running_flow()
        self.closer = this_thread() if flow is None else weakref.ref(flow)
        if self.kind.claims_tasks:
            self.closed_at = tasks.claim(self)
        elif self.mark is None or self.mark() is not None:  # otherwise no task has a context of this scope
            self.closed_at = tasks.moment()

    def undelivered(self) -> list[Record]:
        """Return the records of refusals that have not all been delivered, oldest first."""
        # ``list`` copies in one step: other threads may add records meanwhile.
        left = list(self.records.values())
        return [record for record in left if record.count > record.delivered and record.fails]


class Entered:
    """Makes a scope the innermost one of the running context, or of one step of a generator.

    Guarantees: leaving it undoes what entering did, and nothing else. An inner scope that is still open stays the
    innermost one.
    """

    __slots__ = ("_phase", "_scope")

    def __init__(self, scope: Scope, *, phase: bool = False) -> None:
        self._scope = scope
        self._phase = phase

    def __enter__(self) -> Scope:
        scope = self._scope
        scope.previous, scope.outer_mark = current.get(), _mark.get()
        mark = None if scope.mark is None else scope.mark()  # a generator's guard is entered for each step
        if mark is None:
            mark = _Mark()
            scope.mark = weakref.ref(mark)
        current.set(scope)
        _mark.set(mark)
        if self._phase:
            begin_phase(scope)
        elif not scope.kind.expects or scope.awaits is not None:
            _stand(scope)
        changed()
        return scope

    def __exit__(self, *exc_info: object) -> None:
        scope = self._scope
        if self._phase:
            end_phase(scope)
        else:
            _stand_down(scope)
        if current.get() is scope:
            current.set(scope.previous)
            _mark.set(scope.outer_mark)
            scope.outer_mark = None
        changed()


class _Free:
    """Marks threads of the test runner, which no guard judges."""


FREE: Final = _Free()
Carried: TypeAlias = "Scope | _Free | None"

current: ContextVar[Scope | None] = ContextVar("network_guard_scope", default=None)
"""The innermost scope of this context."""


class Asked:
    """The address that a caller passed to ``create_connection``; the look-up and connects inside are one attempt.

    Attributes:
        reported: Serial numbers of the scopes that already have a record of it.
    """

    __slots__ = ("host", "port", "reported")

    def __init__(self, host: str, port: int | str | None) -> None:
        self.host = host
        self.port = port
        self.reported: set[int] = set()


def memo_of_thread(scope: Scope | None) -> dict[object, Any]:
    """Return what is permitted to the guard that this thread or its job carries; empty if that is not known.

    Args:
        scope: The innermost scope of the context: where there is one, it decides, and not what the thread carries.
    """
    carrier: Scope | None = getattr(state.running, "carrier", None) if scope is None else None
    return carrier.memo if carrier is not None and (carrier.open or carrier.held) else _NO_MEMO


def is_here(serial: int) -> bool:
    """Return whether the scope with a serial number is the one whose memo holds here."""
    scope = current.get()
    if scope is not None:
        return scope.open and scope.serial == serial
    carrier: Scope | None = getattr(state.running, "carrier", None)
    return carrier is not None and carrier.serial == serial and (carrier.open or carrier.held)


def carrier_of(carried: Carried) -> Scope | None:
    """Return what a thread or job carries if that, while it judges, decides who is charged in contexts without a guard.

    It does so until another job or a phase begins in the thread. The layer outside of this process has to be told of
    each call.
    """
    if not isinstance(carried, Scope) or not carried.kind.judges or state.on_change is not None:
        return None
    return None if "greenlet" in sys.modules and state.greenlets else carried


_NO_MEMO: Final[dict[object, Any]] = {}


def scope_here() -> Scope | None:
    """Return the open scope that judges what runs here, if that is known without a search."""
    scope = current.get()
    if scope is not None:
        return scope if scope.open else None
    carrier: Scope | None = getattr(state.running, "carrier", None)
    return carrier if carrier is not None and (carrier.open or carrier.held) else None


class _Mark:
    """Lives as long as any context that was copied while a scope was the innermost one."""

    __slots__ = ("__weakref__",)


_mark: ContextVar[_Mark | None] = ContextVar("network_guard_mark", default=None)
"""Set and reset with ``current``. The scope has only a weak reference, so that only contexts keep the mark alive."""

asked: ContextVar[Asked | None] = ContextVar("network_guard_asked", default=None)


class _ThreadsOwn(threading.local):
    """What a blocking call of this thread was asked for: setting a context variable costs several times as much."""

    address: tuple[str, Any] | None = None
    asked: Asked | None = None  # made of the address when somebody asks for it


asked_in_thread: Final = _ThreadsOwn()


def asked_here() -> Asked | None:
    """Return the label of the attempt that the running call is a step of."""
    label = asked.get()
    if label is None and (label := asked_in_thread.asked) is None and (address := asked_in_thread.address) is not None:
        label = asked_in_thread.asked = Asked(*address)
    return label


resolving: ContextVar[bool] = ContextVar("network_guard_resolving", default=False)
"""Whether a judged look-up is running here: where gevent passes it to a thread, it is not judged again."""


renewed: ContextVar[Scope | None] = ContextVar("network_guard_renewed", default=None)
"""The closed guard of a kept context in which a task was created later: what the task schedules is not a leftover."""

made: ContextVar[stack.Made | None] = ContextVar("network_guard_made", default=None)
"""The project's line that created this task, or the task that created this one."""


def made_at() -> stack.Made | None:
    """Return the line that created this task, job or thread; None if it is not known."""
    line = made.get()
    if line is not None:
        return line
    job: Work | None = getattr(state.running, "job", None)
    if job is not None:
        return job.made
    thread = running_thread()
    return None if thread is None else state.made_threads.get(thread)


def maker(frame: FrameType) -> stack.Made | None:
    """Return the line that creates something here: the nearest of the project's, or the one that created this work."""
    return stack.line_of_caller(frame) or made_at()


def note_thread(thread: threading.Thread, frame: FrameType) -> None:
    """Remember the scope that a new thread carries, and the line that starts it."""
    state.threads[thread] = spawner()
    state.made_threads[thread] = maker(frame)


def context_of_thread() -> Context:
    """Return a copy of the current context for a new thread, without its guards: ``state.threads`` has those.

    A pool's thread would otherwise keep the guards of the first code that used it.
    """
    context = contextvars.copy_context()
    context.run(_forget_here)
    return context


def _forget_here() -> None:
    for variable in (current, _mark, asked, renewed, made):
        variable.set(None)
    resolving.set(False)


class Charge(NamedTuple):
    """The scopes that judge an attempt, innermost first.

    Attributes:
        late: Why the attempt counts as late; empty if it doesn't.
        unattributed: Whether it is not known which code started the thread: the run is charged, not the running test.
        rule: The rule that found them, in words.
    """

    scopes: tuple[Scope, ...]
    late: str = ""
    unattributed: bool = False
    rule: str = ""

    def late_for(self, scope: Scope) -> str:
        """Return why the attempt counts as late for one of them; a leftover is not late for open guards around it."""
        return "" if scope.open and self.rule == LEFTOVER else self.late


LEFTOVER: Final = "leftover"

AT_THE_END: Final = "after the last test"


if TYPE_CHECKING:  # making a Protocol class takes longer than making another

    class Work(Protocol):
        """A piece of work, such as a job of a pool, that runs on behalf of the code that submitted it."""

        WHAT: str
        scope: Carried
        task: Callable[[], Any] | None  # a weak reference to the task that waits for it
        made: stack.Made | None


def _unpatched(module: str, name: str) -> Any:
    """Return the standard library's object, where gevent may have put one that works with greenlets in its place."""
    monkey = sys.modules.get("gevent.monkey")
    return getattr(sys.modules[module], name) if monkey is None else monkey.get_original(module, name)


class _State:
    """All mutable state of this file: which scopes this process's phases, threads, jobs and greenlets carry.

    Attributes:
        phases: The tests, or parts of tests, that are running; the innermost last.
        threads: The scope that each thread started here carries.
        made_threads: The line that started each thread.
        greenlets: The scope that each greenlet spawned here carries.
        ending: The scope that judges the end of the process.
        inherited: In a child process of a guarded one, the scope that always judges it.
        on_change: Called when the scopes that judge a thread change; it informs the layer outside of this process.
        on_thread_end: Called at the end of a thread that ``on_change`` was called for.
        handlers: Earlier handlers, by signal: code that restores one of them did not install it.
        serials: Serial numbers for new scopes.
        local: Per thread: ``thread`` identifies it.
        blocks: Per system thread: ``open`` lists the blocks that judge it in contexts without a guard.
        running: Per thread: ``job`` is the submitted work that it runs; ``carrier`` is the guard that the thread or the
            job carries, if that judges contexts without a guard there, as far as that is known; ``heir`` is the mark
            for the task that a leftover is creating there, which may run eagerly before it has the mark.
    """

    def __init__(self) -> None:
        self.phases: list[Scope] = []
        self.threads: weakref.WeakKeyDictionary[threading.Thread, Carried] = weakref.WeakKeyDictionary()
        self.made_threads: weakref.WeakKeyDictionary[threading.Thread, stack.Made | None] = weakref.WeakKeyDictionary()
        self.greenlets: weakref.WeakKeyDictionary[Any, Carried] = weakref.WeakKeyDictionary()
        self.ending: Scope | None = None
        self.inherited: Scope | None = None
        self.on_change: Callable[[tuple[Scope, ...] | None], None] | None = None
        self.on_thread_end: Callable[[], None] | None = None
        self.handlers: dict[int, list[Any]] = {}
        self.serials = itertools.count(1)
        self.local = threading.local()
        self.blocks = _unpatched("_thread", "_local")()
        self.running = threading.local()


state: Final = _State()


def changed(scopes: tuple[Scope, ...] | None = None) -> None:
    """Report that the scopes that judge this thread have changed.

    Args:
        scopes: The scopes that judge it now, as ``charge`` would find them; None if the caller doesn't know them.
    """
    if (on_change := state.on_change) is not None:
        on_change(scopes)


def announced(function: Callable[..., Any], carried: Carried) -> Callable[..., Any]:
    """Wrap a new thread's function, so that the layer outside of this process learns which scopes judge the thread."""
    if state.on_change is None or carried is None:
        return function

    def run(*args: Any) -> Any:
        changed(() if isinstance(carried, _Free) else _open_chain(carried, threads=True) or carried.chain)
        try:
            return function(*args)
        finally:
            if (on_thread_end := state.on_thread_end) is not None:
                on_thread_end()

    return run


def running_phase() -> Scope | None:
    """Return the phase that this thread runs; if it runs none, the latest of all threads."""
    latest = state.phases[-1:]  # a slice is one step: other threads may end their phases meanwhile
    if len(state.phases) > 1:
        me = this_thread()
        latest = [phase for phase in list(state.phases) if phase.thread is me][-1:] or latest
    return latest[0] if latest else None


def begin_phase(scope: Scope) -> None:
    """Let a phase judge this thread, whatever the thread carries."""
    state.phases.append(scope)
    state.running.carrier = None


def end_phase(scope: Scope) -> None:
    """End this phase and no other: phases of several threads may end in any order."""
    if scope.outside is not None:
        scope.outside = None
    try:  # one call; a context manager would cost more than it, and this runs three times for each test
        state.phases.remove(scope)
    except ValueError:
        return


def _stand(scope: Scope) -> None:
    """Let a block judge this thread also in contexts without a guard, such as fresh ones and those of kept runners.

    A block that a task enters judges only that task, and is not listed.
    """
    if not in_event_loop():
        state.blocks.open = [block for block in getattr(state.blocks, "open", ()) if block.open] + [scope]


def _stand_down(scope: Scope) -> None:
    """Undo ``_stand``."""
    state.blocks.open = [block for block in getattr(state.blocks, "open", ()) if block is not scope]


def asking_here(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Return the open blocks of this thread, apart from ``scopes``, that expect a violation if it ends them.

    A block that was entered outside of any event loop covers everything that its thread does until it ends, also in
    the context of a kept runner.
    """
    blocks = getattr(state.blocks, "open", ())
    greenlets = sys.modules.get("greenlet")
    if not blocks or (greenlets is not None and greenlets.getcurrent().parent is not None):
        return ()
    return tuple(block for block in blocks if block.awaits is not None and block.open and block not in scopes)


def in_event_loop() -> bool:
    """Tell whether an asyncio event loop or a trio task is running here."""
    return tasks.running_loop() is not None or trio_task() is not None


def trio_task() -> Any:
    """Return the trio task that runs here, or None."""
    trio = sys.modules.get("trio.lowlevel")
    try:
        return None if trio is None else trio.current_task()
    except (AttributeError, RuntimeError):  # partly imported; not in trio
        return None


def _greenlet_scope() -> Carried:
    """Return the scope that the running greenlet carries (its context starts empty).

    None if it is not known which code spawned it, as for a hub or a greenlet that an import created.
    """
    greenlets = sys.modules.get("greenlet")
    if not state.greenlets or greenlets is None:
        return None
    return state.greenlets.get(greenlets.getcurrent(), None)


def _is_nobodys_greenlet() -> bool:
    greenlets = sys.modules.get("greenlet")
    if not state.greenlets or greenlets is None:
        return False
    return state.greenlets.get(greenlets.getcurrent(), FREE) is None


def inherit(scope: Scope | None) -> None:
    """Let a scope that this process received from its parent judge everything it does."""
    state.inherited = scope


class _FreeWork:
    """A job that no guard judges."""

    WHAT = "a job"
    scope: Carried = FREE
    task: Callable[[], Any] | None = None
    made: stack.Made | None = None


def take_job(scope: Scope | None) -> None:
    """Let only the scope of a job that another process submitted judge this thread; None if no guard judges the job.

    What the pool's worker inherited belongs to the code that started the worker, not to the job.
    """
    inherit(None)
    state.phases.clear()
    state.blocks.open = []
    current.set(scope)
    state.running.job = _FreeWork() if scope is None else None
    state.running.carrier = None


def charge() -> Charge | None:
    """Find the scopes that an attempt made here and now is charged to; None if there are none."""
    found = _charge_of_this_process()
    if state.inherited is None:
        return found
    if found is None:
        return Charge(state.inherited.chain, "", False, "what this process was handed")
    return found if state.inherited in found.scopes else found._replace(scopes=(*found.scopes, *state.inherited.chain))


_CARRIED: Final = "an open guard that the thread or greenlet carries"
_OF_JOB: Final = "an open guard that the job carries"


def _charge_of_this_process() -> Charge | None:
    scope = current.get()
    if scope is not None and not scope.open and scope.kind is ScopeKind.FIXTURE:
        # Kept runners (anyio, asyncio) keep the context of the set-up that made them: it says nothing about new work.
        scope, kept = None, True
    else:
        kept = False
    job: Work | None = getattr(state.running, "job", None)
    if scope is not None and (scopes := _open_chain(scope)):
        closed = _closed_inside(scope)
        if closed is None:
            return Charge(scopes, "", False, "an open guard of the context")
        # A block inside it has ended: work that began in the block is its leftover, whatever guards are around it.
        if job is not None and job.scope is closed:
            return _leftover(closed, job.WHAT)
        if _leftover_of_loop(closed) is closed:
            return _leftover(closed, "a callback" if (tasks.current() or trio_task()) is None else "a task")
        return Charge(scopes, "", False, "an open guard of the context")
    carried = job.scope if job is not None else _thread_scope() or _greenlet_scope()
    if carried is FREE:
        return None
    if isinstance(carried, Scope):
        closed = _closed_inside(carried, threads=True)
        if closed is None and (scopes := _open_chain(carried, threads=True)):
            if scopes[0] is carried:
                state.running.carrier = carrier_of(carried)
            return Charge(scopes, "", False, _CARRIED if job is None else _OF_JOB)
        # With a kept runner's context in a worker thread, the work is newer than the worker: no leftover of its guard.
        if not kept:
            return _leftover(closed or carried, _what_runs(job))
    leftover = _leftover_of_loop(scope)
    return _standing_charge() if leftover is None else _leftover(leftover, "a task")


def _leftover(scope: Scope, what: str) -> Charge:
    return Charge(scope.chain, late_text(scope, what), False, LEFTOVER)


def _closed_inside(scope: Scope, *, threads: bool = False) -> Scope | None:
    """Return the innermost guard of a chain if it has closed; None if it still judges, or the chain has no guard."""
    for link in scope.chain:
        if link.kind.judges:
            return None if link.open or (threads and link.held) else link
    return None


def _what_runs(job: Work | None) -> str:
    if job is not None:
        return job.WHAT
    return "a thread" if isinstance(_thread_scope(), Scope) else "a greenlet"


def _standing_charge() -> Charge | None:
    """Return the charge to the running phase and to the block that this thread is in."""
    block = next((block for block in reversed(getattr(state.blocks, "open", ())) if block.open), None)
    around = () if block is None else _open_chain(block)
    phase = running_phase()
    if phase is None:
        if state.ending is not None and not around:
            return Charge(state.ending.chain, AT_THE_END, False, "the end of the process")
        return Charge(around, "", False, "a block of the thread") if around else None
    if phase in around:
        return Charge(around, "", False, "a block of the thread")
    scopes = _open_chain(phase)
    nobodys = not around and (phase.thread is not this_thread() or _is_nobodys_greenlet())
    scopes = (*scopes, *(link for link in around if link not in scopes))
    return Charge(scopes, "", nobodys, "nobody is known" if nobodys else "the running phase")


def _open_chain(scope: Scope, *, threads: bool = False) -> tuple[Scope, ...]:
    """Return the scopes of a chain that judge: open ones, and closed ones that an open one inside has outlived."""
    found: list[Scope] = []
    for link in scope.chain:
        if link.kind.observes and not found:  # it is always open, and doesn't decide who is charged
            continue
        if (
            link.open
            or (threads and link.held)
            or (found and not link.open and link.kind is not ScopeKind.FIXTURE and not _closed_here(link))
        ):
            found.append(link)
    return tuple(found)


def _leftover_of_loop(scope: Scope | None) -> Scope | None:
    """Return the closed scope that the running task or event loop callback is a leftover of."""
    if tasks.running_loop() is None:
        if scope is None or not isinstance(scope.closer, weakref.ref) or trio_task() is None:
            return None
        return None if _closed_here(scope) else scope  # this task began inside it, and another task closed it
    task = tasks.current()
    if task is None:  # a callback carries the context that it was scheduled in
        return None if _is_renewed() else scope
    born = tasks.born(task) or getattr(state.running, "heir", None)
    if born is not None and born.era.claimed:
        return born.era.owner
    if scope is None or scope.closed_at is None or _closed_here(scope) or (born is None and _is_renewed()):
        return None
    return scope if tasks.was_there(task, scope.closed_at) else None


def _is_renewed() -> bool:
    """Tell whether this is a kept context whose guard had closed before the work that runs here began."""
    here = current.get()
    return here is not None and renewed.get() is _closed_inside(here)


def lineage(context: Context | None) -> tuple[Scope | None, Scope | None]:
    """Return the closed guard that a task created here is a leftover of, and the closed guard that it is newer than.

    What a leftover creates is a leftover, too; any other task is new work, even in a kept context.

    Args:
        context: The context that the task will run in, if it is not a copy of the current one.
    """
    scope = current.get() if context is None else context.get(current)
    closed = None if scope is None else _closed_inside(scope)
    task = tasks.current()
    if task is not None and (closed is not None or tasks.is_claimed(task)):
        left = _leftover_of_loop(None if closed is None or closed.kind is ScopeKind.FIXTURE else closed)
        if left is not None:
            return left, None
    if closed is None:
        return None, None
    if context is None:
        return None, closed
    with contextlib.suppress(RuntimeError):  # the context is in use
        context.run(renewed.set, closed)
    return None, None


def _running_flow() -> Any:
    """Return the asyncio or trio task that runs here, otherwise the greenlet; None for plain code of a thread."""
    task = tasks.current() or trio_task()
    greenlets = sys.modules.get("greenlet")
    if task is not None or greenlets is None:
        return task
    here = getattr(greenlets, "getcurrent", lambda: None)()  # it may be partly imported
    return None if here is None or here.parent is None else here


def _closed_here(scope: Scope) -> bool:
    """Tell whether the running task or greenlet closed a scope; outside of both, whether this thread did."""
    closer = scope.closer
    flow = _running_flow()
    if flow is None:
        return closer is this_thread()
    return isinstance(closer, weakref.ref) and closer() is flow


def late_text(scope: Scope, what: str) -> str:
    """Return the text that says why a violation is late."""
    did = _DID.get(what, "started")
    if what != "a guard" and any(link.open and link.kind.judges for link in scope.around):
        return f"by {what} that {scope.fixture or scope.test} {did} inside a guard that has ended"
    return f"by {what} that {scope.fixture or scope.test} {did}{'' if what in _DID else ' and that outlived it'}"


_DID: Final = {"a signal handler": "installed"}


def _thread_scope() -> Carried:
    phase = running_phase()
    if phase is not None and phase.thread is this_thread():
        return None
    thread = running_thread()
    return None if thread is None else state.threads.get(thread)


def known_threads() -> list[threading.Thread]:
    """Return the threads that were started here and still exist."""
    references = state.threads.keyrefs()  # copies in one step: other threads may start more meanwhile
    return [thread for reference in references if (thread := reference()) is not None]


def free_threads(threads: Iterable[threading.Thread]) -> None:
    """Exempt the test runner's threads, and those that they start."""
    for thread in threads:
        if state.threads.get(thread) is None:  # otherwise a test around this run started it
            state.threads[thread] = FREE


def threads_left() -> bool:
    """Tell whether any live thread carries a guard."""
    return any(isinstance(state.threads.get(thread), Scope) for thread in threading.enumerate())


def on_own_thread(scope: Scope) -> bool:
    """Tell whether this thread entered a scope, or runs a job that a task waits for."""
    return scope.thread is this_thread() or awaiting_task() is not None


def is_free() -> bool:
    """Tell whether this thread belongs to the test runner."""
    return _thread_scope() is FREE


def spawner() -> Carried:
    """Return the scope that a thread or job started here carries."""
    if is_free():
        return FREE
    found = charge()
    if found is None or found.unattributed or not found.scopes or found.scopes[0].kind is ScopeKind.COLLECT:
        return None
    return found.scopes[0]


def awaiting_task() -> Any:
    """Return the asyncio or trio task that submitted the running job, or None."""
    job: Work | None = getattr(state.running, "job", None)
    return None if job is None or job.task is None else job.task()


def forget() -> None:
    """Forget threads and greenlets, when no guard is active any more."""
    state.threads.clear()
    state.made_threads.clear()
    state.greenlets.clear()
    tasks.pause()
