#!/usr/bin/env bash
# A task of asyncio's C implementation takes any attribute, and has no `__dict__` to find it in.
#
# Versions: CPython 3.11.7, 3.12.1, 3.13.0, 3.14.10, 3.15.2; each Python of this machine is tried, from 3.11 on.
# Behaviour: `task.anything = 1` works and `task.anything` is read back, as with an instance of a class written in Python; but
#   `task.__dict__` raises AttributeError, `vars(task)` TypeError, and `dir(task)` does not list the attribute. The Python
#   implementation of the same class (asyncio.tasks._PyTask) has a `__dict__`. Futures are alike.
# For who looks at objects generically: debuggers, serializers and leak finders that go by vars() or dir() miss what
#   frameworks keep on tasks, and hasattr(task, "__dict__") is no sign that attributes can't be set.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/task.py" <<'EOP'
import asyncio
import sys


def hidden(made):
    made.anything = 1
    assert made.anything == 1
    return not hasattr(made, "__dict__") and "anything" not in dir(made)


async def main():
    loop = asyncio.get_running_loop()
    native = loop.create_task(asyncio.sleep(0))
    python = asyncio.tasks._PyTask(asyncio.sleep(0), loop=loop)
    found = {
        "native task": hidden(native),
        "native future": hidden(loop.create_future()),
        "Python's task": hidden(python),
    }
    await asyncio.gather(native, python)
    assert type(native).__module__ == "_asyncio"
    print(sys.version.split()[0], ", ".join(f"{name}: {'hidden' if is_hidden else 'seen'}" for name, is_hidden in found.items()))
    assert list(found.values()) == [True, True, False], found


asyncio.run(main())
EOP
"$here/../tests/platforms/suite" --list | while read -r _ python; do "$python" -I "$work/task.py"; done
