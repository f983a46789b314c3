"""Child processes and what is sent to them."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.small,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

METHODS = multiprocessing.get_all_start_methods()


def double(number: int) -> int:
    return number * 2


def put_double(queue: "multiprocessing.Queue[int]", number: int) -> None:
    queue.put(number * 2)


def say_hello(end: socket.socket) -> None:
    with end:
        end.sendall(b"hello")


def say_hello_through(connection: Connection) -> None:
    with connection.recv() as end:
        end.sendall(b"hello")


@pytest.mark.parametrize("method", METHODS)
def test_pool(method: str) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(double, [1, 2]) == [2, 4]


@pytest.mark.parametrize("method", METHODS)
def test_process_and_queue(method: str) -> None:
    context = multiprocessing.get_context(method)
    queue: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=put_double, args=(queue, 2))
    process.start()
    assert queue.get(timeout=30) == 4
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_socket_as_an_argument_of_a_child(method: str) -> None:
    context = multiprocessing.get_context(method)
    mine, theirs = socket.socketpair()
    with mine, theirs:
        process = context.Process(target=say_hello, args=(theirs,))
        process.start()
        mine.settimeout(30)
        assert mine.recv(9) == b"hello"
        process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_socket_sent_to_a_running_child(method: str) -> None:
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    mine, theirs = socket.socketpair()
    with mine, theirs, here, there:
        process = context.Process(target=say_hello_through, args=(there,))
        process.start()
        here.send(theirs)
        mine.settimeout(30)
        assert mine.recv(9) == b"hello"
        process.join()
    assert process.exitcode == 0


@pytest.mark.skipif(not hasattr(socket, "send_fds"), reason="this platform sends no descriptors")
def test_descriptors_sent_between_sockets() -> None:
    one, two = socket.socketpair()
    mine, theirs = socket.socketpair()
    with one, two, mine, theirs:
        socket.send_fds(one, [b"x"], [theirs.fileno()])
        _, [descriptor], _, _ = socket.recv_fds(two, 1, 1)
        with socket.socket(fileno=descriptor) as copy:
            copy.sendall(b"hello")
        assert mine.recv(9) == b"hello"


@pytest.mark.parametrize("method", METHODS)
def test_process_pool_executor(method: str) -> None:
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert list(pool.map(double, [1, 2])) == [2, 4]


async def test_process_pool_under_asyncio() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert await asyncio.get_running_loop().run_in_executor(pool, double, 2) == 4


def test_subprocess() -> None:
    subprocess.run(["true"], check=True)
    done = subprocess.run([sys.executable, "-c", "print('hello')"], check=True, capture_output=True, text=True)
    assert done.stdout == "hello\n"


async def test_subprocess_under_asyncio() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(1)", stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0].strip() == b"1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_fork() -> None:
    child = os.fork()
    if not child:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no unix sockets")
def test_a_listener_of_ones_own(socket_path: Path) -> None:
    with Listener(str(socket_path), "AF_UNIX") as listener:
        answered = threading.Thread(target=lambda: listener.accept().send("hello"))
        answered.start()
        with Client(listener.address) as client:
            assert client.recv() == "hello"
        answered.join()


@pytest.mark.skipif(sys.platform != "linux", reason="this platform says nothing of who holds a unix socket")
def test_a_server_of_ones_own_is_waited_for(socket_path: Path) -> None:
    redis = pytest.importorskip("redis")
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket_path), "--save", ""]
    try:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=socket_path.parent)
    except FileNotFoundError:
        pytest.skip("redis-server is missing")
    try:
        with redis.Redis(unix_socket_path=str(socket_path)) as client:
            while True:
                try:
                    assert client.ping()
                    break
                except redis.ConnectionError:
                    assert server.poll() is None
                    time.sleep(0.01)
    finally:
        server.terminate()
        server.wait()
