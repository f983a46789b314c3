"""What pytest itself collects from a directory: each test's size, and where its markers may stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from pytest_test_categories._sizing.apply import Place, Target

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
import json, os
import pytest
from pytest_test_categories._rules.policy import TestSize
from pytest_test_categories._sizing.apply import target_of
from pytest_test_categories._sizing.suggest import function_of
from pytest_test_categories.pytest_plugin._options import Settings
from pytest_test_categories.pytest_plugin._sizes import Sizes

def pytest_collection_finish(session):
    settings = Settings(marker_sizes=tuple((size.value, size) for size in TestSize))
    sizes = Sizes(settings, str(session.config.rootpath))
    found = []
    for item in session.items:
        size = sizes.of(item)
        target = target_of(
            function_of(item.nodeid), str(item.path),
            function=getattr(item, "function", None),
            name=getattr(item, "originalname", item.name),
            classes=[node.obj for node in item.listchain() if isinstance(node, pytest.Class)],
        )
        found.append([item.nodeid, target._replace(current=size.value if size else "")])
    with open(os.environ["COLLECTED_FILE"], "w") as file:
        json.dump(found, file)
"""


class Collected(NamedTuple):
    """The test functions of a directory, and what pytest said if it could not collect it."""

    targets: dict[str, Target]
    sizes: dict[str, str]
    output: str


def collect(root: Path, *arguments: str, python: str = sys.executable, scratch: Path) -> Collected:
    """Collect a directory in a process of its own."""
    scratch.mkdir(exist_ok=True)
    (scratch / "collected_plugin.py").write_text(PLUGIN)
    result = scratch / "collected.json"
    result.unlink(missing_ok=True)
    env = dict(os.environ) | {
        "COLLECTED_FILE": str(result),
        "PYTHONPATH": os.pathsep.join([str(scratch), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    plugins = ["-p", "pytest_test_categories.pytest_plugin", "-p", "collected_plugin", "-p", "no:cacheprovider"]
    command = [python, "-m", "pytest", *plugins, "--collect-only", "-q", *arguments]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=120)
    if not result.exists():
        return Collected({}, {}, done.stdout + done.stderr)
    items = json.loads(result.read_text())
    targets = {test: _target(fields) for test, fields in items}
    return Collected(
        {target.id: target for target in targets.values()},
        {test: target.current for test, target in targets.items()},
        done.stdout + done.stderr,
    )


def _target(fields: list[object]) -> Target:
    test, size, current, module, function, classes, observed = fields
    return Target(
        str(test),
        str(size),
        str(current),
        str(module),
        tuple(Place(*place) for place in function),  # type: ignore[attr-defined]
        tuple(tuple(Place(*place) for place in level) for level in classes),  # type: ignore[attr-defined]
        bool(observed),
    )
