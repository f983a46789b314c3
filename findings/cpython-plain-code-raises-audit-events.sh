#!/usr/bin/env bash
# Plain Python code raises audit events by the hundred: copy.deepcopy() one per object, logging one per frame, repr() of a dataclass one; json, pickle and mock none.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0, which agree; each Python of this machine is tried, from 3.11 to 3.13.
# Behaviour: two kinds of event come from code that has nothing to do with the system.
#   - `builtins.id`, by each call of id(): copy.deepcopy() of a list of 100 integers raises 104 of them, of one integer 1, of a dataclass with two fields
#     12; repr() of a dataclass 1 (the guard against recursion), but repr() of a deque, dict or OrderedDict 0; pprint, inspect.signature() and
#     traceback.TracebackException a few.
#   - `object.__getattr__`, by reading `frame.f_code`; and by no other attribute of a frame: f_locals, f_globals and f_back raise nothing. Alike
#     tb_frame (not tb_next), the `_code` and `_frame` of generators, coroutines and asynchronous generators (not what they wait for), and a function's __code__,
#     __defaults__ and __kwdefaults__ (not __globals__ or __closure__). So the rest that a hook may want to know of its caller is free
#     to read, and the name of the file isn't. logger.warning() raises 4 where the logger's level lets it through and 0 where it doesn't,
#     traceback.extract_stack() one per frame.
# For who adds an audit hook: a hook written in Python is called for each of them, and can't be taken off. What it costs a
#   program is a matter of how much that program copies and logs, not of how many files and sockets it opens. A hook is called for the events that
#   it raises itself, too: one that calls id() or reads `f_code` before it has looked at the event's name calls itself without end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import collections
import copy
import dataclasses
import inspect
import json
import logging
import pickle
import pprint
import sys
import traceback
import types
import unittest.mock

events = []
is_on = False
nested = None


def hook(event, args):
    if is_on:
        events.append(args[1] if event == "object.__getattr__" else event)
        if nested and len(events) < 3:
            nested()


def raised_by(function):
    global is_on
    function()  # what it imports or remembers is done
    events.clear()
    is_on = True
    try:
        function()
    finally:
        is_on = False
    return dict(collections.Counter(events))


def function(value=1, *, option=2):
    return value


def generator():
    yield


async def coroutine():
    pass


async def asynchronous_generator():
    yield


@dataclasses.dataclass
class Point:
    x: int = 1
    y: str = "2"


try:
    raise KeyError
except KeyError as error:
    caught = error

waiting = coroutine()
parts = {
    "frame": sys._getframe(),
    "code": sys._getframe().f_code,
    "traceback": caught.__traceback__,
    "generator": generator(),
    "coroutine": waiting,
    "async generator": asynchronous_generator(),
    "function": function,
    "method": pprint.PrettyPrinter().pformat,
    "module": sys,
    "exception": caught,
}
logger = logging.getLogger("colour")
logger.addHandler(logging.NullHandler())
logger.propagate = False
point, numbers = Point(), list(range(100))
calls = {
    "copy.deepcopy(1)": lambda: copy.deepcopy(1),
    "copy.deepcopy(list(range(100)))": lambda: copy.deepcopy(numbers),
    "copy.deepcopy(dataclass)": lambda: copy.deepcopy(point),
    "copy.copy(dataclass)": lambda: copy.copy(point),
    "repr(dataclass)": lambda: repr(point),
    "repr(OrderedDict), repr(deque)": lambda: (repr(collections.OrderedDict(a=1)), repr(collections.deque("a"))),
    "pprint.pformat({'a': [1, 2]})": lambda: pprint.pformat({"a": [1, 2]}),
    "inspect.iscoroutinefunction": lambda: inspect.iscoroutinefunction(function),
    "logger.warning()": lambda: logger.warning("x"),
    "logger.debug()": lambda: logger.debug("x"),
    "json, both ways": lambda: json.loads(json.dumps({"a": numbers})),
    "pickle, both ways": lambda: pickle.loads(pickle.dumps(numbers)),
    "Mock().method()": lambda: unittest.mock.Mock().method(),
}

sys.addaudithook(hook)
print(sys.version.split()[0])
attributes = {title: [name for name in dir(part) if raised_by(lambda: getattr(part, name, None))] for title, part in parts.items()}
for title, names in attributes.items():
    print(f"  reading of {title}: {', '.join(names) or 'none'}")
counts = {title: raised_by(call) for title, call in calls.items()}
for title, count in counts.items():
    print(f"  {title:32} {count or 'none'}")
frames = len(traceback.extract_stack())
stack = raised_by(traceback.extract_stack)
waiting.close()
in_hook = {}
for title, nested in {"id(1)": lambda: id(1), "frame.f_code": lambda: parts["frame"].f_code, "frame.f_globals": lambda: parts["frame"].f_globals}.items():
    in_hook[title] = sum(raised_by(lambda: id(1)).values())
    print(f"  one id(), and a hook that does {title} at each event but the third: called {in_hook[title]} times")

assert in_hook == {"id(1)": 3, "frame.f_code": 3, "frame.f_globals": 1}, in_hook
assert attributes == {
    "frame": ["f_code"],
    "code": [],
    "traceback": ["tb_frame"],
    "generator": ["gi_code", "gi_frame"],
    "coroutine": ["cr_code", "cr_frame"],
    "async generator": ["ag_code", "ag_frame"],
    "function": ["__code__", "__defaults__", "__kwdefaults__"],
    "method": [],
    "module": [],
    "exception": [],
}, attributes
assert counts == {
    "copy.deepcopy(1)": {"builtins.id": 1},
    "copy.deepcopy(list(range(100)))": {"builtins.id": 104},
    "copy.deepcopy(dataclass)": {"builtins.id": 12},
    "copy.copy(dataclass)": {},
    "repr(dataclass)": {"builtins.id": 1},
    "repr(OrderedDict), repr(deque)": {},
    "pprint.pformat({'a': [1, 2]})": {"builtins.id": 3},
    "inspect.iscoroutinefunction": {"__code__": 1},
    "logger.warning()": {"sys._getframe": 1, "f_code": 4},
    "logger.debug()": {},
    "json, both ways": {},
    "pickle, both ways": {},
    "Mock().method()": {},
}, counts
assert stack == {"sys._getframe": 1, "f_code": frames + 1}, (stack, frames)  # and the frame of raised_by()
EOP
"$here/../tests/platforms/suite" --list | while read -r version python; do
    case $version in 3.11 | 3.12 | 3.13) "$python" -I -W ignore "$work/look.py" ;; esac
done
