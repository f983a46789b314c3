"""What is checked out, and which part of a split suite this machine runs: read from files and variables of CI services.

No program is started: git may be missing, and takes longer than reading a file.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pytest_test_categories._rules.named_tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COMMITS: Final = (
    "GITHUB_SHA",
    "CI_COMMIT_SHA",  # GitLab, Woodpecker
    "CIRCLE_SHA1",
    "BUILDKITE_COMMIT",
    "BITBUCKET_COMMIT",
    "TRAVIS_COMMIT",
    "BUILD_SOURCEVERSION",  # Azure Pipelines
    "DRONE_COMMIT_SHA",
    "SEMAPHORE_GIT_SHA",
    "GIT_COMMIT",  # Jenkins
)
_SHARDS: Final = (
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),  # GitLab
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    ("SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", 1),
    ("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", 1),  # Azure Pipelines
)
"""The variables of the job's number and of the number of jobs, and the number of the first job."""


class Shard(NamedTuple):
    """One of the parts that a suite is split into.

    Attributes:
        index: Its number, from 1.
        total: The number of parts.
    """

    index: int  # type: ignore[assignment]  # a field of ours, not tuple's method
    total: int

    def __str__(self) -> str:
        """Return the form of messages, ``2 of 4``."""
        return f"{self.index} of {self.total}"


def shard_of(environment: Mapping[str, str]) -> Shard | None:
    """Return the part that the variables of a CI service name; None if they name none, or the only one."""
    for index, total, first in _SHARDS:
        number, count = environment.get(index, ""), environment.get(total, "")
        if number.isdecimal() and count.isdecimal() and 0 <= int(number) - first < int(count) and int(count) > 1:
            return Shard(int(number) - first + 1, int(count))
    return None


def commit_of(root: str, environment: Mapping[str, str]) -> str:
    """Return the hash of the commit that is checked out around a directory, else the one that a CI service names.

    Empty if neither is known. Changes that are not committed are not part of it.
    """
    folder = os.path.realpath(root)
    while True:
        if found := _head(os.path.join(folder, ".git")):
            return found
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    return next((environment[name] for name in _COMMITS if _HASH.fullmatch(environment.get(name, ""))), "")


def _head(git: str) -> str:
    """Return the hash of a repository's HEAD; empty if there is no repository, or none that this reads."""
    link = "" if os.path.isdir(git) else _read(git)
    if link.startswith("gitdir:"):  # a worktree or a submodule
        git = os.path.join(os.path.dirname(git), link.removeprefix("gitdir:").strip())
    head = _read(os.path.join(git, "HEAD")).strip()
    if not head.startswith("ref:"):
        return head if _HASH.fullmatch(head) else ""
    name = head.removeprefix("ref:").strip()
    common = os.path.join(git, _read(os.path.join(git, "commondir")).strip())
    for place in (git, common):
        if _HASH.fullmatch(found := _read(os.path.join(place, name)).strip()):
            return found
    packed = (line.partition(" ") for line in _read(os.path.join(common, "packed-refs")).splitlines())
    return next((found for found, _, ref in packed if ref == name and _HASH.fullmatch(found)), "")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""
