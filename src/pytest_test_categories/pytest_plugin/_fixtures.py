"""Fixtures of broad scope: set-up and tear-down are held to the smallest size among the tests that use them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from pytest_test_categories._attribution import origin, tasks
from pytest_test_categories._attribution.origin import Scope, ScopeKind, current
from pytest_test_categories._attribution.stack import identity
from pytest_test_categories._guard import finish
from pytest_test_categories._ledger.records import Delivery
from pytest_test_categories._rules.address import Reach
from pytest_test_categories._rules.errors import NetworkAccessViolationError
from pytest_test_categories._rules.named_tuples import NamedTuple
from pytest_test_categories._rules.policy import Attempt, Policy, TestSize, decide
from pytest_test_categories._runtime import runtime
from pytest_test_categories.pytest_plugin import _private

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories._report.findings import Use
    from pytest_test_categories._sizing.held import Use as HeldUse
    from pytest_test_categories.pytest_plugin._options import Settings
    from pytest_test_categories.pytest_plugin._phases import Phases
    from pytest_test_categories.pytest_plugin._sizes import Sizes

    Key: TypeAlias = tuple[int, int]  # identity of the fixture definition, index of its parameter


_UNSIZED: Final = len(TestSize)
_LAST: Final = operator.itemgetter(-1)

# Broad fixtures of pytest's own that touch nothing.
_HARMLESS: Final = frozenset(
    {
        "pytestconfig",
        "tmp_path_factory",
        "tmpdir_factory",
        "record_testsuite_property",
        "doctest_namespace",
    }
)


class Held:
    """The size that a fixture is held to.

    Args:
        rank: The rank of the size; for no size, the number after the last rank.
        by: Node id of the test because of which it is that size; if only the file of ``--network-fixtures`` knows that
            test, with the name of the file.
        ranks: For an autouse fixture: how many tests of each rank use it. None for others.
    """

    __slots__ = ("by", "rank", "ranks")

    def __init__(self, rank: int, by: str, ranks: dict[int, int] | None = None) -> None:
        self.rank = rank
        self.by = by
        self.ranks = ranks


class _Fixture(NamedTuple):
    """A fixture definition that has its own guard.

    Attributes:
        name: The name of the fixture.
        key: The key of its first parameter.
        label: The fixture as ``HOME::NAME (scope)``.
        autouse: Whether every test gets it.
        alone: Whether the name needs only one key: no parameters, and no overridden fixture that it requests.
    """

    name: str
    key: Key
    label: str
    autouse: bool
    alone: bool


class FixturePlan:
    """Computes, from all collected items, the size that each broad fixture is held to."""

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        self._declared = dict(settings.fixture_sizes)
        self._sizes = sizes
        self._held: dict[Key, Held] = {}
        self._known: Mapping[tuple[str, int], Held] = {}
        self._simple: dict[int, _Fixture | None] = {}  # by identity of the definition
        # By rank of a test, the identities of the definitions for which such a test changes nothing.
        self._settled: list[set[int]] = [set() for _ in range(_UNSIZED + 1)]
        self._definitions: list[Any] = []

    def needed(self, session: pytest.Session) -> bool:
        """Tell whether any test uses, or may request dynamically, a broad fixture that could touch the network."""
        if any(fixture is not None for fixture in self._simple.values()):
            return True
        return any(map(self.guards, _private.own_definitions(session)))

    def guards(self, definition: Any) -> bool:
        """Tell whether a fixture has its own guard: those of broad scope, and those with a declared size."""
        name = definition.argname
        return name in self._declared or (definition.scope != "function" and name not in _HARMLESS)

    def uses(self, item: pytest.Item) -> tuple[Use, ...]:
        """Return the fixtures with their own guard that an item uses, in the form of recordings."""
        from pytest_test_categories._report.findings import Use  # few runs need it, so none pays for it at import

        by_name = _private.fixtures_of(item)
        found = [one for name, definitions in by_name.items() for one in self._in_use(name, definitions)]
        if not found:
            return ()
        indices = _private.parameter_indices(item) or {}
        asked = self._asked_for(item, by_name) if any(map(_private.is_autouse, found)) else None
        return tuple(
            Use(
                f"{one.argname} ({one.scope})",
                _private.home_of(one),
                indices.get(one.argname, 0),
                autouse=_private.is_autouse(one),
                relaxed=_private.is_autouse(one) or (asked is not None and one.argname not in asked),
                declared=one.argname in self._declared,
                place=_private.place_of(one),
            )
            for one in found
        )

    def _in_use(self, name: str, definitions: Sequence[Any]) -> Iterator[Any]:
        """Yield the guarded definitions of a name that a test uses: an override may request those it overrides."""
        for definition in reversed(definitions):
            if self.guards(definition):
                yield definition
            if name not in definition.argnames:
                break

    def broad_labels(self, item: pytest.Item) -> tuple[tuple[str, str], ...]:
        """Return an item's fixtures with their own guard as ``NAME (scope)``, the form of reports, and their homes."""
        found = ((name, _private.fixtures_of(item)[name][-1]) for name in self.broad_names(item))
        return tuple((f"{name} ({one.scope})", _private.home_of(one)) for name, one in found)

    def broad_names(self, item: pytest.Item) -> tuple[str, ...]:
        """Return the names of the fixtures with their own guard that an item uses."""
        return tuple(name for name, found in _private.fixtures_of(item).items() if self.guards(found[-1]))

    def start_from(self, known: Mapping[tuple[str, int], Held]) -> None:
        """Start from what is known of tests that may not be collected, by label of the fixture and parameter."""
        self._known = known

    def held_uses(self, item: pytest.Item) -> list[HeldUse]:
        """Return the broad fixtures that an item uses, without those with a declared size."""
        from pytest_test_categories._sizing.held import Use as HeldUse

        return [
            HeldUse(fixture.label, index, relaxed)
            for fixture, index, relaxed in self._uses_of(item, _private.fixtures_of(item))
            if fixture.name not in self._declared
        ]

    def open_ended(self, *, in_files: bool) -> list[str]:
        """Return the fixtures that tests which were not collected could hold to another size, each with its size.

        Args:
            in_files: Whether the tests of a file may have been left out, too.
        """
        return sorted(
            f"{fixture.label} is {'unsized' if held.rank == _UNSIZED else list(TestSize)[held.rank].value}"
            for (definition, _), held in self._held.items()
            if (fixture := self._simple.get(definition)) is not None
            and fixture.name not in self._declared
            and (held.rank > 0 if held.ranks is None else held.rank < _UNSIZED)
            and (in_files or ".py" not in fixture.label)
        )

    def compute(self, items: list[pytest.Item]) -> None:
        """Compute the sizes from all collected items, including those that are about to be deselected."""
        settled = self._settled
        for item, size, by_name in zip(
            items, self._sizes.of_each(items), _private.fixtures_of_each(items), strict=True
        ):
            rank = _UNSIZED if size is None else size.rank
            # All of it in C: there are many tests, and most of them change nothing.
            if not settled[rank].issuperset(map(identity, map(_LAST, by_name.values()))):
                self._take(item, by_name, rank)

    def _take(self, item: pytest.Item, definitions: Mapping[str, Sequence[Any]], rank: int) -> None:
        """Apply the size of an item that may change what a fixture is held to."""
        single = _private.parameter_indices(item) is None
        for fixture, index, relaxed in self._uses_of(item, definitions):
            held = self._note((fixture.key[0], index), fixture.label, rank, item, relaxed=relaxed)
            if single and fixture.alone and held.ranks is None:
                self._settle(fixture.key[0], held.rank)

    def _uses_of(
        self, item: pytest.Item, definitions: Mapping[str, Sequence[Any]]
    ) -> Iterator[tuple[_Fixture, int, bool]]:
        """Yield the broad fixtures of an item, the index of the parameter, and whether it gets them as autouse only."""
        broad = self._broad_of(definitions)
        indices = _private.parameter_indices(item)
        asked = self._asked_for(item, definitions) if any(fixture.autouse for fixture in broad) else None
        for fixture in broad:
            index = 0 if indices is None else indices.get(fixture.name, 0)
            yield fixture, index, fixture.autouse or (asked is not None and fixture.name not in asked)

    def _settle(self, definition: int, rank: int) -> None:
        """Note that no test of this rank or above changes what a fixture definition is held to."""
        for done in self._settled[rank:]:
            done.add(definition)

    def _broad_of(self, definitions_by_name: Any) -> list[_Fixture]:
        found = []
        simple = self._simple
        for name, definitions in definitions_by_name.items():
            last = definitions[-1]
            try:
                fixture = simple[identity(last)]
            except KeyError:
                fixture = self._look_at(name, last)
            if fixture is not None:
                found.append(fixture)
            if name in last.argnames:  # an override that requests the fixture it overrides
                found += self._overridden(name, definitions)
        return found

    def _look_at(self, name: str, definition: Any) -> _Fixture | None:
        """Return the record of a definition; None if it needs no guard of its own."""
        fixture = None
        if self.guards(definition):
            autouse = _private.is_autouse(definition)
            alone = not (autouse or definition.params or name in definition.argnames)
            fixture = _Fixture(name, (identity(definition), 0), _label(definition), autouse, alone)
        elif name not in definition.argnames:
            self._settle(identity(definition), 0)
        self._simple[identity(definition)] = fixture
        self._definitions.append(definition)  # keeps it alive while its identity is a key
        return fixture

    def _overridden(self, name: str, definitions: Any) -> list[_Fixture]:
        found = []
        for definition in reversed(definitions[:-1]):
            fixture = self._simple.get(identity(definition)) or self._look_at(name, definition)
            if fixture is not None:
                found.append(fixture)
            if name not in definition.argnames:
                break
        return found

    def _asked_for(self, item: pytest.Item, definitions: Mapping[str, Sequence[Any]]) -> set[str]:
        """Return the fixtures that a test requests other than through broad autouse fixtures."""
        initial, arguments = _private.names_of(item)
        pending = [name for name in initial if name in arguments or not self._is_broad_autouse(definitions.get(name))]
        for mark in item.iter_markers("usefixtures"):
            pending += mark.args
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name in found:
                continue
            found.add(name)
            for definition in definitions.get(name, ())[-1:]:
                pending += definition.argnames
        return found

    def _is_broad_autouse(self, definitions: Any) -> bool:
        fixture = self._simple.get(identity(definitions[-1])) if definitions else None
        return fixture is not None and fixture.autouse

    def _note(self, key: Key, label: str, rank: int, item: pytest.Item, *, relaxed: bool) -> Held:
        held = self._held.get(key)
        if held is None and (known := self._known.get((label, key[1]))) is not None:
            held = self._held[key] = Held(known.rank, known.by, None if known.ranks is None else {})
        if held is None:
            held = self._held[key] = Held(rank, item.nodeid, {rank: 1} if relaxed else None)
        elif relaxed:
            if held.ranks is not None:
                held.ranks[rank] = held.ranks.get(rank, 0) + 1
                if rank > held.rank:
                    held.rank, held.by = rank, item.nodeid
        elif held.ranks is not None or rank < held.rank:  # a test requests it by name
            held.rank, held.by, held.ranks = rank, item.nodeid, None
        return held

    def size_of(self, item: pytest.Item) -> TestSize | None:
        """Return the size of a test itself."""
        return self._sizes.of(item)

    def of(self, definition: Any, index: int, item: pytest.Item) -> Held:
        """Return the size that a fixture is held to when ``item`` causes its set-up."""
        declared = self._declared.get(definition.argname)
        if declared is not None:
            return Held(declared.rank, "test_categories_fixture_sizes")
        size = self._sizes.of(item)
        rank = _UNSIZED if size is None else size.rank
        key = (identity(definition), index)
        held = self._held.get(key)
        if held is None or (held.ranks is None and rank < held.rank):  # requested dynamically: it counts from now on
            self._definitions.append(definition)
            held = self._note(key, _label(definition), rank, item, relaxed=False)
        return held


