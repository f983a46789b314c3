import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"


def parcels(*arguments):
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    return subprocess.run(
        [sys.executable, "-m", "parcels", *arguments], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize("grams, price", [("100", "1.8"), ("1000", "4.5")])
def test_price(grams, price):
    assert parcels("price", grams).stdout.strip() == price


def test_usage():
    assert parcels().returncode == 2
