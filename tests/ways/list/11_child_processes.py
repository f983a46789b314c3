# Group: Child processes

# %% curl | `curl` | needs=program:curl
subprocess.run(["curl", "-s", "-m", "2", URL], capture_output=True)

# %% wget | `wget` | needs=program:wget
subprocess.run(["wget", "-q", "-T", "2", "-t", "1", "-O", "-", URL], capture_output=True)

# %% shell-tcp | bash and `/dev/tcp` | needs=program:bash
subprocess.run(["bash", "-c", f"echo hello > /dev/tcp/{HOST}/{PORT}"])

# %% perl | Perl | needs=program:perl
subprocess.run(["perl", "-MIO::Socket::INET", "-e", f"IO::Socket::INET->new(PeerAddr => '{NETLOC}', Timeout => 2)"])

# %% netcat | `nc` | needs=program:nc
subprocess.run(["nc", "-w", "1", HOST, str(PORT)], input=b"hello")

# %% getent | `getent`, a look-up | needs=program:getent | only=foreign
subprocess.run(["getent", "ahosts", NAME], capture_output=True)

# %% git | `git` | needs=program:git
subprocess.run(["git", "ls-remote", URL + "a.git"], capture_output=True)

# %% python | Python, by `subprocess.run`
subprocess.run([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])

# %% python-swallowed | Python that swallows
code = f"import socket\ntry: socket.create_connection({ADDRESS!r}).close()\nexcept Exception: pass"
subprocess.run([sys.executable, "-c", code])

