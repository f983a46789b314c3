"""Suggested sizes as commands of Bazel's ``buildozer``, one for each test target.

Bazel blocks the external network, and not this machine's own, for actions with the tag ``block-network``;
``requires-network`` permits it where the sandbox blocks it by default.
Source: https://bazel.build/reference/be/common-definitions, "tags".
"""

from __future__ import annotations

import shlex
from itertools import groupby
from typing import TYPE_CHECKING, Final

from pytest_test_categories._report.model import SIZES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_test_categories._sizing.suggest import Suggestion

_BAZEL: Final = {**{size: size for size in SIZES}, "xlarge": "enormous"}
_LOCAL: Final = frozenset({"small", "medium"})


def commands(suggestions: Iterable[Suggestion], label: str = "", current: str = "", part: str = "") -> Iterator[str]:
    """Yield a line for each test target: a command, or a comment of the shell if the run does not determine the size.

    Args:
        suggestions: The result of ``suggest``.
        label: The target that the run was; if it is empty, each file is a target that has its name without ``.py``.
        current: The size of that target, if known: a larger one is certain even if not everything was observed.
        part: Why the run had only some of the target's tests, such as ``shard 1 of 4``; empty if it had all.
    """
    every = sorted(suggestions, key=lambda s: s.file)
    if label:
        groups = [(label, every)] if every else []
    else:
        groups = [(_label_of(file), list(group)) for file, group in groupby(every, key=lambda s: s.file)]
    for target, members in groups:
        size = _size(members, current)
        gaps = [part] if part else []
        gaps += sorted({reason for member in members for reason in member.unobserved})
        if gaps and not (current and SIZES.index(size) > SIZES.index(current)):
            yield f"# {target}: at least {_BAZEL[size]}; not all of it was observed: {', '.join(gaps)}"
        else:
            yield _command(target, size)


def _size(members: Sequence[Suggestion], current: str) -> str:
    """Return the smallest size of a target with these tests; xlarge permits what large does, and is kept."""
    size = max((member.needs for member in members), key=SIZES.index)
    kept = current == "xlarge" or any("xlarge" in member.sizes for member in members)
    return "xlarge" if size == "large" and kept else size


def _label_of(file: str) -> str:
    package, _, name = file.rpartition("/")
    return f"//{package}:{name.removesuffix('.py')}"


def _command(target: str, size: str) -> str:
    tag, other = ("block-network", "requires-network") if size in _LOCAL else ("requires-network", "block-network")
    words = ("buildozer", f"set size {_BAZEL[size]}", f"add tags {tag}", f"remove tags {other}", target)
    return shlex.join(words)
