"""A world of two networks: the one that a test runs in, and the one abroad, where everything sent to is seen.

``unshare --net --mount`` starts this module in the first. One thread of it makes the second, and the two are joined
by a pair of interfaces. Abroad has the addresses 198.51.100.1 and 2001:db8::1, answers there, and answers names at
198.51.100.53, so that no way out has to wait for a time-out. What went out is read from the interfaces themselves.

It takes runs as lines of JSON on its standard input (command, directory, environment, time-out) and says what became
of each in a line of JSON: status, output, and what was seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

HERE: Final = "198.51.100.2"
HERE6: Final = "2001:db8::2"
ABROAD: Final = "198.51.100.1"
ABROAD6: Final = "2001:db8::1"
RESOLVER: Final = "198.51.100.53"
PORT: Final = 4321
NAME: Final = "way-out.example"
TOKEN: Final = b"way-out-token"
"""What is sent on connections that were open before: it, and not their opening, is the escape."""

_CLONE_NEWNET: Final = 0x40000000
_PR_SET_CHILD_SUBREAPER: Final = 36
_PACKET_OUTGOING: Final = 4
_ETH_P_ALL: Final = 3
_ETHERNET: Final = 14
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_TCP: Final = 6
_UDP: Final = 17
_DNS: Final = 53
_ICMP: Final = {1: "icmp", 58: "icmp6"}
_ECHO: Final = {8, 128}
_SYN_OF_SYN_ACK: Final = (0x02, 0x12)
_HANDSHAKE: Final = 0x16


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _ip(*words: str) -> None:
    path = os.defpath + ":/sbin:/usr/sbin"
    subprocess.run(["ip", *words], check=True, env={"PATH": path}, stdin=subprocess.DEVNULL)


class Seen:
    """What the kernel and the servers saw since the last ``clear``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._things: list[str] = []

    def add(self, thing: str) -> None:
        """Note one thing, once."""
        with self._lock:
            if thing not in self._things:
                self._things.append(thing)

    def take(self) -> list[str]:
        """Return what was seen, and forget it."""
        with self._lock:
            things, self._things = self._things, []
            return things


def capture(interface: str, prefix: str, seen: Seen) -> None:
    """Note what goes over an interface from now on."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listener.bind((interface, 0))

    def follow() -> None:
        while True:
            frame, origin = listener.recvfrom(65535)
            if origin[2] == _PACKET_OUTGOING:
                continue
            if TOKEN in frame:
                seen.add(f"{prefix} token")
            if (text := describe(frame)) is not None:
                seen.add(f"{prefix} {text}")

    threading.Thread(target=follow, daemon=True).start()


def describe(frame: bytes) -> str | None:
    """Return what an Ethernet frame begins, None for answers and for what the kernel sends by itself."""
    kind = int.from_bytes(frame[12:_ETHERNET])
    body = frame[_ETHERNET:]
    if kind == _IPV4:
        protocol, host, rest = body[9], ipaddress.ip_address(body[16:20]).compressed, body[(body[0] & 15) * 4 :]
    elif kind == _IPV6:
        protocol, host, rest = body[6], f"[{ipaddress.ip_address(body[24:40]).compressed}]", body[40:]
    else:
        return None
    if protocol in _ICMP:
        return f"{_ICMP[protocol]} {host}" if rest[0] in _ECHO else None
    port = int.from_bytes(rest[2:4])
    if protocol == _TCP:
        syn, both = _SYN_OF_SYN_ACK
        return f"tcp {host}:{port}" if rest[13] & both == syn else None
    if protocol == _UDP:
        query = f" {_query_name(rest[8:])}" if port == _DNS else ""
        return f"udp {host}:{port}{query}"
    return None


def _query_name(message: bytes) -> str:
    labels, at = [], 12
    with contextlib.suppress(IndexError):
        while length := message[at]:
            labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
            at += 1 + length
    return ".".join(labels)


# -- servers -----------------------------------------------------------------------------------------------------------


class Servers:
    """Listeners that answer whoever comes, in whatever protocol, so that clients go on or give up at once."""

    def __init__(self, seen: Seen, prefix: str, certificate: Path) -> None:
        self._seen = seen
        self._prefix = prefix
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)

    def tcp(self, family: int, address: Any) -> None:
        """Serve a stream address."""
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(64)

        def accept() -> None:
            while True:
                peer, _ = server.accept()
                if family == socket.AF_UNIX:
                    self._seen.add(f"{self._prefix} unix")
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def udp(self, family: int, address: Any) -> None:
        """Answer datagrams with themselves."""
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind(address)

        def answer() -> None:
            while True:
                with contextlib.suppress(OSError):
                    data, peer = server.recvfrom(65535)
                    if TOKEN in data:
                        self._seen.add(f"{self._prefix} token")
                    if peer:
                        server.sendto(data, peer)

        threading.Thread(target=answer, daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), peer:
            peer.settimeout(0.3)
            try:
                first = peer.recv(1, socket.MSG_PEEK)
            except TimeoutError:  # a client that waits to be greeted
                peer.sendall(b"220 hello\r\n")
                peer.settimeout(10)
                first = peer.recv(1, socket.MSG_PEEK)
            peer.settimeout(3)
            if first == bytes([_HANDSHAKE]):
                peer = self._tls.wrap_socket(peer, server_side=True)
            self._converse(peer)

    def _converse(self, peer: socket.socket) -> None:
        data = peer.recv(65536)
        with peer:
            while data:
                if TOKEN in data:
                    self._seen.add(f"{self._prefix} token")
                if b"HTTP/1." in data:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
                elif data.startswith(b"hello") or TOKEN in data:
                    peer.sendall(data)
                else:
                    peer.sendall(b"500 no\r\n")
                    return
                peer.settimeout(15)
                data = peer.recv(65536)


def serve_names() -> None:
    """Answer each question for an address with that of abroad, and no other question."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((RESOLVER, _DNS))

    def answer() -> None:
        while True:
            message, peer = server.recvfrom(4096)
            with contextlib.suppress(OSError, IndexError):
                server.sendto(answer_to(message), peer)

    threading.Thread(target=answer, daemon=True).start()
    stream = socket.create_server((RESOLVER, _DNS))

    def answer_streams() -> None:
        while True:
            peer, _ = stream.accept()
            with contextlib.suppress(OSError, IndexError), peer:
                peer.settimeout(1)
                message = peer.recv(4096)[2:]
                reply = answer_to(message)
                peer.sendall(len(reply).to_bytes(2) + reply)

    threading.Thread(target=answer_streams, daemon=True).start()


