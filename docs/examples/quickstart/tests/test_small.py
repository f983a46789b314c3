"""Small: no network. The client is injected, so none is needed."""

import pytest
from users import greeting

pytestmark = pytest.mark.small


def test_greets_by_name() -> None:
    assert greeting(7, fetch=lambda user_id: f"user {user_id}") == "Hello, user 7!"


def test_passes_errors_on() -> None:
    def fetch(user_id: int) -> str:
        raise KeyError(user_id)

    with pytest.raises(KeyError):
        greeting(7, fetch)
