"""Large: any network. The program as its users start it; this one happens to stay on this machine."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "users.py"


@pytest.mark.large
def test_program_greets(service: str) -> None:
    done = subprocess.run([sys.executable, PROGRAM, "7", service], capture_output=True, text=True, check=True)
    assert done.stdout == "Hello, user 7!\n"
