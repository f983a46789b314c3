"""Medium: this machine only. The real client talks to a server on loopback."""

import pytest
from users import fetch_name


@pytest.mark.medium
def test_fetches_a_name(service: str) -> None:
    assert fetch_name(7, service) == "user 7"
