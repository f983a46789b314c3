"""Every code block and console transcript of README and docs runs, in a project of its page's own.

How a block is run:

- ``python``, ``toml``, ``ini``, ``make`` with ``title="name"``: written to that file of the page's project;
- ``python`` without a title: a script, which must succeed;
- ``console``: each ``$ command`` is run, and its output compared. A line ``...`` stands for any lines, ``...`` within a
  line for any text; timings, ports and the widths of rules don't count;
- ``yaml``: parsed, and written if it has a title (``test_recipes`` runs the commands in it);
- ``json`` and ``markdown`` below ``<!-- part of: NAME -->``: lines of a file that a command has written, compared as a
  transcript is;
- ``bash`` below ``<!-- ci: NAME -->``: README's commands, which CI and ``test_quickstart`` run; below
  ``<!-- not run: REASON -->``: a command that no test can run.

Comments that a reader doesn't see: ``<!-- file: NAME -->`` names a block's file where a title would not show,
``<!-- run: COMMAND -> TEXT -->`` runs a command, which must succeed and whose output must hold the text
(``<!-- fails: ... -->``: it must fail), ``<!-- new project -->`` starts afresh, ``<!-- plugins: NAMES -->`` loads
pytest plugins beside ours from there on. A project starts with pytest in strict mode.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.docs.test_reference import PAGES as SITE
from tests.docs.test_reference import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ELSEWHERE: Final = {"docs/guides/adopting.md", "docs/guides/any-command.md", "docs/guides/ci.md"}
"""Pages that other tests run: ``tests/ecosystem/test_adopting``, ``tests/kernel/test_run`` and ``test_recipes``."""
PAGES: Final = [page for page in [ROOT / "README.md", *SITE] if page.relative_to(ROOT).as_posix() not in ELSEWHERE]
UNRUN: Final = "not run"
PROJECT: Final = '[tool.pytest.ini_options]\ntest_categories_enforcement = "strict"\n'

_PIECE = re.compile(
    r"<!--\s*(?P<word>file|part of|run|fails|ci|plugins|not run):\s*(?P<value>.*?)\s*-->"
    r"|<!--\s*(?P<new>new project)\s*-->"
    r"|^(?P<indent>[ ]*)```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class ExampleError(Exception):
    """An example does not do what its page says."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A fenced block or a directive, and the line that it starts at."""

    line: int
    kind: str
    text: str
    name: str = ""


def pieces(page: str) -> Iterator[Piece]:
    """Return a page's blocks, each under the name that its title or a comment gives it, and its directives."""
    name = ""
    for match in _PIECE.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        if match["new"]:
            yield Piece(line, "new", "")
        elif match["word"] in {"run", "fails", "plugins"}:
            yield Piece(line, match["word"], match["value"])
        elif match["word"]:
            name = UNRUN if match["word"] == "not run" else match["value"]
        else:
            title = re.search(r'title="([^"]+)"', match["info"])
            text = textwrap.dedent(match["text"])
            yield Piece(line, match["language"] or "nothing", text, title[1] if title else name)
            name = ""