def answer_to(message: bytes) -> bytes:
    """Return the answer to a DNS query."""
    end = 12
    while message[end]:
        end += 1 + message[end]
    question = message[12 : end + 5]
    wants_address = message[end + 1 : end + 3] == b"\0\1"
    head = message[:2] + b"\x81\x80\0\1" + (b"\0\1" if wants_address else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(ABROAD)
    return head + question + (record if wants_address else b"")


# -- setting up --------------------------------------------------------------------------------------------------------


def _make_certificate(folder: Path) -> Path:
    path = folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
            *("-keyout", str(path), "-out", str(folder / "public.pem")),
        ],
        check=True,
        capture_output=True,
    )
    with path.open("ab") as file:
        file.write((folder / "public.pem").read_bytes())
    return path


def _quiet(interface: str) -> None:
    for name in ("accept_dad", "router_solicitations"):
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{interface}/{name}").write_text("0", encoding="ascii")


def _go_abroad(ready: threading.Event, joined: threading.Event, seen: Seen, certificate: Path) -> None:
    """Make the second network, in this thread alone."""
    if _libc().unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    ready.set()
    joined.wait()
    _ip("link", "set", "lo", "up")
    _ip("link", "set", "abroad", "addrgenmode", "none")
    for address in (ABROAD, RESOLVER):
        _ip("addr", "add", f"{address}/24", "dev", "abroad")
    _ip("-6", "addr", "add", f"{ABROAD6}/32", "dev", "abroad", "nodad")
    _ip("link", "set", "abroad", "up")
    capture("abroad", "abroad", seen)
    servers = Servers(seen, "abroad", certificate)
    for family, host in ((socket.AF_INET, ABROAD), (socket.AF_INET6, ABROAD6)):
        servers.tcp(family, (host, PORT))
        servers.udp(family, (host, PORT))
    serve_names()
    joined.clear()


def build(folder: Path) -> Seen:
    """Make both networks, their servers and the files that say how names are resolved."""
    seen = Seen()
    certificate = _make_certificate(folder)
    _ip("link", "set", "lo", "up")
    ready, joined = threading.Event(), threading.Event()
    traveller = threading.Thread(target=_go_abroad, args=(ready, joined, seen, certificate), daemon=True)
    traveller.start()
    if not ready.wait(10):
        raise RuntimeError("there is no second network")
    _ip("link", "add", "here", "type", "veth", "peer", "name", "abroad")
    _ip("link", "set", "abroad", "netns", str(traveller.native_id))
    _quiet("here")
    _ip("addr", "add", f"{HERE}/24", "dev", "here")
    _ip("-6", "addr", "add", f"{HERE6}/32", "dev", "here", "nodad")
    _ip("link", "set", "here", "up")
    joined.set()
    traveller.join(20)
    if joined.is_set():
        raise RuntimeError("the second network could not be set up")
    capture("lo", "local", seen)
    servers = Servers(seen, "local", certificate)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        servers.tcp(family, (host, PORT))
        servers.udp(family, (host, PORT))
    servers.tcp(socket.AF_UNIX, str(folder / "server.sock"))
    files = {
        "hosts": f"127.0.0.1 localhost here-only {socket.gethostname()}\n::1 localhost\n",
        "resolv.conf": f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n",
        "nsswitch.conf": "hosts: files dns\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
        subprocess.run(["mount", "--bind", str(folder / name), f"/etc/{name}"], check=True)
    return seen


# -- running -----------------------------------------------------------------------------------------------------------


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


def _end_leftovers() -> None:
    """End what a run has left running: orphans become children of this process."""
    while children := _children():
        for child in children:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(child, 0)


def run(order: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """Run one command, and say how it ended and what was seen meanwhile."""
    seen.take()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            order["command"],
            cwd=order["directory"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        status: int | None
        try:
            status = process.wait(order["timeout"])
        except subprocess.TimeoutExpired:
            status = None
            process.kill()
            process.wait()
        time.sleep(0.02)  # what is still on its way to the captures
        _end_leftovers()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return {"status": status, "output": text, "seen": seen.take()}


def main() -> int:
    """Serve runs until the standard input ends."""
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(sys.argv[1])
    seen = build(folder)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), seen)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
