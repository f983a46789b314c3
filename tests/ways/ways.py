"""The list of ways by which a test can reach the network, read from ``list/``.

Each file is a group. Its cells begin with a line ``# %% id | title | key=value ...``; what follows is the code of a
test, with or without ``def test_...``. Keys:

- ``needs``: modules, and programs as ``program:NAME``, without which the way is not available.
- ``only``: ``foreign`` or ``local``, for ways that have one sort of target.
- ``plugins``: pytest plugins to load.
- ``token``: the way uses a connection that was open before; the escape is what it sends.
- ``shown``: how reports may spell the target, beside its usual forms.
- ``answered``: the size whose tests get an answer without the network: nothing is sent, and nothing to report.
- ``package``, ``with``, ``note``: of the survey of native clients, in ``tests/ecosystem/native``.

A cell may go on with further files, each behind its name: ``# conftest.py``. ``early.py`` is
imported before the plugin; ``# settings.ini`` adds to the project's settings.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.ways import world

LIST: Final = Path(__file__).with_name("list")
VARIANTS: Final = ("small-foreign", "small-local", "medium-foreign")
KEYS: Final = {"needs", "only", "plugins", "token", "shown", "answered", "package", "with", "note"}


class Way(NamedTuple):
    """One way to reach the network."""

    id: str
    group: str
    title: str
    code: str
    needs: tuple[str, ...] = ()
    only: str = ""
    plugins: tuple[str, ...] = ()
    token: bool = False
    shown: tuple[str, ...] = ()
    answered: str = ""
    package: str = ""
    beside: tuple[str, ...] = ()
    note: str = ""

    @property
    def digest(self) -> str:
        """What a kept proof that the way leads out holds for."""
        said = repr((self.code, self.needs, self.only, self.plugins, self.token))
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def missing(self) -> str:
        """Return what this machine lacks for it, empty if nothing."""
        lacking = []
        for need in self.needs:
            kind, colon, name = need.partition(":")
            if kind == "python" and colon:
                there = sys.version_info >= tuple(int(part) for part in name.split("."))
            elif colon:
                there = shutil.which(name) is not None
            else:
                there = _has_module(need)
            if not there:
                lacking.append(f"Python {name}" if kind == "python" and colon else name or need)
        return ", ".join(lacking)

    @property
    def variants(self) -> tuple[str, ...]:
        """The sizes and targets it is tried with."""
        return tuple(variant for variant in VARIANTS if not self.only or variant.endswith(self.only))


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def read(path: Path) -> list[Way]:
    """Return the ways of one file."""
    group = ""
    ways: list[Way] = []
    heading: str | None = None
    lines: list[str] = []

    def finish() -> None:
        if heading is not None:
            ways.append(_way(heading, group, "\n".join(lines).strip("\n") + "\n"))

    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# Group: "):
            group = line.removeprefix("# Group: ")
        elif line.startswith("# %% "):
            finish()
            heading, lines = line.removeprefix("# %% "), []
        else:
            lines.append(line)
    finish()
    return ways


def _way(heading: str, group: str, code: str) -> Way:
    name, title, *settings = (part.strip() for part in heading.split("|"))
    given: dict[str, str] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        given[key] = value
    if unknown := set(given) - KEYS:
        raise ValueError(f"{name}: unknown key {unknown.pop()}")
    return Way(
        id=name,
        group=group,
        title=title,
        code=code,
        needs=tuple(given.get("needs", "").split()),
        only=given.get("only", ""),
        plugins=tuple(given.get("plugins", "").split()),
        token="token" in given,
        shown=tuple(given.get("shown", "").split()),
        answered=given.get("answered", ""),
        package=given.get("package", ""),
        beside=tuple(given.get("with", "").split()),
        note=given.get("note", ""),
    )


def all_ways(folder: Path = LIST) -> list[Way]:
    """Return the whole list, in its order.

    Raises:
        ValueError: An id is given twice.
    """
    ways = [way for path in sorted(folder.glob("*.py")) for way in read(path)]
    ids: set[str] = set()
    for way in ways:
        if way.id in ids:
            raise ValueError(f"two ways are called {way.id}")
        ids.add(way.id)
    return ways


_MODULES: Final = ("asyncio", "contextlib", "os", "socket", "ssl", "subprocess", "sys", "threading", "time")
_TARGET: Final = """\
import pytest

FOREIGN = {foreign!r}
HOST = {host!r}
HOST6 = {host6!r}
NAME = {name!r}
PORT = {port!r}
ADDRESS = (HOST, PORT)
ADDRESS6 = (HOST6, PORT)
URL = f"http://{{HOST}}:{{PORT}}/"
HTTPS = f"https://{{HOST}}:{{PORT}}/"
NETLOC = f"{{HOST}}:{{PORT}}"
TOKEN = {token!r}
UNIX = {unix!r}
"""


def project(way: Way, variant: str, unix: str) -> dict[str, str]:
    """Return the files of a project whose one test goes this way."""
    size, _, where = variant.partition("-")
    foreign = where == "foreign"
    used = [
        name for name in _MODULES if re.search(rf"\b{name}\b", way.code)
    ]  # as in a project: nothing else is imported
    target = "".join(f"import {name}\n" for name in used) + _TARGET.format(
        foreign=foreign,
        host=world.ABROAD if foreign else "127.0.0.1",
        host6=world.ABROAD6 if foreign else "::1",
        name=world.NAME if foreign else "localhost",
        port=world.PORT,
        token=world.TOKEN,
        unix=unix,
    )
    code, *others = re.split(r"^# (\w+\.(?:py|ini))\n", way.code, flags=re.MULTILINE)
    if not any(line.startswith(("def test", "async def test", "class Test")) for line in code.splitlines()):
        code = "def test_way():\n" + "".join(f"    {line}\n" if line else "\n" for line in code.splitlines())
    settings = [
        "[pytest]",
        "markers =",
        "    small: none",
        "    medium: this machine",
        *(["asyncio_default_fixture_loop_scope = function"] if "asyncio" in way.plugins else []),
        "",
    ]
    files = {
        "target.py": target,
        "test_way.py": f"from target import *\n\npytestmark = pytest.mark.{size}\n\n\n{code}",
        "pytest.ini": "\n".join(settings),
    }
    for name, text in zip(others[::2], others[1::2], strict=True):
        if name == "settings.ini":
            files["pytest.ini"] += text
        else:
            files[name] = f"from target import *\n\n{text}"
    return files
