"""``network_guard``: the guard as a decorator, for functions, coroutines, generators and classes."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_test_categories._attribution import origin, stack
from pytest_test_categories._guard import NetworkGuard
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from pytest_test_categories._attribution.origin import Scope

    Signature = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]

_T = TypeVar("_T")

_FRAMEWORK_METHODS: Final = (
    # unittest
    *("runTest", "setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown"),
    # pytest's xunit style
    *("setup_method", "teardown_method", "setup_class", "teardown_class"),
)


class network_guard(NetworkGuard):  # noqa: N801 - a context manager and decorator, named as it is used
    """Hold code to the network that a test size may touch: a context manager and a decorator.

    Use it with ``with``, with ``async with``, or above a function, method, coroutine function, generator, async
    generator or test class. The decorator keeps the signature, and each call is a guard of its own. A coroutine or
    generator is guarded while it runs, not while it is made.

    Args:
        size: ``"small"`` (no network), ``"medium"`` (this machine only), ``"large"`` or ``"xlarge"`` (everything),
            or a ``TestSize``.
        mode: ``"strict"`` (raise, and fail what swallows the error), ``"warn"`` or ``"off"``, or an
            ``EnforcementMode``. Without it the test run's mode holds, else the environment variable
            ``TEST_CATEGORIES_ENFORCEMENT``, else strict.
        allow: Entries that widen the size, such as ``"postgres:5432"``, ``"10.0.0.0/8"`` or
            ``"unix:/var/run/docker.sock"``.

    Raises:
        ValueError: A size, mode or entry is not one of the choices.
        NetworkAccessViolationError: In strict mode: at the refused call, and again at the end if code inside
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
        """Return an unentered guard with the same settings."""
        return NetworkGuard(self.size, self._mode, allow=self._allow)


def decorate(guard: network_guard, target: Any) -> Any:
    """Return ``target`` guarded.

    Raises:
        TypeError: It is nothing that can be guarded.
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
    return _wrap(target, _runner(guard, target))


def _wrap(target: Any, runner: Signature) -> Any:
    import wrapt

    return wrapt.FunctionWrapper(target, runner)


def _runner(guard: network_guard, target: Any) -> Signature:
    code = getattr(inspect.unwrap(target), "__code__", None)
    where = "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"
    label = getattr(target, "__qualname__", repr(target))

    def enter() -> tuple[NetworkGuard, Scope | None]:
        fresh = guard.fresh()
        top = runtime.root()
        filename, _, line = where.rpartition(":")
        return fresh, fresh.open(label=label_of(label), where=f"@{fresh!r} at {stack.relative(filename, top)}:{line}")

    if inspect.isasyncgenfunction(target):
        return _async_generator_runner(enter)
    if inspect.isgeneratorfunction(target):
        return _generator_runner(enter)
    if inspect.iscoroutinefunction(target):
        return _coroutine_runner(enter)
    return _function_runner(enter)


def label_of(name: str) -> str:
    """Return the label of a guarded function: the running test's, if there is one, else its own name."""
    here = origin.charge()
    if here is not None and here.scopes and not here.unattributed:
        return here.scopes[0].test
    return name


def _step(scope: Scope | None) -> contextlib.AbstractContextManager[object]:
    """Make a scope current for one step of a function, coroutine or generator."""
    return contextlib.nullcontext() if scope is None else scope.entered()


def _function_runner(enter: Callable[[], tuple[NetworkGuard, Scope | None]]) -> Signature:
    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        guard, scope = enter()
        error: BaseException | None = None
        try:
            with _step(scope):
                result = wrapped(*args, **kwargs)
        except BaseException as raised:
            error = raised
            raise
        finally:
            _close(guard, scope, error)
        # A plain function around a coroutine function, as other decorators make it.
        return _drive(enter, lambda: result) if inspect.iscoroutine(result) else result

    return run


def _close(guard: NetworkGuard, scope: Scope | None, error: BaseException | None) -> None:
    __tracebackhide__ = True
    if scope is not None and scope.open:
        guard.shut(scope, error)


def _coroutine_runner(enter: Callable[[], tuple[NetworkGuard, Scope | None]]) -> Signature:
    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _drive(enter, lambda: wrapped(*args, **kwargs))

    return run


async def _drive(enter: Callable[[], tuple[NetworkGuard, Scope | None]], make: Callable[[], Any]) -> Any:
    __tracebackhide__ = True
    guard, scope = enter()
    error: BaseException | None = None
    try:
        with _step(scope):
            return await make()
    except BaseException as raised:
        error = raised
        raise
    finally:
        _close(guard, scope, error)


def _generator_runner(enter: Callable[[], tuple[NetworkGuard, Scope | None]]) -> Signature:
    def drive(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        __tracebackhide__ = True
        guard, scope = enter()
        error: BaseException | None = None
        try:
            with _step(scope):
                item = next(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with _step(scope):
                        generator.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - whatever was thrown in is thrown on
                    with _step(scope):
                        item = generator.throw(thrown)
                else:
                    with _step(scope):
                        item = generator.send(sent)
        except StopIteration as end:
            return end.value
        except BaseException as raised:
            error = raised
            raise
        finally:
            _close(guard, scope, error)

    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return drive(wrapped(*args, **kwargs))

    return run


def _async_generator_runner(enter: Callable[[], tuple[NetworkGuard, Scope | None]]) -> Signature:
    async def drive(generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
        __tracebackhide__ = True
        guard, scope = enter()
        error: BaseException | None = None
        try:
            with _step(scope):
                item = await anext(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with _step(scope):
                        await generator.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - whatever was thrown in is thrown on
                    with _step(scope):
                        item = await generator.athrow(thrown)
                else:
                    with _step(scope):
                        item = await generator.asend(sent)
        except StopAsyncIteration:
            return
        except BaseException as raised:
            error = raised
            raise
        finally:
            _close(guard, scope, error)

    def run(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return drive(wrapped(*args, **kwargs))

    return run


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
