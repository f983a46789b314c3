#!/usr/bin/env bash
# One span in OpenTelemetry's batch processor and no collector: the process's exit takes seconds, with eight connection attempts, between others' exit functions.
#
# Versions: opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http 1.45.2.
# Behaviour: TracerProvider registers itself with atexit, so that its flush comes where that stands in the reverse order: after what was
#   registered later, before what was registered earlier. The flush waits for the worker thread, which tries four times with growing random
#   pauses (1, 2 and 4 s, give or take), and each try connects twice: the exporter repeats a failed connection at once. All of it happens
#   after the program's last line, and the exit status is 0.
# For who tests: a provider that is made at import exports after the last test, when the fixtures' collectors are gone, and adds about six
#   seconds to each run and each worker. An exit function that was registered before that import (a coverage tool's, a runner's) waits
#   for it. Shut the provider down in a fixture, or use SimpleSpanProcessor with an in-memory exporter.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2

cat >"$work/program.py" <<'EOF'
import atexit
import sys
import threading
import time

started = time.monotonic()


def note(what):
    print(f"{time.monotonic() - started:.1f} s {what}", flush=True)


atexit.register(note, "exit function registered before the provider")

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint="http://127.0.0.1:4318/v1/traces")))
atexit.register(note, "exit function registered after the provider")


def watch(event, arguments):
    if event == "socket.connect":
        note(f"connect to {arguments[1][1]} by a {'daemon' if threading.current_thread().daemon else 'plain'} thread")


sys.addaudithook(watch)
with provider.get_tracer("finding").start_as_current_span("one"):
    pass
started = time.monotonic()
note("last line")
EOF
unshare --map-root-user --net bash -euc 'ip link set lo up; exec "$1/venv/bin/python" "$1/program.py" 2>"$1/errors"' - "$work" >"$work/output"
cat "$work/output"
grep -c "retrying in" "$work/errors" | sed 's/$/ times "retrying" on stderr/'
python3 - "$work/output" <<'EOF'
import sys

lines = [line.split(" s ", 1) for line in open(sys.argv[1]).read().splitlines()]
texts = [text for _, text in lines]
assert texts == [
    "last line",
    "exit function registered after the provider",
    *["connect to 4318 by a daemon thread"] * 8,
    "exit function registered before the provider",
], texts
assert float(lines[-1][0]) > 3
EOF
