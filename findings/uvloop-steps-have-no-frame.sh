#!/usr/bin/env bash
# Under uvloop the frame behind a task's coroutine is that of whoever called run(): nothing stands for the event loop in between.
#
# Versions: uvloop 0.23.0 against asyncio of CPython 3.11 or newer.
# Behaviour: in a task, walking sys._getframe().f_back outwards meets asyncio's Handle._run, BaseEventLoop._run_once and run_until_complete before the
#   caller of run(). Under uvloop, which is compiled, the coroutine's frame is followed at once by the caller of loop.run_until_complete(). So
#   traceback.print_stack(), warnings' stacklevel, logging's stacklevel and inspect.stack() in a task that a library made find a line of the program that
#   has nothing to do with it, and look as if it had called the library. For a callback of call_soon() the same.
# For who tests: "the nearest line of ours" is found by stopping at the current task's own coroutine (asyncio.current_task().get_coro().cr_frame), not by
#   looking for the loop's functions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0

cat >"$work/look.py" <<'EOF'
import asyncio
import sys
import warnings

import uvloop


def names():
    frame, found = sys._getframe(1), []
    while frame is not None:
        found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found


async def job():
    return names()


async def main():
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(names()))
    return await asyncio.create_task(job()), await done


def program(loop):
    return loop.run_until_complete(main())


for make in (asyncio.new_event_loop, uvloop.new_event_loop):
    loop = make()
    task, callback = program(loop)
    loop.close()
    print(type(loop).__module__, "task:", task, "callback:", callback)
    if make is uvloop.new_event_loop:
        assert task == ["job", "program", "<module>"], task
        assert callback == ["<lambda>", "program", "<module>"], callback
    else:
        for found in (task, callback):
            assert found[1:4] == ["_run", "_run_once", "run_forever"], found
            assert found[-3:] == ["run_until_complete", "program", "<module>"], found
EOF
"$work/venv/bin/python" "$work/look.py"
