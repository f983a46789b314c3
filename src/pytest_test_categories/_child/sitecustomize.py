"""What every Python imports that a guarded test starts, whatever its version: keep it to what Python 2 understands.

Starts the guard where it can run, and then is out of the way: the path is as the program expects it, and the
``sitecustomize`` that would have been imported without this one is.
"""

import os
import sys


def _begin(directory):
    if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
        try:
            import pytest_test_categories_child

            pytest_test_categories_child.begin()
        except Exception:  # the program runs as it would without us; nobody reports it as watched
            pass
    sys.path[:] = [entry for entry in sys.path if entry != directory]


def _chain(mine):
    try:
        import sitecustomize  # noqa: F401 - the next one on the path
    except ImportError as error:
        # Python 2's has no name. What is missing inside the next one is that one's error.
        if getattr(error, "name", str(error).rpartition(" ")[2]) != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = mine


_begin(os.path.dirname(__file__))
_chain(sys.modules.pop("sitecustomize"))
