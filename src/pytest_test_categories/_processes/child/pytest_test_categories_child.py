"""What a child process of a guarded test loads at start-up, before it first uses the network.

The module has two parts. Neither imports much beyond ``os`` and ``sys``, since every Python child process pays for it:

- Putting a policy into the environment of a program that a call starts. The test's own process uses this part, too.
- The start-up of a child process, where ``sitecustomize`` imports the module under this top-level name. It puts doors
  (small wrappers) in front of the network's entry points; the first call through a door loads the real layers. Until
  then the child pays for little more than this file.
"""

import os
import sys
from _thread import get_ident
from itertools import count as numbers_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import ModuleType
    from typing import Any

VARIABLE = "TEST_CATEGORIES_CHILD"
"""The environment variable that carries the guards to child processes; never in ``os.environ``."""

PROTOCOL = "1"
"""The format version of the variable; a copy of the package with another version ignores the variable."""

PREPARATION_KEY = "test_categories_child"
"""The key in multiprocessing's preparation data: a fork server outlives the guard that it was started under."""

DIRECTORY = os.path.dirname(os.path.abspath(__file__))
REPORTS = "reports"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)

_BUILTIN: "Any" = type(os.getpid)
_execve = getattr(os, "execve", None)
_spawnve = getattr(os, "spawnve", None)


# -- what a child process receives -------------------------------------------------------------------------------------


class Handed:
    """The data that a process passes to a program that it starts.

    Attributes:
        home: Directory that reports go to; empty for a process that has no guards yet (a fork server).
        serial: Serial number, in ``home``'s process, of the guard that the starts of programs are counted for.
        ident: Identifier of the start; the child process reports with it that it is watched.
        beside: The directory that wrapt was imported from.
        loads: Modules whose import loads the layers, such as clients that connect in native code.
        policy: The guards, as JSON.
    """

    __slots__ = ("beside", "home", "ident", "loads", "policy", "serial")

    def __init__(self, home: str, serial: str, ident: str, beside: str, loads: str, policy: str) -> None:
        self.home = home
        self.serial = serial
        self.ident = ident
        self.beside = beside
        self.loads = loads
        self.policy = policy

    def text(self) -> str:
        """Return the variable's value."""
        before, after = self.halves()
        return before + self.ident + after

    def halves(self) -> "tuple[str, str]":
        """Return the parts of the value before and after the identifier of the start."""
        home, beside = (path.replace("%", "%25").replace("|", "%7C") for path in (self.home, self.beside))
        return f"{PROTOCOL}|{home}|{self.serial}|", f"|{beside}|{self.loads}|{self.policy}"

    @classmethod
    def parse(cls, text: str) -> "Handed | None":
        """Parse the variable's value; None if it has another format version."""
        if not text.startswith(PROTOCOL + "|"):
            return None
        _, home, serial, ident, beside, loads, policy = text.split("|", 6)
        home, beside = (field.replace("%7C", "|").replace("%25", "%") for field in (home, beside))
        return cls(home, serial, ident, beside, loads, policy)

    def renewed(self) -> "Handed":
        """Return the same data with a new identifier, for one more process."""
        return Handed(self.home, self.serial, new_ident(), self.beside, self.loads, self.policy)


def new_ident() -> str:
    """Return a unique identifier for the start of a process."""
    return f"{os.getpid():x}.{get_ident():x}.{next(state.numbers)}"


def append(home: str, line: bytes) -> None:
    """Append a line to the reports in ``home``; do nothing if the directory is gone, as nothing reads it any more.

    The file is opened for each line, since a program may close all descriptors that it finds. Appending is atomic
    except on Windows, where each process has its own file.
    """
    append_to(os.path.join(home, REPORTS if os.name != "nt" else f"{REPORTS}.{os.getpid()}"), line)


def append_to(path: str, line: bytes) -> None:
    """Append a line to a file; do nothing if its directory is gone, as nothing reads it any more."""
    try:
        file = os.open(path, _APPEND, 0o600)
    except OSError:
        return
    try:
        # The line before may be unfinished, if the process that wrote it was killed.
        os.write(file, b"\n" + line + b"\n")
    except OSError:
        pass
    finally:
        os.close(file)


