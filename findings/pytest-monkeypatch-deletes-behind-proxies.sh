#!/usr/bin/env bash
# pytest 9.2's monkeypatch.setattr() on Django's `cache` or `connection` or Dynaconf's settings deletes the attribute at the test's end; 9.1 put it back.
#
# Versions: pytest 9.1.1 and 9.2.0 with Django 5.2.19, dynaconf 3.3.5, wrapt 2.5.2 and Werkzeug 3.1.9, CPython 3.11.7.
# Behaviour: 9.2 looks into the target's own `__dict__` for what to put back, and if the name isn't there, it takes the value for a class's and undoes the
#   patch by delattr(). These proxies have a `__dict__` of their own, without the attributes of what they stand for, and hand setattr() and
#   delattr() on: so the undoing deletes the attribute of the real object, which has been there before. The test that patches passes; tests after it fail
#   with AttributeError, "'LocMemCache' object has no attribute 'default_timeout'". An attribute of the class behind
#   (connection.vendor) comes back, and so does everything where the proxy hands `__dict__` on as well (wrapt, Werkzeug, lazy-object-proxy) or keeps a copy
#   of what it is asked for (django.conf.settings).
# For who tests: patch the object behind (`caches["default"]`, `connections["default"]`), or use unittest.mock.patch.object, which
#   looks once more after it has deleted and puts the value back in each of these cases.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
cat >"$work/look.py" <<'EOP'
import contextlib
import contextvars
import sys
import unittest.mock

import django
import django.conf
import lazy_object_proxy
import pytest
import werkzeug.local
import wrapt

django.conf.settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    COLOUR="blue",
)
django.setup()
from django.core.cache import cache, caches  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils.functional import SimpleLazyObject  # noqa: E402
from dynaconf import Dynaconf  # noqa: E402


class User:
    def __init__(self):
        self.name = "Ann"


def dynaconf_settings():
    made = Dynaconf()
    made.set("COLOUR", "blue")
    return made


def local_proxy():
    variable = contextvars.ContextVar("user")
    variable.set(User())
    return werkzeug.local.LocalProxy(variable)


TARGETS = {
    "django cache": (lambda: cache, "default_timeout", 5, True),
    "django connection": (lambda: connection, "in_atomic_block", True, True),
    "SimpleLazyObject": (lambda: SimpleLazyObject(User), "name", "Bob", True),
    "dynaconf settings": (dynaconf_settings, "COLOUR", "red", True),
    "a class attribute, by django connection": (lambda: connection, "vendor", "mine", False),
    "the cache itself": (lambda: caches["default"], "key_prefix", "mine", False),
    "django settings": (lambda: django.conf.settings, "COLOUR", "red", False),
    "wrapt.ObjectProxy": (lambda: wrapt.ObjectProxy(User()), "name", "Bob", False),
    "werkzeug LocalProxy": (local_proxy, "name", "Bob", False),
    "lazy_object_proxy.Proxy": (lambda: lazy_object_proxy.Proxy(User), "name", "Bob", False),
    "no proxy": (User, "name", "Bob", False),
}


@contextlib.contextmanager
def by_monkeypatch(target, name, value):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(target, name, value)
        yield


def is_kept(patched, make, name, value):
    target = make()
    before = getattr(target, name)
    with patched(target, name, value):
        assert getattr(target, name) == value
    after = getattr(target, name, None)
    assert after in {before, None}
    return after == before


print("pytest", pytest.__version__, "Django", django.__version__)
for title, (make, name, value, is_lost_since_9_2) in TARGETS.items():
    # The mock first: monkeypatch may leave nothing to patch.
    by_mock = is_kept(unittest.mock.patch.object, make, name, value)
    kept = is_kept(by_monkeypatch, make, name, value)
    print(f"  {title:40} {name:16} monkeypatch: {'put back' if kept else 'gone':9} mock: {'put back' if by_mock else 'gone'}")
    assert by_mock
    assert kept == (not is_lost_since_9_2 or sys.argv[1] == "9.1.1")
EOP
"$work/venv/bin/pip" install --quiet --disable-pip-version-check Django==5.2.19 dynaconf==3.3.5 wrapt==2.5.2 Werkzeug==3.1.9 lazy-object-proxy==1.13.0
for version in 9.1.1 9.2.0; do
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$version"
    "$work/venv/bin/python" "$work/look.py" "$version"
done
