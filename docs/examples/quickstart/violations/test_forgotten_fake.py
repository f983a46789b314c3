"""A small test that forgot to pass a fake: strict mode refuses the look-up of api.example.com before it is made."""

import pytest
from users import greeting


@pytest.mark.small
def test_greets_by_name() -> None:
    assert greeting(7) == "Hello, user 7!"
