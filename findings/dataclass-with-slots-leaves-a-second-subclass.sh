#!/usr/bin/env bash
# `@dataclass(slots=True)` and attrs' `@define` register a class twice: a base's __subclasses__() lists two plugins of one name until the garbage collector has run.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0, each Python of this machine from 3.11 to 3.13; attrs 26.1.0.
# Behaviour: slots can't be added to a class, so the decorator makes a second one and gives that back. The metaclass's __new__, the base's
#   __init_subclass__ and each descriptor's __set_name__ are called for both, the first time for the class that is thrown away.
#   That one is no instance's class and has no slots. It is part of a reference cycle, and `Base.__subclasses__()` lists it
#   until a collection happens to run: two entries before, one after. A registry that __init_subclass__ fills keeps both for good, and
#   isinstance(plugin, registry[0]) is false. dataclass() without slots=True and attrs.define(slots=False) do none of it.
# For who looks for plugins by __subclasses__(): what is found twice, or a "name is taken" in one run and not in the next, may be this. Compare by name, or
#   take the last of a name; `gc.collect()` before looking isn't enough for who registers in __init_subclass__.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import dataclasses
import gc
import sys

try:
    import attrs
except ImportError:
    attrs = None


def look(title, decorate, is_twice):
    registry, named, by_metaclass = [], [], []

    class Meta(type):
        def __new__(meta, name, bases, namespace):
            by_metaclass.append(name)
            return super().__new__(meta, name, bases, namespace)

    class Base(metaclass=Meta):
        __slots__ = ()

        def __init_subclass__(cls):
            registry.append(cls)

    class Descriptor:
        def __set_name__(self, owner, name):
            named.append(owner)

    @decorate
    class Plugin(Base):
        value: int = 1
        descriptor = Descriptor()

    kinds = [isinstance(Plugin(), registered) for registered in registry]
    calls = (by_metaclass.count("Plugin"), len(registry), len(named))
    slots = [registered.__dict__.get("__slots__") is not None for registered in registry]
    del registered_names[:]
    registered_names.extend(cls.__name__ for cls in Base.__subclasses__())
    registry.clear()
    named.clear()
    before = len(registered_names)
    gc.collect()
    after = len(Base.__subclasses__())
    print(f"  {title:26} __new__, __init_subclass__, __set_name__: {calls}  an instance of: {kinds}  __subclasses__: {before}, after a collection {after}")
    assert calls == ((2, 2, 2) if is_twice else (1, 1, 1))
    assert kinds == ([False, True] if is_twice else [True])
    assert slots == ([False, True] if is_twice else [False])
    assert registered_names == ["Plugin"] * (2 if is_twice else 1)
    assert after == 1


registered_names = []
gc.disable()  # else it runs at some time of its own
print(sys.version.split()[0], "attrs", getattr(attrs, "__version__", "isn't there"))
look("no decorator", lambda cls: cls, False)
look("dataclass", dataclasses.dataclass, False)
look("dataclass(slots=True)", dataclasses.dataclass(slots=True), True)
if attrs:
    look("attrs.define", attrs.define, True)
    look("attrs.define(slots=False)", attrs.define(slots=False), False)
EOP
"$here/../tests/platforms/suite" --list | while read -r version python; do
    case $version in 3.11 | 3.12 | 3.13) "$python" -I -S "$work/look.py" ;; esac
done
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check attrs==26.1.0
"$work/venv/bin/python" -I "$work/look.py" | tee "$work/output"
grep -q "attrs.define " "$work/output"
