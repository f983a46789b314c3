import os
import subprocess
import sys
from pathlib import Path

from parcels import cache

SRC = Path(__file__).parents[2] / "src"


def test_recall():
    cache.remember("Q1", {"price": 4.5})
    assert cache.recall("Q1") == {"price": 4.5}


def test_recall_nothing():
    assert cache.recall("Q2") is None


def test_expires():
    cache.remember("Q1", {})
    assert 0 < cache.client().ttl("quote:Q1") <= cache.SECONDS


def test_command_sees_the_quote():
    cache.remember("Q1", {"price": 4.5})
    command = [sys.executable, "-m", "parcels", "quote", "Q1"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(SRC)}
    )
    assert "4.5" in done.stdout
