"""``network_guard``: the guard as a decorator, for functions, coroutines, generators and classes."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_test_categories._attribution import origin, stack
from pytest_test_categories._guard import NetworkGuard
from pytest_test_categories._host import wrapping
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Self

    Signature = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]

_T = TypeVar("_T")

_FRAMEWORK_METHODS: Final = (
    # unittest
    *("runTest", "setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown"),
    # pytest's xunit style
    *("setup_method", "teardown_method", "setup_class", "teardown_class"),
)


class network_guard(NetworkGuard):  # noqa: N801 - a context manager and decorator, named as it is used
    """Limit code to the network that a test size permits: a context manager and a decorator.

    Use it with ``with``, with ``async with``, or as a decorator of a function, method, coroutine function, generator,
    async generator or test class. The decorator keeps the signature, and each call has its own guard. A coroutine or
    generator is guarded while it runs, not while it is created.

    Args:
        size: ``"small"`` (no network), ``"medium"`` (this machine only), ``"large"`` or ``"xlarge"`` (everything),
            or a ``TestSize``.
        mode: ``"strict"`` (raise an error, and raise it again at the end if the code caught it), ``"warn"`` or
            ``"off"``, or an ``EnforcementMode``. The default is the test run's mode, or else the environment variable
            ``TEST_CATEGORIES_ENFORCEMENT``, or else strict.
        allow: Entries that widen the size, such as ``"postgres:5432"``, ``"10.0.0.0/8"`` or
            ``"unix:/var/run/docker.sock"``.
        only: Entries such as ``"staging.example.com:443"``: of what the size and ``allow`` permit, only these.

    Raises:
        ValueError: A size, mode or entry is not one of the choices.
        NetworkAccessViolationError: In strict mode, at the refused call, and again at the end if the code inside
            caught it.
    """

    def __call__(self, target: _T) -> _T:
        """Guard a function or a test class.

        Raises:
            TypeError: The target can't be guarded, or is a fixture (swap the two decorators).
        """
        guarded: _T = decorate(self, target)
        return guarded

    def fresh(self) -> NetworkGuard:
        """Return a new guard with the same settings."""
        only = self._only[0] if self._only else None
        return NetworkGuard(self.size, self._mode, allow=self._allow, only=only)


def decorate(guard: network_guard, target: Any) -> Any:
    """Return a guarded version of ``target``.

    Raises:
        TypeError: It can't be guarded.
    """
    if type(target).__name__ == "FixtureFunctionDefinition":
        raise TypeError(
            f"network_guard stands above @pytest.fixture at {target!r}: swap the two, so that it decorates the function"
        )
    if isinstance(target, type):
        return _decorate_class(guard, target)
    if isinstance(target, (classmethod, staticmethod)):
        return type(target)(decorate(guard, target.__func__))
    if not callable(target):
        raise TypeError(f"network_guard decorates functions and classes, not {target!r}")
    wrapping.load()
    import wrapt

    return wrapt.FunctionWrapper(target, _runner(guard, target))


class _Call:
    """One call of a decorated function, from its first step to its last, under its own guard.

    Args:
        guard: The decorator.
        label: The label for violations of a call outside of any test.
        place: Where the function is defined.
    """

    def __init__(self, guard: network_guard, label: str, place: stack.Place | None) -> None:
        self._guard = guard.fresh()
        where = f"@{self._guard!r}" + ("" if place is None else f" at {place.text(runtime.root())}")
        here = origin.charge()
        if here is not None and here.scopes and not here.unattributed:
            label = here.scopes[0].test
        self._scope = self._guard.open(label=label, where=where)

    def step(self) -> contextlib.AbstractContextManager[object]:
        """Make the guard's scope current for one step of a function, coroutine or generator."""
        return contextlib.nullcontext() if self._scope is None else self._scope.entered()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        __tracebackhide__ = True
        if self._scope is not None and self._scope.open:
            self._guard.shut(self._scope, error)


def _runner(guard: network_guard, target: Any) -> Signature:
    code = getattr(inspect.unwrap(target), "__code__", None)
    place = None if code is None else stack.Place(code.co_filename, code.co_firstlineno, code.co_name)
    begin = functools.partial(_Call, guard, getattr(target, "__qualname__", repr(target)), place)
    if inspect.isasyncgenfunction(target):
        return _generator_runner(begin, _drive_async_generator)
    if inspect.isgeneratorfunction(target):
        return _generator_runner(begin, _drive_generator)
    if inspect.iscoroutinefunction(target):
        return _coroutine_runner(begin)
    return _function_runner(begin)


def _function_runner(begin: Callable[[], _Call]) -> Signature:
    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        with begin() as call, call.step():
            result = wrapped(*args, **kwargs)
        # Another decorator may wrap a coroutine function in a plain function.
        return _drive(begin, lambda: result) if inspect.iscoroutine(result) else result

    return run


def _coroutine_runner(begin: Callable[[], _Call]) -> Signature:
    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _drive(begin, lambda: wrapped(*args, **kwargs))

    return run


async def _drive(begin: Callable[[], _Call], make: Callable[[], Any]) -> Any:
    __tracebackhide__ = True
    with begin() as call, call.step():
        return await make()


def _generator_runner(begin: Callable[[], _Call], drive: Callable[[Callable[[], _Call], Any], Any]) -> Signature:
    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return drive(begin, wrapped(*args, **kwargs))

    return run


def _drive_generator(begin: Callable[[], _Call], generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    __tracebackhide__ = True
    with begin() as call:
        try:
            with call.step():
                item = next(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with call.step():
                        generator.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - whatever was thrown in is thrown on
                    with call.step():
                        item = generator.throw(thrown)
                else:
                    with call.step():
                        item = generator.send(sent)
        except StopIteration as end:
            return end.value


async def _drive_async_generator(
    begin: Callable[[], _Call], generator: AsyncGenerator[Any, Any]
) -> AsyncGenerator[Any, Any]:
    __tracebackhide__ = True
    with begin() as call:
        try:
            with call.step():
                item = await anext(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with call.step():
                        await generator.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - whatever was thrown in is thrown on
                    with call.step():
                        item = await generator.athrow(thrown)
                else:
                    with call.step():
                        item = await generator.asend(sent)
        except StopAsyncIteration:
            return


def _decorate_class(guard: network_guard, cls: type[Any]) -> type[Any]:
    for name in dir(cls):
        if not (name.startswith("test") or name in _FRAMEWORK_METHODS):
            continue
        raw = inspect.getattr_static(cls, name)
        if name in vars(object) or not (callable(raw) or isinstance(raw, (classmethod, staticmethod))):
            continue
        if isinstance(raw, type):
            continue
        setattr(cls, name, decorate(guard, raw))
    return cls
