"""Wrapping of entry points, so that exactly our own wrapper can be removed again.

Only this module and ``_decorate`` import wrapt. This one does so when it installs the first wrapper: a process that
never uses a guard does not pay for the import.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import functools
import importlib
import operator
import sys
import threading
from importlib.machinery import PathFinder, SourceFileLoader
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._host.imports import off_import, on_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from typing import SupportsIndex

    Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class _Later(ModuleType):
    """What ``import`` gives one module of wrapt: the imported module is executed at the first access to it."""

    def __getattr__(self, name: str) -> Any:
        """Import the module; the name that it is known by is that of its package."""
        importlib.import_module(self.__name__)
        return getattr(sys.modules[self.__name__.partition(".")[0]], name)


_SPARED: Final = {"wrapt.synchronization": "asyncio", "wrapt.importer": "importlib.metadata"}
"""What modules of wrapt import for functions that are not used here; it takes longer than the rest of wrapt."""


class _Sparing(SourceFileLoader):
    """Loads a module in which the import of one other module imports nothing yet.

    Only that module is affected: it gets its own ``__import__``, and ``sys.modules`` holds what it would hold anyway.
    """

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module."""
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)

    def _import(self, name: str, *args: Any, **kwargs: Any) -> Any:
        plain = not (args[2:3] or (kwargs.get("fromlist"),))[0]
        if plain and name == _SPARED[self.name] and name not in sys.modules:
            return _Later(name)
        return builtins.__import__(name, *args, **kwargs)


class _Finder:
    """Finds the modules of wrapt that import what is not used here."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Find such a module, and leave all others to the next finder."""
        spec = PathFinder.find_spec(name, path) if name in _SPARED else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Sparing(spec.loader.name, spec.loader.path)
        return spec


