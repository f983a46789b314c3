"""Every test here dials, and must be told so."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import shop

WAYS = [
    pytest.param(way, id=name.removeprefix("by_").removeprefix("under_"))
    for name, way in vars(shop).items()
    if name.startswith(("by_", "under_"))
]


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    nowhere = tmp_path_factory.getbasetemp() / "nowhere"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))


@pytest.mark.small
@pytest.mark.parametrize("way", [way for way in WAYS if not inspect.iscoroutinefunction(way.values[0])])
def test_dials(way: Callable[[], Any]) -> None:
    way()


@pytest.mark.small
@pytest.mark.parametrize("way", [way for way in WAYS if inspect.iscoroutinefunction(way.values[0])])
async def test_dials_async(way: Callable[[], Any]) -> None:
    await way()
