"""The private directory that child processes report into: it goes away, and nothing that happens to it stops anybody.

Windows removes no file that a process has open: ``unlink`` fails here as it does there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_test_categories._host.system import System
from pytest_test_categories._processes.spool import Spawned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNLINK: Final = System.unlink


@pytest.fixture
def spawned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spawned]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = Spawned(lambda: ("", ""))
    yield found
    found.close()


@pytest.fixture
def home(spawned: Spawned) -> Path:
    """The directory, with two files in it, of which this process reads one."""
    spawned.keep(b'["here", "1"]')
    home = Path(spawned._home)
    (home / "another").write_text("", encoding="ascii")
    assert spawned.receive() == []
    return home


def held(monkeypatch: pytest.MonkeyPatch, times: float) -> Callable[[], int]:
    """Have a process of Windows' hold the reports open for so many attempts to remove them; returns who counts them."""
    attempts = 0

    def unlink(path: str) -> None:
        nonlocal attempts
        if os.path.basename(path).startswith("reports"):
            attempts += 1
            if attempts <= times:
                raise PermissionError(13, "The process cannot access the file")
        UNLINK(path)

    monkeypatch.setattr(System, "unlink", staticmethod(unlink))
    return lambda: attempts


def test_it_is_removed_as_soon_as_nobody_has_its_files_open(
    spawned: Spawned, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = held(monkeypatch, 3)
    spawned.close()
    assert not home.exists()
    assert attempts() == 4


def test_a_file_that_stays_open_stays_alone_and_nobody_is_told(
    spawned: Spawned, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(monkeypatch, float("inf"))
    spawned.close()
    assert [path.name.partition(".")[0] for path in home.iterdir()] == ["reports"]


def test_this_process_has_closed_its_own_files_by_then(
    spawned: Spawned, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((descriptor, _rest),) = spawned._files.values()
    closed = []

    def unlink(path: str) -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        closed.append(path)
        UNLINK(path)

    monkeypatch.setattr(System, "unlink", staticmethod(unlink))
    spawned.close()
    assert len(closed) == 2
    assert not home.exists()


def test_a_program_may_have_closed_them_before(spawned: Spawned, home: Path) -> None:
    ((descriptor, _rest),) = spawned._files.values()
    os.close(descriptor)
    spawned.close()
    assert not home.exists()


def test_closing_what_was_never_made_is_nothing(spawned: Spawned) -> None:
    spawned.expect_fork()
    spawned.close()
    spawned.close()
