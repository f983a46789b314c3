#!/usr/bin/env bash
# A method under a wrapt decorator breaks the signal that it is connected to: blinker and Django raise TypeError at the sending; a static one is never called.
#
# Versions: wrapt 2.5.2 (wheel) with blinker 1.9.0 and Django 5.2.19, CPython 3.11.7.
# Behaviour: each access of a decorated method makes a new BoundFunctionWrapper. It passes for a bound method (inspect.ismethod() is true, `__self__` and
#   `__func__` are there), so that signals keep a weakref.WeakMethod of it. That takes the object apart and puts it together again, when called,
#   as `type(method)(function, instance)`: the type is the wrapper's, which wants a third argument. Connecting succeeds; each
#   send() after it ends in TypeError, "missing required argument 'wrapper'".
#   Of a static method the wrapper is an object that nobody else keeps, unlike the function: blinker's weak reference is dead
#   at once, and no error is seen. Django believes it to be a method and fails in connect(), for want of `__self__`. Plain functions work under the
#   same decorator, and so does everything with weak=False but for Django's static method.
# For who decorates: an instrumentation or a @deprecated of wrapt's on a method that somewhere is a receiver breaks senders far away. Connect
#   a function, a lambda that is kept, or blinker's weak=False.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check wrapt==2.5.2 blinker==1.9.0 Django==5.2.19
cat >"$work/look.py" <<'EOP'
import inspect
import weakref

import blinker
import django
import django.dispatch
import wrapt

called = []


@wrapt.decorator
def passing(wrapped, _instance, args, kwargs):
    return wrapped(*args, **kwargs)


def receivers(decorate):
    class Receivers:
        @decorate
        def method(self, *_args, **_kwargs):
            called.append("method")

        @decorate
        @classmethod
        def class_method(cls, *_args, **_kwargs):
            called.append("class method")

        @decorate
        @staticmethod
        def static_method(*_args, **_kwargs):
            called.append("static method")

    @decorate
    def function(*_args, **_kwargs):
        called.append("function")

    kept = Receivers()
    return kept, {
        "method": lambda: kept.method,
        "class method": lambda: Receivers.class_method,
        "static method": lambda: Receivers.static_method,
        "function": lambda: function,
    }


def outcome(signal, get, send, **settings):
    called.clear()
    try:
        signal.connect(get(), **settings)  # nobody else keeps what get() returns
    except AttributeError as error:
        return f"connect: {error}"
    try:
        send(signal)
    except TypeError as error:
        return f"send: {error}"
    return "called" if called else "never called"


def by_blinker(get, **settings):
    return outcome(blinker.Signal(), get, lambda signal: signal.send(), **settings)


def by_django(get, **settings):
    return outcome(django.dispatch.Signal(), get, lambda signal: signal.send(None), **settings)


print("wrapt", wrapt.__version__, "Django", django.__version__)
found = {}
for title, decorate in (("plain", lambda function: function), ("decorated", passing)):
    kept, made = receivers(decorate)
    for kind, get in made.items():
        outcomes = (by_blinker(get), by_django(get), by_blinker(get, weak=False), by_django(get, weak=False))
        found[title, kind] = outcomes
        for library, seen in zip(("blinker", "django", "blinker, weak=False", "django, weak=False"), outcomes):
            print(f"{title:10} {kind:14} {library:20} {seen}")
    if decorate is passing:
        assert kept.method is not kept.method
        assert inspect.ismethod(kept.method)
        assert weakref.ref(type(kept).static_method)() is None

fails = "send: FunctionWrapperBase() missing required argument 'wrapper' (pos 3)"
no_self = "connect: 'function' object has no attribute '__self__'"
for kind in made:
    assert found["plain", kind] == ("called",) * 4, kind
assert found["decorated", "method"] == (fails, fails, "called", "called")
assert found["decorated", "class method"] == (fails, fails, "called", "called")
assert found["decorated", "static method"] == ("never called", no_self, "called", no_self)
assert found["decorated", "function"] == ("called",) * 4
print("as expected")
EOP
# The references that are left at the exit complain of the interpreter's end; that is not looked at.
"$work/venv/bin/python" -I "$work/look.py" 2>"$work/errors" || { cat "$work/errors"; exit 1; }
