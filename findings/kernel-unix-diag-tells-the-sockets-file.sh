#!/usr/bin/env bash
# Which file a unix socket is bound to: sock_diag tells device and inode, in an encoding of the kernel's own; /proc/net/unix tells neither.
#
# Versions: seen on Linux 6.18 (NETLINK_SOCK_DIAG's UDIAG_SHOW_VFS is old). No package is needed.
# Behaviour: /proc/net/unix shows the path as bind() was given it, a relative one too, and never a new one: after a rename, a hard link or an
#   unlink it says what it said. Its inode is the socket's, not the file's. UNIX_DIAG_VFS of sock_diag gives the file's inode and device, which
#   stay right whatever the file is called now. But
#   - the device is the kernel's own number, major << 20 | minor. os.stat() gives another one, the same only for major 0 with a minor below 256:
#     true for the first file systems without a disk, so that a test in a young container sees no difference;
#   - the name beside it (UNIX_DIAG_NAME) is bind()'s, as in /proc/net/unix;
#   - after the unlink it still tells the file. No rights are needed: any user sees the sockets of its network namespace.
# For who tests: "is this path served by a process of mine" is a look at the file's st_dev and st_ino against these, for whatever spelling,
#   link or mount leads to it; comparing text with /proc/net/unix fails for servers that bind relative paths or rename into place.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/mount"
cat >"$work/look.py" <<'EOF'
import os
import socket
import struct

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP = 4, 20, 0x301
UDIAG_SHOW_NAME, UDIAG_SHOW_VFS, UNIX_DIAG_NAME, UNIX_DIAG_VFS = 1, 2, 0, 1


def diagnose(inode):
    """Return the name, and the file's device and inode as the kernel tells them."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, UDIAG_SHOW_NAME | UDIAG_SHOW_VFS, 0, 0)
        netlink.send(struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 1, 0) + request)
        while True:
            answer = netlink.recv(1 << 16)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind != SOCK_DIAG_BY_FAMILY:
                    return None
                message, answer = answer[16:length], answer[(length + 3) & ~3 :]
                if struct.unpack_from("=I", message, 4)[0] != inode:
                    continue
                attributes, at = {}, 16
                while at < len(message):
                    size, name = struct.unpack_from("=HH", message, at)
                    attributes[name] = message[at + 4 : at + size]
                    at += (size + 3) & ~3
                file_inode, device = struct.unpack("=II", attributes[UNIX_DIAG_VFS])
                return attributes[UNIX_DIAG_NAME].rstrip(b"\0").decode(), device, file_inode


def listed(inode):
    return [line.split(maxsplit=7)[7].rstrip("\n") for line in open("/proc/net/unix") if line.split()[6] == str(inode)]


print(os.uname().release)
server = socket.socket(socket.AF_UNIX)
server.bind("first")
server.listen()
inode = os.fstat(server.fileno()).st_ino
file = os.stat("first")
for title, change in (
    ("bound", lambda: None),
    ("renamed", lambda: os.rename("first", "second")),
    ("linked", lambda: os.link("second", "third")),
    ("unlinked", lambda: (os.unlink("second"), os.unlink("third"))),
):
    change()
    name, device, file_inode = diagnose(inode)
    print(f"{title}: /proc/net/unix {listed(inode)}, sock_diag {name!r} device {device:#x} inode {file_inode}; stat said device {file.st_dev:#x} inode {file.st_ino}")
    assert listed(inode) == ["first"] and name == "first"
    assert file_inode == file.st_ino & 0xFFFFFFFF and inode != file.st_ino
    assert device == os.major(file.st_dev) << 20 | os.minor(file.st_dev)
    assert device != file.st_dev
again = socket.socket(socket.AF_UNIX)
again.bind("first")
assert os.stat("first").st_ino != file.st_ino
EOF
# File systems without a disk have major 0 and a counted minor: mount them until that is above 255.
unshare --map-root-user --net --mount bash -euc '
    cd "$1/mount"
    until test $(($(stat -c %d .) >> 20)) != 0; do
        mount -t tmpfs none .
        cd "$PWD"
    done
    exec python3 "$1/look.py"' - "$work"
