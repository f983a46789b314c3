#!/usr/bin/env bash
# wrapt's post-import hooks are called for a module's first import only: not when it was dropped and imported again, not by a reload.
#
# Versions: wrapt 2.5.2 (wheel), CPython 3.11.7 and 3.13.0.
# Behaviour: register_post_import_hook() and @when_imported() call their hook once. After `del sys.modules[name]` and a second import the
#   module is a new object, with functions and classes of its own, and no hook sees it; importlib.reload() puts new functions into the old one
#   and calls no hook either. A hook that is registered in between is called at once or at the next import, and once again: for the module that
#   is there then.
# For who patches: what a hook has wrapped is unwrapped in the second copy. Test suites make second copies often (pytester, tests of
#   import-time behaviour, reload after an environment variable has changed).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check wrapt==2.5.2
cat >"$work/look.py" <<'EOF'
import importlib
import sys

import wrapt

seen = []


@wrapt.when_imported("colorsys")
def patch(module):
    seen.append(module)
    wrapt.wrap_function_wrapper(module, "rgb_to_hsv", lambda wrapped, _self, args, kwargs: ("patched", *wrapped(*args, **kwargs)))


def is_patched():
    return "patched" in sys.modules["colorsys"].rgb_to_hsv(0, 0, 0)


print("wrapt", wrapt.__version__)
first = importlib.import_module("colorsys")
print("imported:            hooks called", len(seen), "patched", is_patched())
assert (len(seen), is_patched()) == (1, True)

importlib.reload(first)
print("reloaded:            hooks called", len(seen), "patched", is_patched())
assert (len(seen), is_patched()) == (1, False)

del sys.modules["colorsys"]
second = importlib.import_module("colorsys")
print("dropped, once again: hooks called", len(seen), "patched", is_patched())
assert second is not first
assert (len(seen), is_patched()) == (1, False)

wrapt.register_post_import_hook(patch, "colorsys")
print("registered again:    hooks called", len(seen), "patched", is_patched())
assert (len(seen), is_patched()) == (2, True)
EOF
"$work/venv/bin/python" "$work/look.py"