class Project:
    """A directory that holds a page's files, and runs its commands: behind a prefix, if they are to run elsewhere."""

    def __init__(self, directory: Path, prefix: Sequence[str] = ()) -> None:
        self._directory = directory
        self._prefix = prefix
        self.plugins = ["pytest_test_categories.pytest_plugin"]
        self.unused: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        """Begin with an empty project in strict mode."""
        for path in sorted(self._directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.write("pyproject.toml", PROJECT, 0)
        self.unused.clear()

    def write(self, name: str, text: str, line: int) -> None:
        """Write a file that some later command has to use."""
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.unused[name] = line

    def read(self, name: str) -> str:
        """Return a file's text; empty if nothing wrote it."""
        path = self._directory / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def run(self, command: str) -> tuple[str, int]:
        """Run a command line; return what it wrote, and its status."""
        self.unused.clear()
        options = [part for name in (*self.plugins, "no:cacheprovider") for part in ("-p", name)]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {
            "COLUMNS": "88",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTEST_ADDOPTS": shlex.join(options),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for variable in ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "TEST_CATEGORIES_ENFORCEMENT"):
            environment.pop(variable, None)
        done = subprocess.run(
            shlex.join([*self._prefix, "sh", "-c", command]) if self._prefix else command,
            check=False,
            cwd=self._directory,
            env=environment,
            shell=True,
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        return done.stdout, done.returncode


def run_page(page: str, project: Project) -> None:
    """Run a page's examples.

    Raises:
        ExampleError: One of them does something else than the page says, or there is one that nothing runs.
    """
    for piece in pieces(page):
        run_piece(piece, project)
    check_used(project)


def run_piece(piece: Piece, project: Project) -> None:
    """Run one of them.

    Raises:
        ExampleError: As above.
    """
    run = _RUNNERS.get(piece.kind)
    if run is None:
        raise ExampleError(f"line {piece.line}: nothing runs this {piece.kind} block")
    run(piece, project)


def check_used(project: Project) -> None:
    """Check that a command has followed each file.

    Raises:
        ExampleError: None did.
    """
    if project.unused:
        name, line = next(iter(project.unused.items()))
        raise ExampleError(f"line {line}: nothing runs {name}: no command follows it")


def _start(_piece: Piece, project: Project) -> None:
    check_used(project)
    project.start()


def _load(piece: Piece, project: Project) -> None:
    project.plugins += piece.text.split()


def _write(piece: Piece, project: Project) -> None:
    if not piece.name:
        raise ExampleError(f"line {piece.line}: nothing runs this {piece.kind} block: it has no title")
    project.write(piece.name, piece.text, piece.line)


def _run_python(piece: Piece, project: Project) -> None:
    if piece.name:
        _write(piece, project)
        return
    project.write("example.py", piece.text, piece.line)
    output, status = project.run("python example.py")
    if status:
        raise ExampleError(f"line {piece.line}: the script failed:\n{output}")


def _parse_yaml(piece: Piece, project: Project) -> None:
    pytest.importorskip("yaml").safe_load(piece.text)
    if piece.name:
        project.write(piece.name, piece.text, piece.line)
        del project.unused[piece.name]  # settings of another program: no command of ours need use them


def _check_shell(piece: Piece, _project: Project) -> None:
    if piece.name not in {"quickstart", "quick", "test", UNRUN}:
        raise ExampleError(f"line {piece.line}: nothing runs this {piece.kind} block")


def _compare(piece: Piece, project: Project) -> None:
    text = project.read(piece.name)
    if not piece.name or not agrees(piece.text, text):
        raise ExampleError(
            f"line {piece.line}: no part of {piece.name or 'any file'} is this; it holds:\n{text[:4000]}"
        )


def _run_hidden(piece: Piece, project: Project) -> None:
    command, _, wanted = piece.text.partition(" -> ")
    output, status = project.run(command)
    if wanted not in output or (status != 0) != (piece.kind == "fails"):
        what = f"{command!r} did not give {wanted!r}, but status {status} and:\n{output}"
        raise ExampleError(f"line {piece.line}: {what}")


def _run_transcript(piece: Piece, project: Project) -> None:
    parts = re.split(r"^\$ (.*)\n", piece.text, flags=re.MULTILINE)
    if parts[0].strip() or len(parts) == 1:
        raise ExampleError(f"line {piece.line}: a transcript starts with '$ command'")
    for command, expected in zip(parts[1::2], parts[2::2], strict=True):
        output, _ = project.run(command)
        if not agrees(expected, output):
            raise ExampleError(f"line {piece.line}: {command!r} gave:\n{output}\ninstead of:\n{expected}")


_RUNNERS: Final[dict[str, Callable[[Piece, Project], None]]] = {
    "bash": _check_shell,
    "console": _run_transcript,
    "fails": _run_hidden,
    "ini": _write,
    "json": _compare,
    "make": _write,
    "markdown": _compare,
    "new": _start,
    "plugins": _load,
    "python": _run_python,
    "run": _run_hidden,
    "toml": _write,
    "yaml": _parse_yaml,
}


def agrees(expected: str, output: str) -> bool:
    """Tell whether an output is what a transcript shows."""
    pattern = ""
    for line in _normal(expected):
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _normal(output))) is not None


def _normal(text: str) -> list[str]:
    text = re.sub(r"\bin \d+\.\d+s\b", "in 0.00s", text)
    text = re.sub(r"(127\.0\.0\.1|localhost):\d{5}\b", r"\1:PORT", text)
    text = re.sub(r"^=+ (.*?) =+$", r"==== \1 ====", text, flags=re.MULTILINE)
    text = re.sub(r"([_-])\1{3,}", r"\1\1\1\1", text)
    return [re.sub(r" +\[ *\d+%\]$", "", line.rstrip()) for line in text.splitlines() if line.strip()]


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the pages show what pytest 9 prints")
@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES])
def test_the_examples_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    try:
        run_page(page.read_text(encoding="utf-8"), Project(tmp_path))
    except ExampleError as error:
        said = f"{page.relative_to(ROOT)}, {error}"
    else:
        return
    pytest.fail(said, pytrace=False)


_BLOCK = "```{}\n{}\n```\n"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(_BLOCK.format("python", "raise SystemExit(1)"), id="failing script"),
        pytest.param(_BLOCK.format('python title="test_a.py"', "def test_a(): pass"), id="file that no command uses"),
        pytest.param(_BLOCK.format("toml", "a = 1"), id="settings without a name"),
        pytest.param(_BLOCK.format("", "text"), id="block in no language"),
        pytest.param(_BLOCK.format("json", "{}"), id="part of no file"),
        pytest.param(
            "<!-- part of: a.json -->\n" + _BLOCK.format("json", "{}"), id="part of a file that nothing wrote"
        ),
        pytest.param(
            "<!-- run: echo 1 >a.json -->\n<!-- part of: a.json -->\n" + _BLOCK.format("json", "2"),
            id="part that the file does not hold",
        ),
        pytest.param(_BLOCK.format("bash", "true"), id="shell block that CI does not run"),
        pytest.param(_BLOCK.format("console", "$ echo two\none"), id="transcript with another output"),
        pytest.param(_BLOCK.format("console", "one"), id="transcript without a command"),
        pytest.param("<!-- run: echo one -> two -->", id="hidden command with another output"),
        pytest.param("<!-- run: echo one; false -> one -->", id="hidden command that fails"),
        pytest.param("<!-- fails: echo one -> one -->", id="hidden command that does not fail"),
    ],
)
def test_an_example_that_is_wrong_or_not_run_fails(page: str, tmp_path: Path) -> None:
    with pytest.raises(ExampleError):
        run_page(page, Project(tmp_path))


def test_a_transcript_agrees_where_only_what_varies_differs() -> None:
    output = "=========== a ===========\nold.py .   [ 50%]\nx\ny\nat 127.0.0.1:43210\n== 1 passed in 0.33s ==\n"
    assert agrees("===== a =====\nold.py .  [100%]\n...\nat 127.0.0.1:54321\n==== 1 passed in 0.01s ====\n", output)
    assert not agrees("===== b =====\n...\n", output)
    assert not agrees("...\n==== 2 passed in 0.01s ====\n", output)
