"""Base classes that give a ``unittest.TestCase`` a size: ``class T(SmallTest, unittest.TestCase)``.

They guard each test from ``setUp`` to the last cleanup, and the class's own set-up and tear-down, under
``python -m unittest``, Django's runner and pytest.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_test_categories._decorate import network_guard
from pytest_test_categories._guard import is_skip
from pytest_test_categories._rules.errors import NetworkAccessViolationError
from pytest_test_categories._rules.policy import EnforcementMode, TestSize
from pytest_test_categories._runtime import runtime

if TYPE_CHECKING:
    import unittest
    from collections.abc import Iterator

    from pytest_test_categories._attribution.origin import Scope
    from pytest_test_categories._guard import NetworkGuard

    # The class that follows SizedTest in the method resolution order of a test class.
    _Base = unittest.TestCase
else:
    _Base = object

_CLASS_METHODS = ("setUpClass", "tearDownClass")


class SizedTest(_Base):
    """The common part of the four base classes.

    Attributes:
        network_size: The size; each of the four sets it.
        network_mode: The mode; None for the mode of the run or the environment.
        network_allow: Entries that widen the size for this class, such as ``["postgres:5432"]``.
        network_only: Entries such as ``["staging.example.com:443"]``: of what size and ``network_allow`` permit,
            only these.
    """

    network_size: ClassVar[TestSize]
    network_mode: ClassVar[EnforcementMode | str | None] = None
    network_allow: ClassVar[list[str] | tuple[str, ...] | str] = ()
    network_only: ClassVar[list[str] | tuple[str, ...] | str | None] = None
    _inside = 0  # the depth of nested calls that unittest makes into parts of the test

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Guard the class's own set-up and tear-down."""
        super().__init_subclass__(**kwargs)
        order = [base.__qualname__ for base in cls.__mro__]
        if "TestCase" in order and order.index("TestCase") < order.index("SizedTest"):
            size = next(base.__name__ for base in cls.__mro__ if base.__module__ == __name__)
            raise TypeError(f"the size comes first: class {cls.__name__}({size}, unittest.TestCase)")
        for name in _CLASS_METHODS:
            method = vars(cls).get(name)
            if isinstance(method, classmethod):
                setattr(cls, name, classmethod(_guarded_class_method(method.__func__)))

    @classmethod
    def _guard(cls) -> network_guard:
        return network_guard(cls.network_size, cls.network_mode, allow=cls.network_allow, only=cls.network_only)

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test under its size's guard."""
        if result is not None and type(result).__module__.startswith("_pytest."):
            return super().run(result)  # the plugin guards the test, from its fixtures on
        guard = self._guard()
        self._scope: Scope | None = guard.open(label=self.id())
        if self._scope is None:
            return super().run(result)
        self._guard_in_force: NetworkGuard = guard
        # The first cleanup that is added runs last. It can fail the test if the test caught a violation, whatever
        # unittest reported (a skip, an expected failure, a success).
        self.addCleanup(self._checkpoint)
        with self._scope.entered(phase=True):
            try:
                return super().run(result)
            finally:
                self._end()

    def debug(self) -> None:
        """Run the test under its size's guard, without catching exceptions."""
        with self._guard():
            super().debug()

    def _checkpoint(self) -> None:
        __tracebackhide__ = True
        self._end()

    def _end(self) -> None:
        __tracebackhide__ = True
        scope, self._scope = self._scope, None
        if scope is not None:
            self._guard_in_force.shut(scope, None)

    # unittest catches the exceptions of these four methods, so they must be seen here. IsolatedAsyncioTestCase has the
    # same methods.

    def _callSetUp(self) -> None:  # noqa: N802 - unittest's name
        self._told(super()._callSetUp)  # type: ignore[misc]  # not in typeshed

    def _callTestMethod(self, method: Any) -> None:  # noqa: N802 - unittest's name; any method
        self._told(super()._callTestMethod, method)  # type: ignore[misc]  # not in typeshed

    def _callTearDown(self) -> None:  # noqa: N802 - unittest's name
        self._told(super()._callTearDown)  # type: ignore[misc]  # not in typeshed

    def _callCleanup(self, function: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N802 - unittest's name; any function
        self._told(super()._callCleanup, function, *args, **kwargs)  # type: ignore[misc]  # not in typeshed

    def _told(self, call: Any, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        self._inside += 1
        try:
            call(*args, **kwargs)
        except BaseException as error:
            self._deliver(error)
            raise
        finally:
            self._inside -= 1

    def doCleanups(self) -> Any:  # noqa: N802 - unittest's name; typeshed says None, and it is a bool
        """Run the cleanups; if the test itself calls this, its guard stays until the test ends."""
        cleanups: list[Any] = self._cleanups  # type: ignore[attr-defined]  # not in typeshed
        ours = [cleanup for cleanup in cleanups if cleanup[0] == self._checkpoint] if self._inside else []
        for cleanup in ours:
            cleanups.remove(cleanup)
        try:
            return super().doCleanups()
        finally:
            cleanups[:0] = ours

    @contextlib.contextmanager
    def subTest(self, *args: Any, **kwargs: Any) -> Iterator[None]:  # noqa: N802 - unittest's name and signature
        """Enter a subtest whose failure delivers a violation; a skip does not."""
        with super().subTest(*args, **kwargs):
            try:
                yield
            except BaseException as error:
                self._deliver(error)
                raise

    def _deliver(self, error: BaseException) -> None:
        method = getattr(self, self._testMethodName)
        expected = any(getattr(it, "__unittest_expecting_failure__", False) for it in (self, method))
        if not is_skip(error) and not expected:
            runtime.ledger.deliver(error)

    @classmethod
    def setUpClass(cls) -> None:
        """Set the class up under its size's guard."""
        with cls._guard():
            super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        """Tear the class down under its size's guard."""
        with cls._guard():
            super().tearDownClass()

    @classmethod
    def doClassCleanups(cls) -> None:  # noqa: N802 - unittest's name
        """Run class cleanups under its size's guard."""
        try:
            with cls._guard():
                super().doClassCleanups()
        except NetworkAccessViolationError as error:
            told = (type(error), error, error.__traceback__)
            cls.tearDown_exceptions.append(told)  # type: ignore[attr-defined]  # not in typeshed


def _guarded_class_method(function: Any) -> Any:
    @functools.wraps(function)
    def run(cls: type[SizedTest]) -> Any:
        __tracebackhide__ = True
        with cls._guard():
            return function(cls)

    return run


class _Marks(list[Any]):
    """The marker of a size, created when pytest looks for it, so that unittest works without pytest."""

    def __init__(self, size: TestSize) -> None:
        super().__init__()
        self._size = size

    def __iter__(self) -> Iterator[Any]:
        if not self:
            pytest = sys.modules["pytest"]  # only pytest iterates over markers, so it is imported
            self.append(getattr(pytest.mark, self._size.value).mark)
        return super().__iter__()


class SmallTest(SizedTest):
    """A test that uses no network."""

    network_size = TestSize.SMALL
    pytestmark = _Marks(network_size)


class MediumTest(SizedTest):
    """A test that uses the network of this machine only."""

    network_size = TestSize.MEDIUM
    pytestmark = _Marks(network_size)


class LargeTest(SizedTest):
    """A test that may use any network."""

    network_size = TestSize.LARGE
    pytestmark = _Marks(network_size)


class XLargeTest(SizedTest):
    """A test that may use any network, and may take long."""

    network_size = TestSize.XLARGE
    pytestmark = _Marks(network_size)
