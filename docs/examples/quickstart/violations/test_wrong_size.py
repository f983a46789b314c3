"""A small test that reaches a server on this machine: it is a medium one."""

import pytest
from users import fetch_name


@pytest.mark.small
def test_fetches_a_name(service: str) -> None:
    assert fetch_name(7, service) == "user 7"
