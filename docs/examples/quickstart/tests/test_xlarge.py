"""Extra large: any network, and more time."""

import pytest
from users import fetch_name


@pytest.mark.xlarge
def test_serves_many_users(service: str) -> None:
    for user_id in range(100):
        assert fetch_name(user_id, service) == f"user {user_id}"