# %% python-isolated | Python with `-I`
subprocess.run([sys.executable, "-I", "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])

# %% python-ignore-environment | Python with `-E`
subprocess.run([sys.executable, "-E", "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])

# %% python-no-site | Python with `-S`
subprocess.run([sys.executable, "-S", "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])

# %% python-empty-environment | Python in an empty environment
subprocess.run([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"], env={})

# %% python-own-environment | Python in an environment of the test's own
env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()}
subprocess.run([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"], env=env)

# %% python-own-sitecustomize | Python with a `sitecustomize` of the project's
open("sitecustomize.py", "w").write("import socket")
env = os.environ | {"PYTHONPATH": os.getcwd()}
subprocess.run([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"], env=env)

# %% python-internal-socket | Python, by `_socket`
subprocess.run([sys.executable, "-c", f"import _socket; _socket.socket().connect({ADDRESS!r})"])

# %% python-lookup | Python, a look-up | only=foreign
subprocess.run([sys.executable, "-c", f"import socket; socket.getaddrinfo({NAME!r}, 80)"])

# %% python-thread | Python, in a thread
code = f"import socket, threading; threading.Thread(target=socket.create_connection, args=({ADDRESS!r},)).start()"
subprocess.run([sys.executable, "-c", code])

# %% python-grandchild | Python that starts Python
inner = f"import socket; socket.create_connection({ADDRESS!r}).close()"
code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
subprocess.run([sys.executable, "-c", code])

# %% python-grandchild-shell | a shell that starts Python
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
subprocess.run(["sh", "-c", f'"$0" -c "$1"', sys.executable, code])

# %% python-module | Python, `-m`
open("dials.py", "w").write(f"import socket; socket.create_connection({ADDRESS!r}).close()")
subprocess.run([sys.executable, "-m", "dials"])

# %% python-script | a script with a first line of its own
open("dials", "w").write(f"#!{sys.executable}\nimport socket; socket.create_connection({ADDRESS!r}).close()")
os.chmod("dials", 0o755)
subprocess.run(["./dials"])

# %% popen | `Popen`
with subprocess.Popen([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"]):
    pass

# %% popen-outlives | `Popen`, of a child that outlives the test
code = f"import socket, time; time.sleep(0.3); socket.create_connection({ADDRESS!r}).close()"
subprocess.Popen([sys.executable, "-c", code])
# conftest.py
def pytest_sessionfinish():
    time.sleep(0.8)

# %% popen-daemon | a child of a child that outlives the test
code = f"import socket, time; time.sleep(0.3); socket.create_connection({ADDRESS!r}).close()"
subprocess.run(["sh", "-c", '"$0" -c "$1" &', sys.executable, code])
# conftest.py
def pytest_sessionfinish():
    time.sleep(0.8)

# %% check-output | `check_output`
subprocess.check_output([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])

# %% shell-true | `shell=True`
subprocess.run(f"{sys.executable} -c 'import socket; socket.create_connection((\"{HOST}\", {PORT}))'", shell=True)

# %% os-system | `os.system`
os.system(f"{sys.executable} -c 'import socket; socket.create_connection((\"{HOST}\", {PORT}))'")

# %% os-popen | `os.popen`
os.popen(f"{sys.executable} -c 'import socket; socket.create_connection((\"{HOST}\", {PORT}))'").read()

# %% posix-spawn | `os.posix_spawn`
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ), 0)

# %% posix-spawnp | `os.posix_spawnp`
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
os.waitpid(os.posix_spawnp(sys.executable, [sys.executable, "-c", code], os.environ), 0)

# %% os-spawn | `os.spawnv`
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code])

# %% fork-exec | `os.fork` and `os.execv`
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
if not (child := os.fork()):
    os.execv(sys.executable, [sys.executable, "-c", code])
os.waitpid(child, 0)

# %% fork-execve | `os.fork` and `os.execve`
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
if not (child := os.fork()):
    os.execve(sys.executable, [sys.executable, "-c", code], dict(os.environ))
os.waitpid(child, 0)

# %% exec | `os.execv` of the test run itself
os.execv(sys.executable, [sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])

# %% fork | `os.fork`
if not (child := os.fork()):
    try:
        socket.create_connection(ADDRESS).close()
    finally:
        os._exit(0)
os.waitpid(child, 0)

# %% fork-swallowed | `os.fork`, swallowed in the child
if not (child := os.fork()):
    try:
        socket.create_connection(ADDRESS).close()
    except BaseException:
        pass
    os._exit(0)
os.waitpid(child, 0)

# %% fork-fork | a fork of a fork
if not (child := os.fork()):
    if not os.fork():
        try:
            socket.create_connection(ADDRESS).close()
        except BaseException:
            pass
        os._exit(0)
    os.wait()
    os._exit(0)
os.waitpid(child, 0)

# %% fork-closes-descriptors | a fork that closes every descriptor
if not (child := os.fork()):
    os.closerange(3, 256)
    try:
        socket.create_connection(ADDRESS).close()
    except BaseException:
        pass
    os._exit(0)
os.waitpid(child, 0)

# %% fork-daemon | a fork that outlives the test
if not (child := os.fork()):
    time.sleep(0.3)
    try:
        socket.create_connection(ADDRESS).close()
    except BaseException:
        pass
    os._exit(0)
# conftest.py
def pytest_sessionfinish():
    time.sleep(0.6)

# %% forkpty | `os.forkpty`
child, fd = os.forkpty()
if not child:
    try:
        socket.create_connection(ADDRESS).close()
    except BaseException:
        pass
    os._exit(0)
os.waitpid(child, 0)

# %% pty-spawn | `pty.spawn`
import pty

code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
pty.spawn([sys.executable, "-c", code], lambda fd: os.read(fd, 1024))

# %% asyncio-subprocess | `asyncio.create_subprocess_exec`
async def main():
    code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await process.wait()


def test_way():
    asyncio.run(main())

# %% asyncio-subprocess-shell | `asyncio.create_subprocess_shell` | needs=program:curl
async def main():
    process = await asyncio.create_subprocess_shell(f"curl -s -m 2 {URL} > /dev/null")
    await process.wait()


def test_way():
    asyncio.run(main())

# %% uvloop-subprocess | uvloop's child processes | needs=uvloop
import uvloop


async def main():
    code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await process.wait()


def test_way():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

# %% trio-subprocess | trio's `run_process` | needs=trio
import trio


async def main():
    await trio.run_process([sys.executable, "-c", f"import socket; socket.create_connection({ADDRESS!r}).close()"])


def test_way():
    trio.run(main)

# %% multiprocessing-fork | `multiprocessing`, fork
import multiprocessing


def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    process = multiprocessing.get_context("fork").Process(target=dial)
    process.start()
    process.join()

# %% multiprocessing-spawn | `multiprocessing`, spawn
import multiprocessing


def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    process = multiprocessing.get_context("spawn").Process(target=dial)
    process.start()
    process.join()

# %% multiprocessing-forkserver | `multiprocessing`, forkserver
import multiprocessing


def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    process = multiprocessing.get_context("forkserver").Process(target=dial)
    process.start()
    process.join()

# %% multiprocessing-forkserver-early | a forkserver that was started before the plugin
import multiprocessing

import early


def dial():
    socket.create_connection(ADDRESS).close()


def test_way():
    process = multiprocessing.get_context("forkserver").Process(target=dial)
    process.start()
    process.join()
# early.py
import multiprocessing.forkserver

if not os.environ.get("EARLY"):  # children import this too
    os.environ["EARLY"] = "1"
    multiprocessing.forkserver.ensure_running()

# %% multiprocessing-pool | a pool of processes
import multiprocessing


def dial(_):
    with contextlib.suppress(Exception):
        socket.create_connection(ADDRESS).close()


def test_way():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(dial, [1])

# %% process-pool-executor | `ProcessPoolExecutor`
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def dial():
    with contextlib.suppress(Exception):
        socket.create_connection(ADDRESS).close()


def test_way():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(dial).result()

# %% process-pool-function | `ProcessPoolExecutor`, handed a function of `socket`
from concurrent.futures import ProcessPoolExecutor

with ProcessPoolExecutor(1) as pool:
    pool.submit(socket.create_connection, ADDRESS).exception()

# %% process-pool-early | a pool of processes that lived before the plugin
from early import pool


def test_way():
    pool.submit(eval, f"__import__('socket').create_connection({ADDRESS!r}).close()").result()
# early.py
from concurrent.futures import ProcessPoolExecutor

pool = ProcessPoolExecutor(1)
pool.submit(len, "").result()

# %% multiprocessing-manager-process | a manager's process | shown=pymp
import multiprocessing.managers


class Dialler:
    def dial(self):
        socket.create_connection(ADDRESS).close()


class Manager(multiprocessing.managers.BaseManager):
    pass


Manager.register("Dialler", Dialler)


def test_way():
    with Manager() as manager:
        with contextlib.suppress(Exception):
            manager.Dialler().dial()

# %% pexpect | pexpect | needs=pexpect
import pexpect

pexpect.run(f"{sys.executable} -c 'import socket; socket.create_connection((\"{HOST}\", {PORT}))'")

# %% venv-python | the interpreter behind the virtual environment's
code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
subprocess.run([os.path.realpath(sys.executable), "-c", code])

# %% fork-exec-internal | `_posixsubprocess.fork_exec`
import _posixsubprocess

code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
left, right = os.pipe()
process = subprocess.Popen.__new__(subprocess.Popen)
args = [os.fsencode(sys.executable), b"-c", code.encode()]
rest = (-1, -1, -1, -1, -1, -1, left, right, True, False, -1)
end = (None, None, None, -1, None, False) if sys.version_info < (3, 14) else (None, None, None, -1, None)
child = _posixsubprocess.fork_exec(args, [args[0]], True, (right,), None, None, *rest, *end)
os.waitpid(child, 0)

# %% multiprocessing-spawnv | `multiprocessing.util.spawnv_passfds`
import multiprocessing.util

code = f"import socket; socket.create_connection({ADDRESS!r}).close()"
child = multiprocessing.util.spawnv_passfds(os.fsencode(sys.executable), [sys.executable, "-c", code], [])
os.waitpid(child, 0)

# %% preexec-function | `preexec_fn`
def dial():
    with contextlib.suppress(BaseException):
        socket.create_connection(ADDRESS).close()


def test_way():
    subprocess.run(["true"], preexec_fn=dial)

# %% fork-hook | a hook of `os.register_at_fork`
def dial():
    with contextlib.suppress(BaseException):
        socket.create_connection(ADDRESS).close()


def test_way():
    os.register_at_fork(after_in_child=dial)
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)

# %% fork-hook-before | a hook that runs before a fork
done = []


def dial():
    if not done:
        done.append(1)
        with contextlib.suppress(BaseException):
            socket.create_connection(ADDRESS).close()


def test_way():
    os.register_at_fork(before=dial)
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
