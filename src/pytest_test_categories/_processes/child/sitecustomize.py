"""Imported by every Python that a guarded test starts, of whatever version: use only the syntax of Python 2.

Starts the guard in versions that support it. Then it restores the path that the program expects, and imports the
``sitecustomize`` that would have been imported without this one.
"""

import os
import sys


def _begin(directory):  # type: (str) -> None
    if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
        try:
            import pytest_test_categories_child  # type: ignore[import-not-found]

            pytest_test_categories_child.begin()
        except Exception:  # noqa: BLE001, S110 - the program runs as it would without us, and nobody says it is watched
            pass
    sys.path[:] = [entry for entry in sys.path if entry != directory]


def _chain(mine):  # type: (object) -> None
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - the next one on the path
    except ImportError as error:
        # In Python 2 the error has no name. If a module inside the next sitecustomize is missing, raise that error.
        if getattr(error, "name", str(error).rpartition(" ")[2]) != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = mine  # type: ignore[assignment]


_begin(os.path.dirname(__file__))
_chain(sys.modules.pop("sitecustomize"))
