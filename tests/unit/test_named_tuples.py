"""Named tuples whose classes are made fast are those of ``typing`` in all that the package uses."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing

import pytest

from pytest_test_categories._rules.named_tuples import NamedTuple


class Ours(NamedTuple):
    """What it is."""

    first: int
    second: str | None = None

    @property
    def whole(self) -> str:
        """Both fields."""
        return f"{self.first}{self.second}"


class Theirs(typing.NamedTuple):
    """What it is."""

    first: int
    second: str | None = None

    @property
    def whole(self) -> str:
        """Both fields."""
        return f"{self.first}{self.second}"


@pytest.mark.parametrize("cls", [Ours, Theirs])
def test_a_named_tuple_is_a_tuple_with_names(cls: type[Ours]) -> None:
    made = cls(1)
    assert made == cls(first=1)
    assert tuple(made) == (1, None)
    assert (made.first, made.second, made.whole) == (1, None, "1None")
    assert made._replace(second="x") == (1, "x")
    assert made._asdict() == {"first": 1, "second": None}
    assert (cls._fields, cls._field_defaults) == (("first", "second"), {"second": None})
    assert cls.__match_args__ == ("first", "second")
    assert not hasattr(made, "__dict__")
    assert repr(made) == f"{cls.__name__}(first=1, second=None)"
    assert (cls.__doc__, cls.__module__, cls.__qualname__) == ("What it is.", __name__, cls.__name__)
    assert str(inspect.signature(cls)) == "(first, second=None)" or str(inspect.signature(cls)).startswith("(first: ")
    for other in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert type(other) is cls
        assert other == made


@pytest.mark.parametrize("cls", [Ours, Theirs])
def test_a_named_tuple_takes_its_fields_and_no_others(cls: type[Ours]) -> None:
    with pytest.raises(TypeError):
        cls()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        cls(1, "x", 2)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        cls(1).first = 2  # type: ignore[misc]
