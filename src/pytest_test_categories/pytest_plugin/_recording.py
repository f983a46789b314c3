"""The first line of a recording: how this run was made, from its settings, options and environment."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from pytest_test_categories._host.checkout import Shard, commit_of, shard_of
from pytest_test_categories._report.published import publishable
from pytest_test_categories._report.recording import Header, Writer, digest_of
from pytest_test_categories.pytest_plugin import _options, _selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from pytest_test_categories._ledger.runs import Run
    from pytest_test_categories.pytest_plugin._options import Settings


def begin(config: pytest.Config, settings: Settings, run: Run, paths: Iterable[str], tool: str) -> tuple[Writer, ...]:
    """Create the recordings at the given paths, each with its first line."""
    header = Header(
        tool,
        run.mode.value,
        _options.layers("kernel" if run.children_watched else ""),
        _compared(settings),
        {name: size.value for name, size in settings.marker_sizes},
        commit_of(run.root, os.environ),
        _shard(config),
        platform.python_version(),
        sys.platform,
        tuple(map(publishable, _selection.chosen(config))),
        tuple(map(publishable, _selection.narrowing(config))),
    )
    found = []
    for path in paths:
        writer = Writer(path, os.path.join(str(config.invocation_params.dir), path))
        writer.begin(header)
        found.append(writer)
    return tuple(found)


def _compared(settings: Settings) -> dict[str, str]:
    """Return the settings in which runs must agree to be combined; lists as digests."""
    size = settings.default_size
    return {
        "test_categories_enforcement": "" if settings.mode is None else settings.mode.value,
        "test_categories_default_size": "" if size is None else size.value,
        "test_categories_marker_sizes": digest_of(sorted(settings.marker_sizes)),
        "test_categories_path_sizes": digest_of(sorted(settings.path_sizes)),
        "test_categories_fixture_sizes": digest_of(sorted(settings.fixture_sizes)),
        "test_categories_network_allow": digest_of(sorted(map(str, settings.allow))),
        "test_categories_network_deny": digest_of(sorted(map(str, settings.deny))),
        "test_categories_network_available": settings.available,
        "test_categories_unwatched": settings.unwatched,
        "test_categories_network_baseline": digest_of(
            sorted(settings.baseline.entries) if settings.baseline is not None else ()
        ),
    }


def _shard(config: pytest.Config) -> Shard | None:
    """Return the part that pytest-split or pytest-shard is to run, else the one that the CI service names."""
    option = config.option
    splits, group = getattr(option, "splits", None), getattr(option, "group", None)
    if splits and group:
        return Shard(group, splits)
    if (getattr(option, "num_shards", None) or 1) > 1:
        return Shard(option.shard_id + 1, option.num_shards)
    return shard_of(os.environ)
