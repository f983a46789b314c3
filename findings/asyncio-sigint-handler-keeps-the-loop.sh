#!/usr/bin/env bash
# asyncio: who remembers the signal handlers that were replaced keeps every event loop of asyncio.run(), and in 3.11 gc.get_referrers() does not say so.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0; PYTHON names one of them, else python3 is asked.
# Behaviour: asyncio.run() puts a handler for SIGINT in place and the old one back. Its own is a functools.partial that holds the Runner and, as a
#   keyword, the main task; a task that is done still has its loop, and the loop its selector and its executor. A tool that wraps signal.signal() and
#   keeps what it returns thus keeps a closed loop for each call of asyncio.run(). In 3.11.7 gc.get_referrers(loop) is empty then, though the task is
#   tracked and gc.get_referents(task) has the loop; 3.12.1 and 3.13.0 name the task.
# For who wraps signal.signal(): remember replaced handlers by weak references, which last as long as whoever will put them back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOF'
import asyncio
import gc
import platform
import signal
import sys
import weakref

replaced = []
signal_ = signal.signal


def remember(number, handler):
    before = signal_(number, handler)
    replaced.append(before)
    return before


async def main():
    return weakref.ref(asyncio.get_running_loop())


signal.signal = remember
loops = [asyncio.run(main()) for _ in range(3)]
signal.signal = signal_
gc.collect()
print("CPython", platform.python_version())
print("loops that have ended:", len(loops), "and live on:", sum(loop() is not None for loop in loops))
assert all(loop() is not None and loop().is_closed() for loop in loops)

loop = loops[0]()
task = next(one.keywords["main_task"] for one in replaced if hasattr(one, "keywords"))
refers = any(one is loop for one in gc.get_referents(task))
named = any(one is task for one in gc.get_referrers(loop))
print("the task is done:", task.done(), "| it refers to the loop:", refers, "| get_referrers(loop) names it:", named)
assert task.done() and gc.is_tracked(task) and refers
assert named == (sys.version_info >= (3, 12))

del loop, task
replaced.clear()
gc.collect()
print("once the handlers are forgotten, live on:", sum(loop() is not None for loop in loops))
assert not any(loop() for loop in loops)
EOF
"${PYTHON:-python3}" "$work/look.py"
