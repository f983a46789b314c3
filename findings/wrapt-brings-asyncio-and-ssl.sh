#!/usr/bin/env bash
# Since 2.2.0, `import wrapt` imports asyncio, and with it ssl and subprocess; 2.1.0 did not.
#
# Versions: wrapt 2.1.0, 2.2.0 and 2.5.2 (wheels), CPython 3.11.7 and 3.13.0.
# Behaviour: wrapt.synchronization imports asyncio at its top, for the synchronizing decorators. A plain interpreter that imports wrapt
#   has asyncio, concurrent.futures, ssl and subprocess in sys.modules from 2.2.0 on, and none of the four with 2.1.0. Its C extension changes
#   nothing: WRAPT_DISABLE_EXTENSIONS=1 shows the same.
# For who looks before importing: code that asks `"asyncio" in sys.modules` to see whether a program is asynchronous gets True from any
#   dependency that wraps something (OpenTelemetry's instrumentations, Deprecated, aiobotocore).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
cat >"$work/look.py" <<'EOF'
import sys

LOOKED_FOR = {"asyncio", "concurrent.futures", "ssl", "subprocess"}
before = LOOKED_FOR & set(sys.modules)
assert not before, before
import wrapt

there = sorted(LOOKED_FOR & set(sys.modules))
print("wrapt", wrapt.__version__, "brings", ", ".join(there) or "none of them")
assert there == (sorted(LOOKED_FOR) if sys.argv[1] == "all" else []), there
EOF
for version in "2.1.0 none" "2.2.0 all" "2.5.2 all"; do
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "wrapt==${version% *}"
    "$work/venv/bin/python" -I "$work/look.py" "${version#* }"
    WRAPT_DISABLE_EXTENSIONS=1 "$work/venv/bin/python" "$work/look.py" "${version#* }"
done
