"""``python -m pytest_test_categories``: what the project offers outside of a pytest run."""

from __future__ import annotations

import sys

from pytest_test_categories._commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
