"""A stand-in for Windows, just as far as asyncio's and multiprocessing's own Python code for it goes.

What is theirs runs as it is: ``asyncio.windows_events``, ``windows_utils`` and ``proactor_events``, and
``multiprocessing.connection``, out of this interpreter's library. What is emulated are the extension modules below them, ``_overlapped``, ``_winapi``,
``msvcrt`` and three functions of ``_multiprocessing``: they note what Windows would have been asked to do, do nothing, and raise the audit events that CPython's C
code raises there (Modules/_winapi.c; Modules/overlapped.c raises none). No completion ever arrives.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import types
import weakref
import zlib
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

_THEIRS = ("asyncio.windows_events", "asyncio.windows_utils")


class Windows:
    """What Windows was asked to do.

    Attributes:
        asked: The calls and what they were given, in order.
        events: asyncio's module for Windows.
        connection: multiprocessing's module as it is there.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.events: Any = None
        self.connection: Any = None
        self._proactors: list[Any] = []

    def noting(self, name: str, answer: object = None) -> Any:
        """Return a function that notes a call, and answers the same each time."""

        def function(*args: Any, **kwargs: Any) -> object:
            self.asked.append((name, *args, *kwargs.values()))
            return answer

        return function

    def audited(self, name: str, answer: object, *places: int) -> Any:
        """Return one that raises an audit event before, with those of its arguments that C's has."""
        noted = self.noting(name, answer)

        def function(*args: Any) -> object:
            sys.audit(f"_winapi.{name}", *(args[place] for place in places))
            return noted(*args)

        return function

    def overlapped(self) -> types.ModuleType:
        """Return a module in the place of ``_overlapped``."""
        windows = self

        class Overlapped:
            address, pending, event = 1, True, 0

            def __init__(self, *_args: object) -> None:
                pass

            def __getattr__(self, name: str) -> Any:
                return windows.noting(name)

            def cancel(self) -> None:
                pass

        module: Any = types.ModuleType("_overlapped")
        module.Overlapped = Overlapped
        module.CreateIoCompletionPort = lambda *_: 1
        module.BindLocal = lambda *_: None
        module.WSAConnect = self.noting("WSAConnect")
        module.ConnectPipe = self.noting("ConnectPipe", 5)
        module.__getattr__ = _constant
        return module  # type: ignore[no-any-return]

    def winapi(self) -> types.ModuleType:
        """Return a module in the place of ``_winapi``."""
        module: Any = types.ModuleType("_winapi")
        module.CreateFile = self.audited("CreateFile", 6, 0, 1, 2, 4, 5)
        module.CreateNamedPipe = self.audited("CreateNamedPipe", 7, 0, 1, 2)
        module.ConnectNamedPipe = self.noting("ConnectNamedPipe", mock.Mock(GetOverlappedResult=lambda _: (0, 0)))
        module.WaitNamedPipe = module.SetNamedPipeHandleState = module.CloseHandle = lambda *_: None
        module.__getattr__ = _constant
        return module  # type: ignore[no-any-return]

    def proactor(self) -> Any:
        """Return a proactor, on whose port nothing ever arrives."""
        found = self.events.IocpProactor.__new__(self.events.IocpProactor)
        loop = asyncio.new_event_loop()
        loop.close()
        vars(found).update(_loop=loop, _iocp=1, _results=[], _cache={}, _unregistered=[])
        vars(found).update(_registered=weakref.WeakSet(), _stopped_serving=weakref.WeakSet())
        self._proactors.append(found)
        return found

    def close(self) -> None:
        """Close the proactors, which would wait for what never comes."""
        for proactor in self._proactors:
            proactor._iocp = None
            proactor._cache.clear()

    def loop(self) -> Any:
        """Return a proactor loop that is not running: its coroutines are stepped by hand."""
        found = self.events.ProactorEventLoop.__new__(self.events.ProactorEventLoop)
        vars(found).update(_proactor=self.proactor(), _debug=False, _closed=True)
        return found


def _constant(name: str) -> int:
    """Return a number in the place of any of Windows' constants."""
    if not name.isupper():
        raise AttributeError(name)
    return zlib.crc32(name.encode())


def _another(name: str) -> types.ModuleType:
    """Return a module that is executed once more, in another's place."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    spec = importlib.util.spec_from_file_location(f"{name}_of_windows", found.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def emulated() -> Iterator[Windows]:
    """Put the stand-in in place, for a fixture to yield from."""
    windows = Windows()
    stubs = {"_overlapped": windows.overlapped(), "_winapi": windows.winapi(), "msvcrt": types.ModuleType("msvcrt")}
    stubs["msvcrt"].get_osfhandle = lambda descriptor: descriptor  # type: ignore[attr-defined]
    stubs["_multiprocessing"] = types.ModuleType("_multiprocessing")
    vars(stubs["_multiprocessing"]).update(vars(importlib.import_module("_multiprocessing")))
    vars(stubs["_multiprocessing"]).update({name: windows.noting(name) for name in ("closesocket", "recv", "send")})
    with mock.patch.dict(sys.modules, stubs):
        with mock.patch.object(sys, "platform", "win32"):
            for name in _THEIRS:
                importlib.import_module(name)
            windows.connection = _another("multiprocessing.connection")
        windows.events = sys.modules[_THEIRS[0]]
        try:
            yield windows
        finally:
            windows.close()
            for name in _THEIRS:
                delattr(asyncio, name.rpartition(".")[2])


def step(coroutine: Any) -> Any:
    """Run a coroutine as far as it goes without an answer; returns what it returned, or is waiting for."""
    try:
        return coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        coroutine.close()
