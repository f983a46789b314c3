#!/usr/bin/env bash
# `from __future__ import annotations` makes NamedTuple and TypedDict classes compile each annotation when the class is made; without it, only those in quotes.
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0, each Python of this machine from 3.11 to 3.13.
# Behaviour, counted by the audit events `compile` and `exec`: the import is said to spare a module the work for its annotations, and does so for
#   ordinary classes, protocols and functions. NamedTuple and TypedDict hand each annotation to typing, which turns a text into a ForwardRef,
#   and that compiles the text at once: three fields are three calls of the compiler at import, and none without the future import (one for a field in quotes). An
#   annotation in quotes is compiled as a literal of text within the text. Nothing is evaluated: no `exec` for them, and names may be undefined.
#   get_type_hints() of an ordinary class compiles and evaluates each of its texts, again at each call; for a NamedTuple the code is there.
#   dataclass(): one compilation and one exec per method it writes until 3.12 (three for a plain one, six if it is frozen, seven with order=True), and from
#   3.13 on one of each for all.
# For who counts: a module of a hundred NamedTuples starts slower with the import, not faster; and an audit hook sees `compile` of "int".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/classes.py" <<'EOP'
import dataclasses
import sys
import typing

IS_TEXT = "annotations" in globals()
events = []
is_on = False


def hook(event, args):
    if is_on and event in {"compile", "exec"}:
        events.append((event, args[0].decode() if isinstance(args[0], bytes) else None))


def counted(function):
    """The texts that were compiled but for the templates of namedtuple() and dataclass(), the number of those, and the calls of exec."""
    global is_on
    events.clear()
    is_on = True
    try:
        function()
    finally:
        is_on = False
    texts = [text for event, text in events if event == "compile"]
    templates = [text for text in texts if text.startswith(("lambda _cls", "def __create_fn__", "def __dataclass_"))]
    return [text for text in texts if text not in templates], len(templates), sum(event == "exec" for event, _ in events)


def ordinary():
    class Point:
        x: int
        y: "str"
        z: list[int]

    return Point


def protocol():
    class Point(typing.Protocol):
        x: int
        y: "str"
        z: list[int]


def named_tuple():
    class Point(typing.NamedTuple):
        x: int
        y: "str"
        z: list[int]

    return Point


def typed_dict():
    class Point(typing.TypedDict):
        x: int
        y: list[int]


def of_dataclass(**options):
    def make():
        @dataclasses.dataclass(**options)
        class Point:
            x: int
            y: str

    return make


def hints(of):
    made = of()
    return counted(lambda: typing.get_type_hints(made)), counted(lambda: typing.get_type_hints(made))


sys.addaudithook(hook)
print(sys.version.split()[0], "with" if IS_TEXT else "without", "the future import: texts compiled, templates compiled, exec")
found = {make.__name__: counted(make) for make in (ordinary, protocol, named_tuple, typed_dict)}
found |= {f"dataclass({options})": counted(of_dataclass(**options)) for options in ({}, {"frozen": True}, {"order": True})}
for title, seen in found.items():
    print(f"  {title:28} {seen}")
of_ordinary, of_named_tuple = hints(ordinary), hints(named_tuple)
print("  get_type_hints(ordinary), twice   ", *of_ordinary)
print("  get_type_hints(named tuple), twice", *of_named_tuple)

assert found["ordinary"] == found["protocol"] == ([], 0, 0)
if IS_TEXT:
    assert found["named_tuple"] == (["int", "'str'", "list[int]"], 1, 1)
    assert found["typed_dict"] == (["int", "list[int]"], 0, 0)
    assert of_ordinary[0] == of_ordinary[1]
    assert {"int", "list[int]"} <= set(of_ordinary[0][0])
    assert not {"int", "list[int]"} & {*of_named_tuple[0][0], *of_named_tuple[1][0]}
else:
    assert found["named_tuple"] == (["str"], 1, 1)  # the one in quotes
    assert found["typed_dict"] == ([], 0, 0)
methods = [found[title][1:] for title in found if title.startswith("dataclass")]
assert methods == ([(3, 3), (6, 6), (7, 7)] if sys.version_info < (3, 13) else [(1, 1)] * 3), methods
EOP
{ echo "from __future__ import annotations"; cat "$work/classes.py"; } >"$work/as_text.py"
"$here/../tests/platforms/suite" --list | while read -r version python; do
    case $version in 3.11 | 3.12 | 3.13)
        "$python" -I "$work/classes.py"
        "$python" -I "$work/as_text.py"
        ;;
    esac
done
