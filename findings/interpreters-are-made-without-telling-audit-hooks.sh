#!/usr/bin/env bash
# The audit event `cpython.PyInterpreterState_New` reaches no hook of Python's from CPython 3.13 on; until 3.12 it did.
#
# Versions: CPython 3.11.7, 3.12.1, 3.13.0, 3.14.10, 3.15.2; each Python of this machine is tried, from 3.11 on.
# Behaviour: sys.addaudithook() in the main interpreter, then `_xxsubinterpreters.create()` (until 3.12) or `_interpreters.create()`, by
#   which concurrent.interpreters and InterpreterPoolExecutor make theirs. Until 3.12 the hook is called with the event that the
#   audit events table lists. From 3.13 on it is called with no event at all: the new interpreter is made while no thread
#   state is attached, and only hooks that C code has added are asked then.
# For who watches by audit hooks: a hook is of one interpreter, and neither sees another one being made nor what happens in there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/make.py" <<'EOP'
import sys

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

told = []
sys.addaudithook(lambda event, arguments: told.append(event))
made = interpreters.create()
seen = list(told)
interpreters.destroy(made)
print(sys.version.split()[0], "told:", ", ".join(seen) or "nothing")
assert seen == ([] if sys.version_info >= (3, 13) else ["cpython.PyInterpreterState_New"]), seen
EOP
"$here/../tests/platforms/suite" --list | while read -r _ python; do "$python" -I "$work/make.py"; done