class _Writing:
    """Serializes the threads that install and remove wrappers: the mutable state of this module.

    Attributes:
        lock: Held while wrappers change: when guards begin and end, and during imports. A forked child process needs a
            new one.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()


writing: Final = _Writing()


def load() -> None:
    """Import wrapt without what only its unused parts need."""
    if "wrapt" in sys.modules:
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        import wrapt  # noqa: F401
    finally:
        if finder in sys.meta_path:  # other code may have replaced the list
            sys.meta_path.remove(finder)


class EntryPoint:
    """One attribute to wrap.

    Args:
        module: The module that holds the attribute, which is wrapped when the module is imported, if not yet.
        name: The attribute's dotted path in the module.
        wrapper: Called as ``wrapper(wrapped, instance, args, kwargs)``.
        owner: An object whose attribute is wrapped, instead of that of the imported module.
        direct: Returns, given what is wrapped, the function that a call runs: for a method that C code implements, a
            call on an instance; for a function of a module, which then gets the wrapper itself as first argument.
            wrapt's own way costs several times as much. Where C code implements the function, too, there is no proxy,
            which alone costs as much again as a quick call.
    """

    def __init__(
        self,
        module: str,
        name: str,
        wrapper: Wrapper,
        owner: object = None,
        direct: Callable[[Any], Callable[..., Any]] | None = None,
    ) -> None:
        self.module = module
        self.name = name
        self.wrapper = wrapper
        self.owner = owner
        self.direct = direct
        self._made: tuple[object, type[Any]] | None = None
        # Where we have wrapped it or found it wrapped, and our wrapper if it replaced what stood there itself.
        self._targets: list[tuple[object, str, object]] = []
        self._wanted = False

    def install(self) -> None:
        """Wrap the attribute, unless a wrapper of ours is still (or again) in place."""
        load()
        self._wanted = True
        target = self.owner if self.owner is not None else sys.modules.get(self.module)
        if target is not None:
            self._install(target)
        if self.owner is None:
            on_import(self.module, self._install)

    def _install(self, target: object) -> None:
        with writing.lock:
            if self._wanted:  # else the last guard ended while another thread was importing the module
                self._wrap(target)

    def _wrap(self, target: object) -> None:
        import wrapt

        try:
            holder, attribute, current = wrapt.resolve_path(target, self.name)
        except AttributeError:  # this platform or version has no such entry point
            return
        there, replacing = getattr(holder, "__dict__", {}), None
        # Undoing another tool's patch late may bring an old wrapper of ours back: use it again, never wrap twice.
        if not hasattr(current, "__wrapped__") or not wrapt.is_wrapped_by(current, predicate=self._is_ours):
            own = attribute in there
            try:
                factory: Callable[..., Any] = _proxy()
                args: tuple[Any, ...] = (self.wrapper,)
                if self.direct is not None and type(current) is FunctionType and isinstance(holder, ModuleType):
                    factory = self._function_proxy(current)
                elif self.direct is not None and type(current) is BuiltinFunctionType:
                    factory = functools.partial(_plain, self)
                elif self.direct is not None and type(current) is MethodDescriptorType:
                    factory, args = _method_proxy(), (self.wrapper, functools.wraps(current)(self.direct(current)))
                _writing(holder, lambda: wrapt.wrap_object(target, self.name, factory, args))
            except TypeError:  # a type that can't be changed
                return
            made = there.get(attribute)
            if isinstance(holder, ModuleType) and isinstance(made, _proxy()):
                made._self_home = (holder.__name__, attribute)
            replacing = made if own else None
        if all(known is not holder for known, _, _ in self._targets):
            self._targets.append((holder, attribute, replacing))

    def _function_proxy(self, function: Any) -> type[Any]:
        """Return a class of wrappers for one function of a module."""
        if self._made is None or self._made[0] is not function:  # it is wrapped again with each guard in turn
            assert self.direct is not None
            call = functools.wraps(function)(self.direct(function))
            self._made = function, type("Function", (_proxy(),), {"__slots__": (), "__call__": call})
        return self._made[1]

    def _is_ours(self, link: object) -> bool:
        home = link.__self__ if type(link) is MethodType else None
        wrapper = home.wrapper if type(home) is _Home else getattr(link, "_self_wrapper", None)
        return wrapper is self.wrapper

    def remove(self) -> None:
        """Remove our wrapper; if another tool has wrapped or replaced it, it stays in place and does nothing."""
        off_import(self.module, self._install)
        with writing.lock:
            self._wanted = False
            targets, self._targets = self._targets, []
            for holder, attribute, made in targets:
                self._unwrap(holder, attribute, made)

    def _unwrap(self, holder: object, attribute: str, made: Any) -> None:
        import wrapt

        here: Any = getattr(holder, "__dict__", {}).get(attribute)
        if made is not None and here is made:  # the usual case: nobody has touched it
            wrapped = here.__wrapped__
            _writing(holder, lambda: setattr(holder, attribute, wrapped))
            return
        with contextlib.suppress(AttributeError, wrapt.WrapperNotOutermostError):
            _, _, current = wrapt.resolve_path(holder, attribute)
            handle = wrapt.find_wrapper(current, predicate=self._is_ours)
            if handle is not None:
                _writing(holder, lambda: wrapt.unwrap_object(holder, attribute, handle, missing_ok=True))


class _Home:
    """What a plain wrapper is bound to, so that it is no method in a class that has it as an attribute."""

    def __init__(self, module: str, wrapper: Wrapper) -> None:
        self.module = module
        self.wrapper = wrapper

    def __getattr__(self, name: str) -> Any:
        """Return what the module has, as copying a bound method asks for."""
        return getattr(sys.modules[self.module], name)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Home:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the module: a bound method is pickled as an attribute of what it is bound to."""
        return importlib.import_module, (self.module,)


def _plain(entry_point: EntryPoint, wrapped: Any, wrapper: Wrapper) -> Any:
    """Return a wrapper that is no proxy."""
    import inspect

    assert entry_point.direct is not None
    function: Any = entry_point.direct(wrapped)
    function.__annotations__ = {}
    function.__signature__ = inspect.signature(function)
    functools.update_wrapper(function, wrapped)
    return MethodType(function, _Home(entry_point.module, wrapper))