def _label(definition: Any) -> str:
    name = f"{definition.argname} ({definition.scope})"
    return f"{place}::{name}" if (place := _private.place_of(definition)) else name


class FixtureGuard:
    """Guards broad fixtures; registered only if there are any."""

    def __init__(self, plan: FixturePlan, run: Run, phases: Phases) -> None:
        self._plan = plan
        self._run = run
        self._phases = phases
        self.notes: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        """Hold a broad fixture to its size during its set-up, and later during its tear-down."""
        if not self._plan.guards(fixturedef):
            return (yield)
        __tracebackhide__ = True
        scope = self._open(fixturedef, request)
        # Finalizers run in reverse order: this one runs last, and the one with _enter_teardown runs first.
        fixturedef.addfinalizer(lambda: self._leave_teardown(scope, fixturedef))
        outer = current.get()
        scope.entered(phase=True).__enter__()
        error: BaseException | None = None
        try:
            return (yield)
        except BaseException as raised:
            error = raised
            raise
        finally:
            fixturedef.addfinalizer(lambda: self._enter_teardown(scope))
            self._leave_setup(scope, outer, error, fixturedef)

    def _open(self, definition: Any, request: Any) -> Scope:
        item = _private.item_of(request)
        held = self._plan.of(definition, getattr(request, "param_index", 0), item)
        size = None if held.rank == _UNSIZED else list(TestSize)[held.rank]
        policy = self._phases.policy(size, getattr(item, "cls", None) if definition.scope == "class" else None)
        fixture = f"{definition.argname} ({definition.scope})"
        test = self._phases.label(item)
        home = _private.home_of(definition)
        policy = self._phases.with_known(policy, test, fixture, home)
        scope = Scope(ScopeKind.FIXTURE, policy, test, parent=self._run.base)
        scope.fixture, scope.fixture_home = fixture, home
        scope.held_by = held.by
        own = self._plan.size_of(item)
        scope.test_size = "" if own is None else own.value
        scope.file = getattr(getattr(definition.func, "__code__", None), "co_filename", "")
        if held.ranks is not None:
            self._observe(scope, held)
        return scope

    def _observe(self, scope: Scope, held: Held) -> None:
        """Note what an autouse fixture reaches that smaller tests, which also get it, may not reach."""
        ranks = held.ranks or {}
        smaller = [
            size for size in TestSize if size.rank < min(held.rank, TestSize.LARGE.rank) and ranks.get(size.rank)
        ]
        if not smaller:
            return

        def observe(attempt: Attempt) -> None:
            standing = [
                size
                for size in smaller
                if not decide(Policy(size, allow=scope.policy.allow if scope.policy else ()), attempt).permitted
            ]
            if not standing or attempt.reach is Reach.NOWHERE:
                return
            note = self.notes.setdefault(scope.fixture, {"targets": [], "tests": 0})
            target = str(attempt.endpoint)
            if target not in note["targets"] and len(note["targets"]) < 20:  # noqa: PLR2004 - a note, not a log
                note["targets"].append(target)
            note["tests"] = max(note["tests"], sum(ranks[size.rank] for size in standing))

        scope.observe = observe

    def _leave_setup(self, scope: Scope, outer: Scope | None, error: BaseException | None, definition: Any) -> None:
        __tracebackhide__ = True
        inner = current.get()
        scope.entered(phase=True).__exit__()
        if inner is not None and inner is not scope and inner.open and scope in inner.chain:
            # The fixture has entered a guard and not left it: it encloses the tests that follow.
            self._run.standing.insert(0, inner)
            current.set(outer)
            origin.changed()
        scope.open, scope.held = False, True
        scope.closer = 0
        tasks.claim(None)
        try:
            self._finish(scope, error)
        except NetworkAccessViolationError as ours:
            if not _private.keep_error(definition, ours):
                self._phases.broken[definition] = ours
            raise

    def _enter_teardown(self, scope: Scope) -> None:
        scope.open = True
        scope.entered(phase=True).__enter__()

    def _leave_teardown(self, scope: Scope, definition: Any) -> None:
        __tracebackhide__ = True
        self._phases.broken.pop(definition, None)
        scope.entered(phase=True).__exit__()
        runtime.collect()
        scope.close()
        self._finish(scope, None)

    def _finish(self, scope: Scope, error: BaseException | None) -> None:
        __tracebackhide__ = True
        runtime.collect()
        runtime.note_unwatched(scope)
        if not scope.records:
            return
        if scope not in self._phases.fixture_scopes:
            self._phases.fixture_scopes.append(scope)
        runtime.ledger.deliver(error)
        finish(scope, error)
        Delivery.of_the_rest(list(scope.records.values())).deliver()
