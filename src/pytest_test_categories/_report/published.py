"""Makes texts safe to publish: no absolute paths, user names, passwords, query strings, or arguments of programs.

Reports and properties of tests contain only texts from these functions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pytest_test_categories._rules.address import printable, stable_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_test_categories._rules.violation import Violation

# Passwords may contain an @, quotes and brackets, so the match extends to the last @ of the authority. Fragments may
# contain tokens, too. A bracket at the end belongs to a node id.
_URL_USER: Final = re.compile(r"(?<=://)[^\s/?#]*@")
_URL_QUERY: Final = re.compile(r"(://[^\s?#]*)[?#]\S*?(?=\]?(?:\s|$))")
_ABSOLUTE: Final = re.compile(r"^(?:/|[A-Za-z]:[\\/]|\\\\)")
_PROCESS: Final = re.compile(
    r"^(?:child process \d+(?:: )?)?(.*?)(?: \(pid \d+(?:, descendant of the test process)?\))?$", re.DOTALL
)
_SYSTEMS_OWN: Final = ("/run/", "/var/", "/tmp/", "/dev/", "/private/", ".../", "@")  # noqa: S108 - to tell them
_NUMBERED: Final = re.compile(r"^(Thread|ThreadPoolExecutor|asyncio)[-_]\d+(?:_\d+)?(?= \(|$)")
_FORKED: Final = "a forked child"
_NAMELESS: Final = frozenset({_FORKED, "a process"})


def version() -> str:
    """Return the version of this project; ``unknown`` in a source tree that is not installed."""
    from importlib import metadata

    try:
        return metadata.version("pytest-test-categories")
    except metadata.PackageNotFoundError:
        return "unknown"


def redacted(text: str) -> str:
    """Return a text without the user names, passwords, query strings and fragments of its URLs."""
    return _URL_QUERY.sub(r"\1?...", _URL_USER.sub("...@", text)) if "://" in text else text


def publishable(text: str) -> str:
    """Return a text in a form that is safe to publish and that any format can contain: redacted and printable."""
    return text if text.isprintable() and "://" not in text else redacted(printable(text))


def relative_place(place: str) -> str:
    """Return ``path:line`` without an absolute path: outside of the root directory only its last two parts."""
    place = _path(place)
    return ".../" + "/".join(place.split("/")[-2:]) if _ABSOLUTE.match(place) else place


def program_of(process: str) -> str:
    """Return the program of a child process, without the process id and the arguments."""
    if not process:
        return ""
    match = _PROCESS.match(process)
    command = match[1].strip() if match else process
    if command in _NAMELESS:
        return command
    words = command.split()
    return _path(words[0]).rpartition("/")[2] if words else _FORKED


def _path(text: str) -> str:
    """Return a path with forward slashes and U+FFFD for unprintable characters: escapes would add backslashes."""
    text = text.replace("\\", "/")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def is_plain(node: str) -> bool:
    """Tell quickly whether a node id needs no change to be published."""
    return node.isprintable() and "://" not in node and "\\" not in node and node[:1] != "/" and node[1:2] != ":"


def published_id(test: str) -> str:
    """Return a node id in a form that is safe to publish."""
    file, colons, inside = publishable(test).partition("::")
    return (relative_place(file) if _ABSOLUTE.match(file) else file) + colons + inside


def published_target(target: str) -> str:
    """Return a target in a form that is safe to publish; a unix socket's path in a form that is stable across runs."""
    if target.startswith("unix:"):
        path = stable_target(target).removeprefix("unix:")
        target = f"unix:{path if path.startswith(_SYSTEMS_OWN) else relative_place(path)}"
    return publishable(target)


def _thread_name(thread: str) -> str:
    """Return a thread's name without the numbers that Python gives: they differ where another test runs first."""
    return publishable(_NUMBERED.sub(r"\1", thread))


def _place_of_guard(guard: str) -> str:
    return relative_place(guard.rpartition(" at ")[2])


_PARTS: Final[dict[str, Callable[[str], str]]] = {
    "test": published_id,
    "target": published_target,
    "address": publishable,
    "location": relative_place,
    "function": printable,
    "called_from": relative_place,
    "thread": _thread_name,
    "process": program_of,
    "fixture": publishable,
    "fixture_home": relative_place,
    "held_by": published_id,
    "guard": _place_of_guard,
    "importing": publishable,
    "late": publishable,
    "request": publishable,
    "replace": publishable,
}


def published(violation: Violation) -> Violation:
    """Return a violation in a form that is safe to publish."""
    parts: dict[str, Any] = {}
    for name, publish in _PARTS.items():
        if text := getattr(violation, name):
            parts[name] = publish(text)
    return violation._replace(**parts)
