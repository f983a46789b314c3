"""musl's resolver beside a name server that counts: whether it was asked, and what the plugin expects of it.

Runs in a network of its own (``tests/layers/name_server.py``), with the path of ``musl_ask`` as its argument.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.layers import name_server  # the very module that serves

from pytest_test_categories._host.c_library import refuses_name_in_musl
from pytest_test_categories._rules.address import parse_ip

asking: Final = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
SETTLES: Final = 0.002  # seconds in which the server's thread notes the last packet
NAMES: Final = st.one_of(
    st.lists(st.text("abcXYZ019-_*/:@ %[]\\é", max_size=8), min_size=1, max_size=4).map(".".join),
    st.lists(st.integers(1, 66).map("l".__mul__), min_size=1, max_size=6).map(".".join),
)
tried: Final[list[str]] = []


def sends(name: str) -> bool:
    """Look a name up, and tell whether the server was asked."""
    assert asking.stdin is not None
    assert asking.stdout is not None
    print(name.encode("latin-1").hex(), file=asking.stdin, flush=True)
    asking.stdout.readline()
    time.sleep(SETTLES)
    return bool(name_server.asked())


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(NAMES)
@example("t.example")
@example("t.example.")
@example("[::1]")
@example("localhost:8080")
@example("a b.example")
@example("*.example.com")
@example("/")
@example("-leading.example")
@example("two..dots")
@example(".leading")
@example("l" * 63 + ".example")
@example("l" * 64 + ".example")
@example(".".join(["l" * 62] * 4))
@example(".".join(["l" * 63] * 4))
@example("256.1.1.1")
@example("1.2.3.4.5")
def compare(name: str) -> None:
    """Hold one name against the library."""
    if not name or name.rstrip(".") == "localhost" or parse_ip(name) is not None or is_number(name):
        return
    tried.append(name)
    assert sends(name) == (not refuses_name_in_musl(name)), (
        f"{name!r}: sent {not refuses_name_in_musl(name)} was expected"
    )


def is_number(name: str) -> bool:
    """Tell whether the library reads an address of fewer parts, as `127.1` or `0x7f.1`."""
    parts = name.split(".")
    return len(parts) <= 4 and all(part[:1].isdigit() for part in parts)


assert sends("t.example")  # else nothing is counted
compare()
print(f"musl agrees about {len(tried)} names")