def program_name(argv: "Sequence[Any]", executables: "Sequence[Any]") -> str:
    """Return a program's name for reports, without arguments, since they may hold secrets.

    Python's flags -I, -E and -S are kept: with them, Python does not load this module.
    """
    try:
        words = [os.fsdecode(word) for word in argv]
        name = os.path.basename(words[0] if words else os.fsdecode(executables[0])) or "?"
    except (TypeError, IndexError, ValueError):
        return "?"
    if name.startswith(("python", "pypy")):
        flags = ""
        for word in words[1:]:
            if not word.startswith("-") or word.startswith(("--", "-c", "-m")) or word == "-":
                break
            flags += "".join(flag for flag in word if flag in "IES" and flag not in flags)
        name += f" -{flags}" if flags else ""
    name = name[:40]
    if name.isalnum():
        return name
    return "".join(c if c.isalnum() or c in " ._+-" else "_" for c in name)


# -- environments ------------------------------------------------------------------------------------------------------


def _path_with_ours(path: str) -> str:
    rest = path.removeprefix(DIRECTORY).removeprefix(os.pathsep) if path.startswith(DIRECTORY) else path
    return DIRECTORY + os.pathsep + rest if rest else DIRECTORY


def _own_environment() -> "list[bytes]":
    """Return the environment that a child inherits; it may exceed ``os.environ``: readline sets COLUMNS, LINES in C."""
    environ: Any = os.environ
    known: Any = getattr(environ, "_data", None)  # items() of environ and environb would decode and encode each entry
    if sys.platform == "linux" and (known is None or "readline" in sys.modules):
        if state.environment is None:
            import ctypes

            pointer = ctypes.POINTER(ctypes.c_char_p)
            state.environment = pointer.in_dll(ctypes.CDLL(None), "environ")
        return (
            list(iter(map(state.environment.__getitem__, numbers_from()).__next__, None)) if state.environment else []
        )
    if known is None:  # os.environ was replaced by another mapping
        known = {os.fsencode(key): os.fsencode(text) for key, text in environ.items()}
    return [b"%b=%b" % item for item in known.items()]


def in_list(environment: "Iterable[bytes] | None", value: str) -> "list[bytes]":
    """Return an environment, in the form that exec takes, with the value added; None means this process's own."""
    path = b""
    found = []
    for item in _own_environment() if environment is None else environment:
        if not item.startswith((b"PYTHONPATH=", _VARIABLE_IS)):
            found.append(item)
        elif item.startswith(b"PYTHONPATH="):
            path = item[11:]
    found.append(b"PYTHONPATH=" + os.fsencode(_path_with_ours(os.fsdecode(path))))
    found.append(_VARIABLE_IS + os.fsencode(value))
    return found


_VARIABLE_IS = VARIABLE.encode() + b"="


def in_mapping(environment: "Mapping[Any, Any] | None", value: str) -> "dict[Any, Any]":
    """Return an environment with the value added; None means this process's own."""
    if environment is None and os.name != "nt":
        environment = {name: text for name, _, text in (item.partition(b"=") for item in _own_environment())}
    found: dict[Any, Any] = dict(os.environ if environment is None else environment)
    path = ""
    for key in list(found):
        name = os.fsdecode(key)
        if os.name == "nt":
            name = name.upper()
        if name in {"PYTHONPATH", VARIABLE}:
            text = os.fsdecode(found.pop(key))
            path = text if name == "PYTHONPATH" else path
    found["PYTHONPATH"] = _path_with_ours(path)
    found[VARIABLE] = value
    return found


def _shows_its_environment(argv: "Sequence[Any]") -> bool:
    """Tell whether a program only prints its environment."""
    name = program_name(argv[:1], ())
    return name == "printenv" or (name == "env" and len(argv) == 1)


def is_this_interpreter(files: "Iterable[Any]") -> bool:
    """Tell whether one of a program's possible files is the interpreter that runs here."""
    own = {sys.executable}
    if os.name == "nt":  # multiprocessing starts the base interpreter of a virtual environment
        own.add(getattr(sys, "_base_executable", sys.executable))
    return not own.isdisjoint(map(os.fsdecode, files))


