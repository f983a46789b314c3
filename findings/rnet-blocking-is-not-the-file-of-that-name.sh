#!/usr/bin/env bash
# rnet.blocking is not the file blocking.py of the package: the native module puts another into sys.modules, and no import of it ever happens.
#
# Versions: rnet 2.4.2, on CPython 3.11.
# Behaviour: rnet ships rnet/blocking.py. `import rnet` loads its native module, which, as PyO3's submodules do that want to be importable, writes
#   `rnet.blocking` into sys.modules. `from .blocking import *` finds that one: the file is never executed, finders and loaders on sys.meta_path are not
#   asked for the name, and the module has no __spec__ and no __file__. `importlib.util.find_spec("rnet.blocking")` raises ValueError, and
#   `importlib.reload` does, too. Its classes say that they are of `builtins`.
# For who writes import hooks (instrumentation, wrapt.when_imported, lazy loading): the hook for this name is never called. Look at sys.modules when
#   the parent has been imported.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rnet==2.4.2 wrapt==2.5.2
cat >"$work/look.py" <<'EOF'
import importlib.util
import pathlib
import sys

import wrapt

asked, called = [], []


class Finder:
    def find_spec(self, name, path=None, target=None):
        asked.append(name)


sys.meta_path.insert(0, Finder())
for name in ("rnet", "rnet.rnet", "rnet.blocking"):
    wrapt.register_post_import_hook(lambda module, name=name: called.append(name), name)
import rnet

module = sys.modules["rnet.blocking"]
file = pathlib.Path(rnet.__file__).with_name("blocking.py")
print(f"{file.name} is there: {file.exists()}; in sys.modules: {module!r}, spec {module.__spec__}, file {getattr(module, '__file__', None)}")
print(f"finders were asked for {[name for name in asked if name.startswith('rnet')]}; hooks called for {called}")
print(f"rnet.BlockingClient is of {rnet.BlockingClient.__module__}")
assert file.exists()
assert module.__spec__ is None
assert not hasattr(module, "__file__")
assert "rnet.rnet" in asked
assert "rnet.blocking" not in asked
assert "rnet.blocking" not in called
assert {"rnet", "rnet.rnet"} <= set(called)
assert rnet.BlockingClient.__module__ == "builtins"
try:
    importlib.util.find_spec("rnet.blocking")
except ValueError as error:
    print("find_spec:", error)
else:
    raise AssertionError
EOF
"$work/venv/bin/python" "$work/look.py"
