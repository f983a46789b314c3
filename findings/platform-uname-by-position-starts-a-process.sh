#!/usr/bin/env bash
# `platform.uname()[0]` starts a child process and `platform.uname().system` doesn't; so do len(), unpacking, `if platform.uname()` and platform.platform().
#
# Versions: CPython 3.11.7, 3.12.1 and 3.13.0 on Linux; each Python of this machine is tried, from 3.11 to 3.13.
# Behaviour: the result is a tuple of five, and its sixth value, the processor, is found when something goes through it, by running `uname -p`.
#   An index, len(), bool(), unpacking, _asdict(), copy, pickle and json go through it; repr(), hash(), == and `in` work on the five. A child the
#   first time, none after it for the same result, which the module remembers; _replace() needs two, and one each time. So
#   the result isn't equal to tuple(result), and len() is 6 where repr() shows five. platform.platform() wants no processor and starts the child all
#   the same, since it unpacks. platform.architecture() runs `file` on the interpreter at each call; machine(), version(), system() and libc_ver() run nothing.
# For who tests: a User-Agent made by platform.platform() is a subprocess in a test that has none. Use the attributes, or platform.system(),
#   platform.release() and platform.machine(), which are free.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/look.py" <<'EOP'
import copy
import json
import pickle
import platform
import sys

commands = []
sys.addaudithook(lambda event, args: commands.append(" ".join(args[1][:2])) if event == "subprocess.Popen" else None)


def started(use):
    """What two uses of one result start, when nothing is remembered."""
    platform._uname_cache = None
    platform._platform_cache.clear()
    result = platform.uname()
    found = []
    for _ in range(2):
        commands.clear()
        use(result)
        found.append(list(commands))
    return tuple(found)


def unpack(result):
    system, *_others = result
    return system


CHILD_ONCE = (["uname -p"], [])
NO_CHILD = ([], [])
uses = {
    "result.system": (lambda result: result.system, NO_CHILD),
    "repr(result)": (repr, NO_CHILD),
    "hash(result)": (hash, NO_CHILD),
    "result == result": (lambda result: result == result, NO_CHILD),
    "'Linux' in result": (lambda result: "Linux" in result, NO_CHILD),
    "result[0]": (lambda result: result[0], CHILD_ONCE),
    "len(result)": (len, CHILD_ONCE),
    "if result": (bool, CHILD_ONCE),
    "system, *others = result": (unpack, CHILD_ONCE),
    "result._asdict()": (lambda result: result._asdict(), CHILD_ONCE),
    "result._replace(node='x')": (lambda result: result._replace(node="x"), (["uname -p"] * 2, ["uname -p"])),
    "copy.copy(result)": (copy.copy, CHILD_ONCE),
    "pickle.dumps(result)": (pickle.dumps, CHILD_ONCE),
    "json.dumps(result)": (json.dumps, CHILD_ONCE),
    "platform.platform()": (lambda _result: platform.platform(), CHILD_ONCE),
    "platform.machine()": (lambda _result: platform.machine(), NO_CHILD),
    "platform.version()": (lambda _result: platform.version(), NO_CHILD),
    "platform.libc_ver()": (lambda _result: platform.libc_ver(), NO_CHILD),
    "platform.architecture()": (lambda _result: platform.architecture(), (["file -b"], ["file -b"])),
}
print(sys.version.split()[0], "children of a first and a second use")
found = {title: started(use) for title, (use, _) in uses.items()}
for title, children in found.items():
    print(f"  {title:26} {', '.join(children[0]) or 'none':18} {', '.join(children[1]) or 'none'}")
result = platform.uname()
print(f"  len() {len(result)}, values that repr() shows {repr(result).count('=')}, equal to tuple(result): {result == tuple(result)}")

assert found == {title: expected for title, (_, expected) in uses.items()}
assert (len(result), repr(result).count("="), result == tuple(result)) == (6, 5, False)
EOP
"$here/../tests/platforms/suite" --list | while read -r version python; do
    case $version in 3.11 | 3.12 | 3.13) "$python" -I "$work/look.py" ;; esac
done