def words_of(line: str) -> "list[str]":
    """Split a command line into words, as the C library of Windows and ``CommandLineToArgvW`` do.

    The first word is a path, where a backslash is an ordinary character. In other words, two backslashes before a
    quotation mark mean one backslash, and a remaining single one makes the mark literal. In a quoted part, two
    quotation marks mean one literal mark.
    """
    words: list[str] = []
    word = ""
    begun = quoted = False
    at = 0
    while at < len(line):
        char = line[at]
        at += 1
        if char in " \t" and not quoted:
            if begun or not words:  # the first word may be empty
                words.append(word)
            word, begun = "", False
            continue
        begun = True
        if char == "\\" and words:
            slashes = 1
            while line[at : at + 1] == "\\":
                slashes, at = slashes + 1, at + 1
            if line[at : at + 1] == '"':
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                    at += 1
            else:
                word += "\\" * slashes
        elif char != '"':
            word += char
        elif quoted and words and line[at : at + 1] == '"':
            word += char
            at += 1
        else:
            quoted = not quoted
    return [*words, word] if begun else words


def _part_that_starts() -> str:
    """Return the module of multiprocessing that starts a program here, such as ``popen_spawn_posix``; or an empty text.

    The stack says so reliably. The command line that multiprocessing writes changes every few releases of Python.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        package, _, name = str(frame.f_globals.get("__name__")).partition(".")
        if package == "multiprocessing" and name != "util":
            return name
        if package not in _BETWEEN:
            break
        frame = frame.f_back
    return ""


_BETWEEN = frozenset({"multiprocessing", "wrapt", "pytest_test_categories", "pytest_test_categories_child"})
"""Packages whose frames may be between the caller that starts a program and the wrapped call."""


class Spawning:
    """The entry points that start a program: each adds the value of ``hand_down`` to the program's environment.

    Args:
        hand_down: Called with the command line, the program's possible files, and whether to count the start; returns
            the variable's value, or None to leave the call unchanged.
        companions: Returns what a program without guards needs: the directory of wrapt, and the modules whose import
            loads the layers.
    """

    def __init__(
        self,
        hand_down: "Callable[[Sequence[Any], Sequence[Any], bool], str | None]",
        companions: "Callable[[], tuple[str, str]]",
    ) -> None:
        self._hand_down = hand_down
        self._companions = companions
        self._knows_fork_server = False

    def _value(self, argv: "Sequence[Any]", executables: "Sequence[Any]") -> "str | None":
        if not isinstance(argv, (list, tuple)) or _shows_its_environment(argv):
            return None
        part = _part_that_starts()
        if part == "resource_tracker":
            return None
        if part == "forkserver":  # it starts processes for many guards, so it receives none itself
            self._knows_fork_server = True
            return Handed("", "", "", *self._companions(), "").text()
        # A pool that ends may kill workers before they can report that they are watched: don't count those.
        worker = part.startswith("popen_spawn") and " -" not in program_name(argv, ())
        return self._hand_down(argv, executables, not (worker and is_this_interpreter(executables)))

    def fork_exec(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(argv, executables, close_fds, pass_fds, cwd, env, ...)``."""
        __tracebackhide__ = True
        if len(args) > 5:
            value = self._value(args[0], args[1])
            if value is not None:
                args = (*args[:5], in_list(args[5], value), *args[6:])
        return wrapped(*args, **kwargs)

    def posix_spawn(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(path, argv, env)``."""
        __tracebackhide__ = True
        if len(args) > 2 and (args[2] is None or hasattr(args[2], "keys")):
            value = self._value(args[1], args[:1])
            if value is not None:
                args = (*args[:2], in_mapping(args[2], value), *args[3:])
        elif len(args) == 2 and hasattr(kwargs.get("env"), "keys"):
            value = self._value(args[1], args[:1])
            if value is not None:
                kwargs = {**kwargs, "env": in_mapping(kwargs["env"], value)}
        return wrapped(*args, **kwargs)

    def execve(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(path, argv, env)``."""
        __tracebackhide__ = True
        # execvp tries every directory of PATH: a file that doesn't exist starts nothing.
        if args and isinstance(args[0], (str, bytes)) and not os.path.exists(args[0]):
            return wrapped(*args, **kwargs)
        return self.posix_spawn(wrapped, _instance, args, kwargs)

    def execv(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(path, argv)``: it uses this process's own environment, so ``execve`` is called instead."""
        __tracebackhide__ = True
        if len(args) == 2 and not kwargs and type(wrapped) is _BUILTIN and _execve is not None:
            if isinstance(args[0], (str, bytes)) and not os.path.exists(args[0]):
                return wrapped(*args, **kwargs)
            value = self._value(args[1], args[:1])
            if value is not None:
                try:
                    return _execve(args[0], args[1], in_mapping(None, value))
                except (OSError, ValueError, TypeError):
                    pass  # the original call raises its own error
        return wrapped(*args, **kwargs)

    def system(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(command)``: the C library runs it in the process's environment, which the wrapper must not change."""
        __tracebackhide__ = True
        command = args[0] if args else kwargs.get("command")
        if not isinstance(command, (str, bytes)) or type(wrapped) is not _BUILTIN:
            return wrapped(*args, **kwargs)
        shell = os.environ.get("COMSPEC", "cmd.exe") if os.name == "nt" else "/bin/sh"
        value = self._value([shell], [shell])
        if value is None:
            return wrapped(*args, **kwargs)
        if os.name == "nt":
            return _in_changed_environment(wrapped, command, value)
        path = _path_with_ours(os.environ.get("PYTHONPATH", ""))
        # On the same line as the command, since the shell's error messages contain line numbers.
        return wrapped(f"export {VARIABLE}={_quoted(value)} PYTHONPATH={_quoted(path)}; {os.fsdecode(command)}")

    def create_process(
        self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]"
    ) -> "Any":
        """``(application, command line, ..., env, cwd, startup info)``: Windows."""
        __tracebackhide__ = True
        if len(args) > 6 and (args[6] is None or hasattr(args[6], "keys")):
            words = words_of(str(args[1])) if args[1] else [str(args[0] or "")]
            program = str(args[0] or words[0])
            value = self._value([words[0].replace("\\", "/"), *words[1:]], (program, f"{program}.exe"))
            if value is not None:
                args = (*args[:6], in_mapping(args[6], value), *args[7:])
        return wrapped(*args, **kwargs)

    def spawnv(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(mode, path, argv)``: Windows; on other systems it forks and calls exec."""
        __tracebackhide__ = True
        if len(args) == 3 and not kwargs and _spawnve is not None:
            value = self._value(args[2], args[1:2])
            if value is not None:
                return _spawnve(*args, in_mapping(None, value))
        return wrapped(*args, **kwargs)

    def spawnve(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``(mode, path, argv, env)``: Windows."""
        __tracebackhide__ = True
        if len(args) == 4 and hasattr(args[3], "keys"):
            value = self._value(args[2], args[1:2])
            if value is not None:
                args = (*args[:3], in_mapping(args[3], value))
        return wrapped(*args, **kwargs)

    def loop_exec(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``subprocess_exec(protocol_factory, program, *arguments, env=)`` of a loop that starts programs itself."""
        return self._loop_start(wrapped, args, kwargs, args[1:], args[1:2])

    def loop_shell(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``subprocess_shell(protocol_factory, command, env=)``."""
        return self._loop_start(wrapped, args, kwargs, ["sh"], ["/bin/sh"])

    def _loop_start(
        self,
        wrapped: "Any",
        args: "tuple[Any, ...]",
        kwargs: "dict[str, Any]",
        argv: "Sequence[Any]",
        executables: "Sequence[Any]",
    ) -> "Any":
        __tracebackhide__ = True
        env = kwargs.get("env")
        value = self._value(argv, executables) if argv and (env is None or hasattr(env, "keys")) else None
        if value is not None:
            found = in_mapping(env, value)
            kwargs = {**kwargs, "env": {os.fsdecode(key): os.fsdecode(found[key]) for key in found}}
        return wrapped(*args, **kwargs)

    def preparation(self, wrapped: "Any", _instance: "Any", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
        """``get_preparation_data``: the data that a process of multiprocessing receives once it runs."""
        data = wrapped(*args, **kwargs)
        # Count the start only under a fork server that is older than the layers: it does not load this module. Other
        # starts go through an entry point above.
        stranger = _part_that_starts() == "popen_forkserver" and not self._knows_fork_server
        value = self._hand_down(["multiprocessing forkserver"], (), stranger)
        if value is not None:
            data[PREPARATION_KEY] = value
        return data


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _in_changed_environment(wrapped: "Any", command: "Any", value: str) -> "Any":
    before = os.environ.get("PYTHONPATH", "")
    os.putenv("PYTHONPATH", _path_with_ours(before))
    os.putenv(VARIABLE, value)
    try:
        return wrapped(command)
    finally:
        os.putenv("PYTHONPATH", before)
        os.putenv(VARIABLE, "")


ENTRIES = (
    ("os", "posix_spawn", "posix_spawn"),
    ("os", "posix_spawnp", "posix_spawn"),
    ("os", "execve", "execve"),
    ("os", "execv", "execv"),
    ("os", "system", "system"),
    ("_posixsubprocess", "fork_exec", "fork_exec"),
    ("subprocess", "_fork_exec", "fork_exec"),
    ("multiprocessing.spawn", "get_preparation_data", "preparation"),
)
"""Module, name, and the method of ``Spawning`` for it."""

if sys.platform == "win32":
    ENTRIES = (
        ("os", "execve", "execve"),
        ("os", "execv", "execv"),
        ("os", "system", "system"),
        ("os", "spawnv", "spawnv"),
        ("os", "spawnve", "spawnve"),
        ("_winapi", "CreateProcess", "create_process"),
        ("multiprocessing.spawn", "get_preparation_data", "preparation"),
    )


# -- the start in a child ----------------------------------------------------------------------------------------------


_SOCKET_METHODS = ("connect", "connect_ex", "bind", "sendto", "sendmsg")
_SOCKET_FUNCTIONS = (
    "create_connection",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostbyaddr",
    "getnameinfo",
)
_EVENTS = frozenset(
    {
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
        "socket.getnameinfo",
        "_winapi.CreateFile",
        "_winapi.CreateNamedPipe",
        *(("open",) if sys.platform == "win32" else ()),
    }
)


class _State:
    """All mutable state of this file.

    Attributes:
        handed: The guards that this process received, and that are enforced here.
        numbers: Numbers for the processes that it will start.
        doors: Owner, name, door, and the original function behind it.
        wrappers: The wrappers by name, once the layers are loaded.
        runtime: The runtime, once the layers are loaded.
        loading: The threads that are loading the layers.
        beside: The directory that wrapt was imported from.
        loads: Modules whose import loads the layers.
        finder: The import finder that waits for modules.
        environment: The C library's ``environ``, a pointer to pointers, once it has been read.
    """

    def __init__(self) -> None:
        self.handed: "Handed | None" = None
        self.numbers = numbers_from(1)
        self.doors: "list[tuple[Any, str, Any, Any]]" = []
        self.wrappers: "dict[str, Any]" = {}
        self.runtime: "Any" = None
        self.loading: "set[int]" = set()
        self.beside = ""
        self.loads: "list[str]" = []
        self.finder = _Finder()
        self.environment: "Any" = None


def begin() -> None:
    """Start in a child process: hide the variable, put the doors in place, and report that this process is watched."""
    value = os.environ.get(VARIABLE)
    given = None if value is None else Handed.parse(value)
    if given is None:
        return
    if not _package_is_here(given):
        if given.home:  # without a report, the parent assumes that this process was killed before it started
            append(given.home, b'["blind", "%s"]' % given.ident.encode())
        return
    _hide(for_good=not given.home)
    for name in ("posix_spawn", "posix_spawnp", "execve", "execv", "system", "spawnv", "spawnve"):
        if any(entry[:2] == ("os", name) for entry in ENTRIES):
            _hang_spawning(sys.modules["os"], "os", name)
    _await(given)
    adopt(given)


def adopt(given: "Handed | None") -> None:
    """Enforce the guards of a parent from now on, and report that to it."""
    state.handed = given if given is not None and given.home else None
    if state.handed is None:
        return
    if state.runtime is not None:
        state.runtime.process.adopt(state.handed)
    elif any(name in sys.modules for name in state.loads):
        load()
    append(state.handed.home, b'["here", "%s"]' % state.handed.ident.encode())


def take_job(given: "Handed | None") -> None:
    """Enforce the guards of a job that this pool's worker takes, and no others any more; None between jobs."""
    state.handed = given
    if state.runtime is not None:
        state.runtime.take_job(given)
    elif given is not None and any(name in sys.modules for name in state.loads):
        load()


def _package_is_here(given: Handed) -> bool:
    """Tell whether the layers can be imported here, without importing them."""
    package = os.path.dirname(os.path.dirname(DIRECTORY))
    if os.path.dirname(package) in sys.path and given.beside in sys.path:
        return True
    found, wrapt = _find("pytest_test_categories"), _find("wrapt")
    if found is None or wrapt is None or found.origin is None:
        return False
    if os.path.dirname(found.origin) == package:
        return True
    from pytest_test_categories._processes.child import pytest_test_categories_child as theirs

    return theirs.PROTOCOL == PROTOCOL


def _find(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
    mine = sys.meta_path.index(state.finder) + 1 if state.finder in sys.meta_path else 0
    for finder in sys.meta_path[mine:]:  # a finder before ours may have called ours
        find = getattr(finder, "find_spec", None)
        spec = None if find is None else find(name, path, target)
        if spec is not None:
            return spec
    return None


def _hide(*, for_good: bool) -> None:
    """Remove the variable and our directory from ``os.environ``.

    Both stay in the C library's environment, for programs that native code starts, unless ``for_good``: then this
    process has received no guards yet.
    """
    rest = os.environ.get("PYTHONPATH", "").removeprefix(DIRECTORY).removeprefix(os.pathsep)
    if for_good:
        del os.environ[VARIABLE]
        os.environ["PYTHONPATH"] = rest
        if not rest:
            del os.environ["PYTHONPATH"]
        return
    environ: Any = os.environ
    del environ._data[environ.encodekey(VARIABLE)]
    key = environ.encodekey("PYTHONPATH")
    if rest:
        environ._data[key] = environ.encodevalue(rest)
    else:
        environ._data.pop(key, None)


# -- doors -------------------------------------------------------------------------------------------------------------


def _raw_hand_down(argv: "Sequence[Any]", executables: "Sequence[Any]", count: bool) -> "str | None":
    """Return the guards that this process received, for a program: until the layers are loaded it has no others."""
    if state.runtime is not None:
        return state.runtime.hand_down(argv, executables, count)  # type: ignore[no-any-return]
    if state.handed is None:
        return None
    mine = state.handed.renewed()
    if count:
        program = program_name(argv, executables)
        append(mine.home, f'["spawn", "{mine.ident}", {mine.serial}, "{program}"]'.encode("ascii", "replace"))
    return mine.text()


def _companions() -> "tuple[str, str]":
    return state.beside, ",".join(state.loads)


_spawning = Spawning(_raw_hand_down, _companions)


def _hang(owner: "Any", name: str, make: "Callable[[Any, str], Any]") -> None:
    """Put a door in front of an entry point."""
    original = getattr(owner, name, None)
    if original is None:
        return
    known = next((one for one in state.doors if one[2] is original), None)
    if known is not None:  # it is a door already, imported from the module that has it, as subprocess does
        state.doors.append((owner, name, *known[2:]))
        return
    door = make(original, name)
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(door, attribute, getattr(original, attribute, None) or "")
    inherited = isinstance(owner, type) and name not in vars(owner)
    setattr(owner, name, door)
    state.doors.append((owner, name, door, None if inherited else original))
    if original in os.supports_fd:
        os.supports_fd.add(door)


def _hang_spawning(owner: "Any", module: str, name: str) -> None:
    method = next(entry[2] for entry in ENTRIES if entry[:2] == (module, name))
    through = getattr(_spawning, method)

    def make(original: "Any", _name: str) -> "Any":
        def door(*args: "Any", **kwargs: "Any") -> "Any":
            return through(original, None, args, kwargs)

        return door

    _hang(owner, name, make)


def _hang_network(module: "Any") -> None:
    for name in _SOCKET_FUNCTIONS:
        _hang(module, name, _function_door)
    for name in _SOCKET_METHODS:
        _hang(module.socket, name, _method_door)


def _function_door(original: "Any", name: str) -> "Any":
    def door(*args: "Any", **kwargs: "Any") -> "Any":
        wrapper = None if state.handed is None or not load() else state.wrappers.get(name)
        return original(*args, **kwargs) if wrapper is None else wrapper(original, None, args, kwargs)

    return door


def _method_door(original: "Any", name: str) -> "Any":
    def door(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
        wrapper = None if state.handed is None or not load() else state.wrappers.get(name)
        bound = original.__get__(self)
        return bound(*args, **kwargs) if wrapper is None else wrapper(bound, self, args, kwargs)

    return door


def take_down() -> None:
    """Remove the doors again, except those that other code has wrapped or replaced."""
    waits = "multiprocessing.spawn" not in sys.modules
    state.finder.awaited = {"multiprocessing.spawn": _prepare_ready} if waits else {}
    for owner, name, door, original in reversed(state.doors):
        if vars(owner).get(name) is door:
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)


RUNTIME = "pytest_test_categories._runtime"
"""The module that puts the layers in place; named rather than imported, since it is above this folder in imports."""


def load() -> bool:
    """Load the layers; False if that fails, or if this thread is loading them already."""
    if state.runtime is not None:
        return True
    me = get_ident()
    if me in state.loading:
        return False
    state.loading.add(me)
    try:
        __import__(RUNTIME)
    except ImportError:
        # The program has changed sys.path since it started.
        before = list(sys.path)
        sys.path += [os.path.dirname(os.path.dirname(os.path.dirname(DIRECTORY))), state.beside]
        try:
            __import__(RUNTIME)
        finally:
            sys.path[:] = before
    finally:
        state.loading.discard(me)
    return state.runtime is not None


def attached(runtime: "Any", wrappers: "dict[str, Any]") -> None:
    """Store the layers' runtime and wrappers, now that they are loaded."""
    state.wrappers.update(wrappers)
    state.runtime = runtime


def _hook(event: str, args: "tuple[Any, ...]") -> None:
    # The layers add their own audit hook, which receives this event, too.
    waits = event in _EVENTS and state.runtime is None and state.handed is not None
    if waits and (event.startswith("socket.") or _is_foreign_pipe(args)):
        load()


def _is_foreign_pipe(args: "tuple[Any, ...]") -> bool:
    """Tell whether a path is a named pipe of Windows, other than those that multiprocessing creates."""
    path = args[0] if args else None
    if type(path) is not str or not path.startswith(("\\\\", "//")):
        return False
    *before, name = path.replace("/", "\\").lower().split("\\")
    return "pipe" in before and not name.startswith(("pyc-", "python-pipe-"))


# -- waiting for modules -----------------------------------------------------------------------------------------------


class _Loader:
    """Loads a module with its own loader, and then puts the doors in place."""

    def __init__(self, loader: "Any", ready: "Callable[[ModuleType], None]") -> None:
        self._loader = loader
        self._ready = ready

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "Any") -> "Any":
        return self._loader.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._ready(module)


class _Finder:
    """Comes before the other finders, and waits for the modules that have entry points."""

    def __init__(self) -> None:
        self.awaited: "dict[str, Callable[[Any], None]]" = {}

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Let the other finders find a module, and react once it is loaded."""
        ready = self.awaited.get(name)
        if ready is None:
            return None
        spec = _find(name, path, target)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, ready)
        return spec


state = _State()


def _await(given: Handed) -> None:
    state.beside = given.beside
    state.loads[:] = [name for name in given.loads.split(",") if name]
    for module, name, _ in ENTRIES:
        if module not in {"os", "multiprocessing.spawn"}:
            state.finder.awaited[module] = _hanging(module, name)
    state.finder.awaited["multiprocessing.spawn"] = _multiprocessing_ready
    state.finder.awaited["_socket"] = lambda _module: sys.addaudithook(_hook)
    state.finder.awaited["socket"] = _hang_network
    for name in state.loads:
        state.finder.awaited[name] = _loading_for
    for name in list(state.finder.awaited):
        if name in sys.modules:  # a .pth file has imported it already
            state.finder.awaited.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, state.finder)


def _hanging(module: str, name: str) -> "Callable[[Any], None]":
    return lambda found: _hang_spawning(found, module, name)


def _loading_for(_module: "Any") -> None:
    if state.handed is not None:
        load()


def _multiprocessing_ready(module: "Any") -> None:
    _hang_spawning(module, "multiprocessing.spawn", "get_preparation_data")
    _prepare_ready(module)


def _prepare_ready(module: "Any") -> None:
    prepare = module.prepare

    def prepared(data: "dict[str, Any]") -> "Any":
        """Enforce the guards of the code that requested this process, and not those of the fork server."""
        value = data.get(PREPARATION_KEY)
        given = None if value is None else Handed.parse(value)
        if given is not None:
            adopt(given)
        return prepare(data)

    module.prepare = prepared
