#!/usr/bin/env bash
# Importing snowflake.connector 5.2 or polars 2.1 starts native threads that Python doesn't know, before anything is used.
#
# Versions: snowflake-connector-python 5.2.0 (its Rust core), polars 2.1.0, on Linux.
# Behaviour: after the import alone /proc/self/task holds threads of tokio's runtime (snowflake; with an epoll and a socket pair besides) or of
#   jemalloc and polars' out-of-core clean-up (polars). threading.enumerate() shows the main thread only. The other clients tried have none
#   after their import: wreq, impit, primp, obstore, duckdb, valkey-glide, temporalio (those start theirs with the first client or request).
# For who tests: from Python 3.12 on os.fork() warns of such a process (it counts the system's threads, not Python's), so under
#   filterwarnings=error multiprocessing's fork, pytest-forked and the like fail in tests that never touch the database, from the moment on
#   at which some module imports one of these. A leak check for threads or descriptors that takes its first look before the import reports
#   the test that imported first. The threads don't exist in a forked child.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check snowflake-connector-python==5.2.0 polars==2.1.0 \
    wreq==0.13.0 impit==0.15.1 primp==2.0.1 obstore==0.12.1 duckdb==2.0.1 valkey-glide==2.6.0 temporalio==1.35.0

cat >"$work/look.py" <<'EOF'
import importlib
import os
import sys
import threading
import time
import warnings


def native_threads():
    return sorted(open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task") if int(task) != os.getpid())


def descriptors():
    """Kinds of open descriptors beyond the standard ones."""
    return {os.readlink(f"/proc/self/fd/{number}").partition(":[")[0] for number in os.listdir("/proc/self/fd") if int(number) > 2 and os.path.exists(f"/proc/self/fd/{number}")}


name, expected = sys.argv[1], set(sys.argv[2:])
assert native_threads() == []
before = descriptors()
importlib.import_module(name)
time.sleep(0.3)
threads = native_threads()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    child = os.fork()
    if not child:
        os._exit(len(native_threads()))
    in_the_child = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
opened = sorted(descriptors() - before)
print(f"{name:22} threads: {threads}, opened: {opened}, fork warns: {[str(w.category.__name__) for w in caught]}, threads in the fork: {in_the_child}")
assert threading.enumerate() == [threading.main_thread()]
assert set(threads) == expected, threads
assert in_the_child == 0
assert bool(caught) == (bool(threads) and sys.version_info >= (3, 12))
if name == "snowflake.connector":
    assert "socket" in opened
EOF
look() { "$work/venv/bin/python" "$work/look.py" "$@"; }
look snowflake.connector tokio-rt-worker
look polars jemalloc_bg_thd polars-ooc-clea
for name in wreq impit primp obstore.store duckdb glide temporalio.client; do look "$name"; done
