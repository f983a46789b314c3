"""What tests of both sizes share: settings of boto, where the servers are."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_DEFAULT_REGION="eu-west-1")
os.environ.pop("AWS_PROFILE", None)


@pytest.fixture(scope="session")
def database_url() -> str:
    return os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def database_dir() -> str:
    return os.environ["DATABASE_DIR"]


@pytest.fixture(scope="session")
def redis_address() -> tuple[str, int]:
    host, _, port = os.environ["REDIS_ADDRESS"].rpartition(":")
    return host, int(port)


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Return a path for a unix socket: those of ``tmp_path`` may be too long for one."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory, "socket")
