"""How a start of a program is read on Windows, where a command line is one text.

``words_of`` is held to the examples of Microsoft's documentation ("Parsing C command-line arguments") and to what
``subprocess.list2cmdline`` quotes. ``CreateProcess`` itself is a function of the test's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_test_categories._processes.child import pytest_test_categories_child as child

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"abc" d e', ["abc", "d", "e"]),
        (r"a\\b d", ["a\\\\b", "d"]),
        (r"a\\\"b c d", [r"a\\\b c d"]),  # the first is a path: backslashes are plain, and marks quote
        (r"x a\\\"b c d", ["x", 'a\\"b', "c", "d"]),
        (r'x a\\\\"b c" d e', ["x", r"a\\b c", "d", "e"]),
        (r'x a"b"" c d', ["x", 'ab" c d']),
        ('x "a b c" d e', ["x", "a b c", "d", "e"]),
        (r'x "ab\"c" "\\" d', ["x", 'ab"c', "\\", "d"]),
        (r'"C:\Program Files\Python\python.exe" -c ""', [r"C:\Program Files\Python\python.exe", "-c", ""]),
        (r"C:\a\python.exe\ -I", ["C:\\a\\python.exe\\", "-I"]),
        ("x\ta  b ", ["x", "a", "b"]),
        (" a", ["", "a"]),
        ('x "no end', ["x", "no end"]),
        ("x a\\", ["x", "a\\"]),
        ("", []),
    ],
)
def test_a_command_line_is_read_as_windows_reads_it(line: str, words: list[str]) -> None:
    assert child.words_of(line) == words


@given(st.lists(st.text(st.sampled_from('ab \t"\\-é'), max_size=8), max_size=5))
def test_what_subprocess_quotes_is_read_back(words: list[str]) -> None:
    assert child.words_of(subprocess.list2cmdline(["python.exe", *words])) == ["python.exe", *words]


class Started:
    """Takes note of what it is asked whether to hand it down, and of the environment that it is handed down in."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Any], tuple[Any, ...], bool]] = []
        self.environment: dict[str, str] = {}

    def hand_down(self, argv: Sequence[Any], files: Sequence[Any], count: bool) -> str:
        self.asked.append((argv, tuple(files), count))
        return "handed"

    def start(
        self,
        application: str | None,
        line: str | None,
        environment: dict[str, str] | None = None,
        module: str = "subprocess",
    ) -> None:
        """Start a program as ``subprocess`` and ``multiprocessing`` do on Windows."""

        def create_process(*args: Any) -> None:
            self.environment = args[6]

        arguments = (application, line, None, None, False, 0, environment, None, None)
        caller: dict[str, Any] = {"__name__": module}
        exec("def start(create_process, *args): create_process(*args)", caller)
        spawning = child.Spawning(self.hand_down, lambda: ("", ""))
        caller["start"](spawning.create_process, create_process, None, arguments, {})


def test_a_quoted_command_line_names_its_program_and_what_it_is_told() -> None:
    started = Started()
    started.start(
        None, subprocess.list2cmdline([r"C:\Program Files\Python\python.exe", "-c", "print(1, 2)"]), {"A": "1"}
    )
    ((argv, files, count),) = started.asked
    assert list(argv) == ["C:/Program Files/Python/python.exe", "-c", "print(1, 2)"]
    assert files[0] == r"C:\Program Files\Python\python.exe"
    assert child.program_name(argv, files) == "python.exe"
    assert count
    assert started.environment["A"] == "1"
    assert started.environment[child.VARIABLE] == "handed"


def test_a_worker_of_multiprocessing_is_known_by_who_starts_it() -> None:
    started = Started()
    # As popen_spawn_win32 writes it.
    line = " ".join(f'"{word}"' for word in spawn.get_command_line(parent_pid=1, pipe_handle=2))
    started.start(sys.executable, line, module="multiprocessing.popen_spawn_win32")
    started.start(sys.executable, line)
    assert [count for _argv, _files, count in started.asked] == [False, True]
    # The interpreter behind a virtual environment's, which it starts instead.
    base = "/base/python"
    with mock.patch.object(sys, "_base_executable", base), mock.patch.object(os, "name", "nt"):
        assert child.is_this_interpreter([base])
    with mock.patch.object(sys, "_base_executable", base):
        assert not child.is_this_interpreter([base])


def test_a_program_that_is_named_without_its_suffix_may_be_a_file_with_it() -> None:
    started = Started()
    started.start(None, r"C:\tools\make all")
    assert started.asked[0][1] == (r"C:\tools\make", r"C:\tools\make.exe")
    started.start(r"C:\with blanks\make", None)
    assert started.asked[1][:2] == (["C:/with blanks/make"], (r"C:\with blanks\make", r"C:\with blanks\make.exe"))
