"""Run one command where no packet leaves: a network of its own, with a sink for what is foreign.

The namespaces are made by ``unshare``; this module then runs as their first process. It brings
``lo`` up, adds an interface that leads nowhere, gives it the default routes of IPv4 and IPv6,
counts what is sent into it, and starts the command. Packets to foreign addresses are swallowed, as
by a firewall that drops: nobody answers, nobody refuses.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

ADDRESS: Final = "198.19.255.1"  # of the block kept for benchmarks: no suite dials it
GATEWAY: Final = "198.19.255.2"
ADDRESS6: Final = "fd5e:5e5e:5e5e::1"
GATEWAY6: Final = "fd5e:5e5e:5e5e::2"
RESOLVER: Final = "198.19.255.53"
NOWHERE: Final = "02:00:00:00:00:01"
TIMED_OUT: Final = 124
_ETHERNET: Final = 14
_PROTOCOLS: Final = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "icmp6"}
_PORTED: Final = {"tcp", "udp"}
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_KERNEL: Final = {
    "igmp",
    "icmp6",
    "icmp",
}  # neighbour discovery and group membership: nobody's attempt


def command_line(command: list[str], *, sink: Path, timeout: float) -> list[str]:
    """Return the command line that runs ``command`` in new namespaces.

    What was sent out is written to the file ``sink``, packets by target.
    """
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
    inside = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--sink",
        str(sink),
        "--timeout",
        str(timeout),
    ]
    return [*unshare, *inside, "--", *command]


def _ip(*words: str) -> bool:
    program = shutil.which("ip", path=os.defpath + ":/sbin:/usr/sbin")
    if program is None:
        sys.exit("sandbox: the program `ip` (iproute2) is missing")
    return subprocess.run([program, *words], check=False, capture_output=True).returncode == 0


def _raise_interfaces() -> None:
    _ip("link", "set", "lo", "up")
    # A pair works where the kernel has no dummy driver, and its other end shows what was sent.
    if not _ip("link", "add", "sink0", "type", "veth", "peer", "name", "sink1"):
        sys.exit("sandbox: no veth pair can be made here")
    _ip("link", "set", "sink1", "addrgenmode", "none")
    Path("/proc/sys/net/ipv6/conf/sink0/accept_dad").write_text("0")
    _ip("addr", "add", f"{ADDRESS}/24", "dev", "sink0")
    for name in ("sink0", "sink1"):
        _ip("link", "set", name, "up")
    _ip("-6", "addr", "add", f"{ADDRESS6}/64", "dev", "sink0", "nodad")
    for gateway in (GATEWAY, GATEWAY6, RESOLVER):
        _ip("neigh", "replace", gateway, "lladdr", NOWHERE, "dev", "sink0", "nud", "permanent")
    if not (
        _ip("route", "add", "default", "via", GATEWAY)
        and _ip("-6", "route", "add", "default", "via", GATEWAY6)
    ):
        sys.exit("sandbox: the default routes could not be set")


def _bind_files(folder: Path) -> None:
    hosts, resolver = folder / "hosts", folder / "resolv.conf"
    name = socket.gethostname()
    hosts.write_text(f"127.0.0.1 localhost {name}\n::1 localhost ip6-localhost ip6-loopback\n")
    resolver.write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
    for source, target in ((hosts, "/etc/hosts"), (resolver, "/etc/resolv.conf")):
        subprocess.run(["mount", "--bind", str(source), target], check=True)


def _destination(frame: bytes) -> str | None:
    """Return where an Ethernet frame was going, None for what no program sent."""
    kind = int.from_bytes(frame[12:_ETHERNET])
    body = frame[_ETHERNET:]
    if kind == _IPV4:
        protocol, address, ports = body[9], body[16:20], body[(body[0] & 15) * 4 :]
    elif kind == _IPV6:
        protocol, address, ports = body[6], body[24:40], body[40:]
        if protocol == 0:  # hop-by-hop options: group membership
            return None
    else:
        return None
    name = _PROTOCOLS.get(protocol, str(protocol))
    if name in _KERNEL:
        return None
    host = ipaddress.ip_address(address)
    if name not in _PORTED:
        return f"{host} {name}"
    port = struct.unpack("!H", ports[2:4])[0]
    query = _query_name(ports[8:]) if (name, port) == ("udp", 53) else ""
    shown = f"[{host}]" if isinstance(host, ipaddress.IPv6Address) else str(host)
    return f"{shown}:{port} {name}{query}"


def _query_name(message: bytes) -> str:
    labels, at = [], 12
    with contextlib.suppress(IndexError):
        while length := message[at]:
            labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
            at += 1 + length
    return f" query {'.'.join(labels)}"


def _watch(seen: collections.Counter[str]) -> None:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    listener.bind(("sink1", 0))
    outgoing = 4  # PACKET_OUTGOING: the sink's own end, never a program's packet

    def follow() -> None:
        while True:
            frame, origin = listener.recvfrom(65535)
            if origin[2] != outgoing and (target := _destination(frame)) is not None:
                seen[target] += 1

    threading.Thread(target=follow, daemon=True).start()


def _finish(child: subprocess.Popen[bytes], timeout: float) -> int:
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        print(f"\nsandbox: still running after {timeout:g} s", flush=True)
        for number, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(patience)
                break
        return TIMED_OUT


def main() -> int:
    """Set the sandbox up and run the command in it.

    Returns:
        The command's exit status, or 124 when it ran out of time.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--sink", type=Path, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    seen: collections.Counter[str] = collections.Counter()
    _raise_interfaces()
    # A shell starts background jobs with interrupts ignored: suites that send them would hang.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        _bind_files(Path(folder))
        _watch(seen)
        child = subprocess.Popen(options.command, start_new_session=True)
        status = _finish(child, options.timeout)
        time.sleep(0.2)  # what is still on its way to the sink
        options.sink.write_text(json.dumps(dict(seen.most_common()), indent=1))
    return status


if __name__ == "__main__":
    sys.exit(main())