@functools.cache
def _proxy() -> type[Any]:
    """Return the class of our wrappers: wrapt's, but they pickle and copy like the wrapped function."""
    import wrapt

    class Bound(wrapt.BoundFunctionWrapper[..., Any]):
        __slots__ = ()

        def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
            wrapped = self.__wrapped__
            if isinstance(wrapped, FunctionType):  # a method read from its class: each access creates a new object
                owner, _, name = wrapped.__qualname__.rpartition(".")
                return getattr, (operator.attrgetter(owner)(sys.modules[wrapped.__module__]), name)
            return wrapped.__reduce_ex__(protocol)

        def __copy__(self) -> Any:
            return self

        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            owner = self._self_instance
            return self if owner is None else getattr(copy.deepcopy(owner, memo), self.__name__)

    class Proxy(wrapt.FunctionWrapper[..., Any]):
        __slots__ = ()
        __bound_function_wrapper__ = Bound

        def __getattribute__(self, name: str) -> Any:
            if name == "__module__":  # pickle looks up the name in this module; that of `os.system` would be "posix"
                home: tuple[str, str] | None = getattr(self, "_self_home", None)
                return self.__wrapped__.__module__ if home is None else home[0]
            return super().__getattribute__(name)

        def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
            wrapped, home = self.__wrapped__, getattr(self, "_self_home", None)
            if home is not None:
                return str(home[1])
            if isinstance(wrapped, FunctionType):  # by its name, under which unpickling finds the wrapper
                return str(wrapped.__qualname__)
            return wrapped.__reduce_ex__(protocol)

        def __copy__(self) -> Any:
            return self

        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            return self

    return Proxy


@functools.cache
def _method_proxy() -> type[Any]:
    """Return the class of our wrappers on methods of C code: on an instance they are a plain method."""
    import wrapt

    class Method(wrapt.FunctionWrapper[..., Any]):
        __slots__ = ("_self_direct",)

        def __init__(self, wrapped: Any, wrapper: Wrapper, direct: Callable[..., Any]) -> None:
            super().__init__(wrapped, wrapper)
            set_direct(self, direct)

        def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
            # This runs for each access on an instance: nothing here may cost more than it must.
            if instance is None:
                return super().__get__(instance, owner)
            return MethodType(direct_of(self), instance)

    slot: Any = vars(Method)["_self_direct"]
    direct_of, set_direct = slot.__get__, slot.__set__  # wrapt's own way to attributes is several times slower
    return Method


_IMMUTABLE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE, which every static type has, too
_FLAGS: Final = 18  # the index of tp_flags among the fields of PyTypeObject, each as large as a pointer
_VECTORCALL: Final = 47  # the index of tp_vectorcall

_constructors: dict[type, int] = {}  # tp_vectorcall of types whose __init__ is wrapped


def _writing(holder: object, write: Callable[[], object]) -> None:
    """Change an attribute, even of an extension type, whose methods normally can't be set.

    Nothing else affects such a method everywhere: early imports, subclasses and ``isinstance`` use the type itself. The
    flag that forbids the change is cleared for this one assignment; the interpreter then updates its method caches and
    slots as for any class.

    Raises:
        TypeError: The type can't be changed on this interpreter.
    """
    if not isinstance(holder, type) or not holder.__flags__ & _IMMUTABLE:
        write()
        return
    flags = _field(holder, _FLAGS)
    if sys.implementation.name != "cpython" or flags.value != holder.__flags__:
        raise TypeError(f"cannot set attributes of {holder!r}")  # an unknown memory layout: don't write to it
    before = vars(holder).get("__init__")
    flags.value &= ~_IMMUTABLE
    try:
        write()
    finally:
        flags.value |= _IMMUTABLE
    if vars(holder).get("__init__") is not before:
        _let_init_be_called(holder)


def _let_init_be_called(cls: type) -> None:
    """Disable a type's ``tp_vectorcall`` while its ``__init__`` is wrapped: Cython's does not call ``__init__``."""
    import wrapt

    if not _field(list, _VECTORCALL).value or _field(object, _VECTORCALL).value:
        raise TypeError(f"cannot tell how {cls!r} is constructed")
    short_cut = _field(cls, _VECTORCALL)
    if isinstance(vars(cls).get("__init__"), wrapt.FunctionWrapper):
        if short_cut.value:
            _constructors[cls] = short_cut.value
            short_cut.value = 0
    elif cls in _constructors:
        short_cut.value = _constructors.pop(cls)


def _field(cls: type, index: int) -> Any:
    """Return a field of a type's C structure, counted from behind the object header and ``ob_size``."""
    import ctypes

    size = ctypes.sizeof(ctypes.c_void_p)
    kind = ctypes.c_ulong if index == _FLAGS else ctypes.c_size_t
    return kind.from_address(id(cls) + object.__basicsize__ + (1 + index) * size)


def install_all(entry_points: Iterable[EntryPoint]) -> None:
    """Wrap each entry point."""
    for entry_point in entry_points:
        entry_point.install()


def remove_all(entry_points: Iterable[EntryPoint]) -> None:
    """Unwrap each entry point, the last one first."""
    for entry_point in reversed(list(entry_points)):
        entry_point.remove()
