# Group: Raw system calls

# %% ctypes-connect | `connect` through ctypes
import ctypes
import struct

address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
with socket.socket() as s:
    ctypes.CDLL(None).connect(s.fileno(), address, len(address))

# %% ctypes-connect-pydll | `connect` through `ctypes.PyDLL`
import ctypes
import struct

address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
with socket.socket() as s:
    ctypes.PyDLL(None).connect(s.fileno(), address, len(address))

# %% ctypes-connect-ipv6 | `connect` through ctypes, IPv6
import ctypes
import struct

head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", PORT, 0)
address = head + socket.inet_pton(socket.AF_INET6, HOST6) + bytes(4)
with socket.socket(socket.AF_INET6) as s:
    ctypes.CDLL(None).connect(s.fileno(), address, len(address))

# %% ctypes-socket | `socket` and `connect` through ctypes
import ctypes
import struct

address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
libc = ctypes.CDLL(None)
fd = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
libc.connect(fd, address, len(address))
os.close(fd)

# %% ctypes-sendto | `sendto` through ctypes
import ctypes
import struct

address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
with socket.socket(type=socket.SOCK_DGRAM) as s:
    ctypes.CDLL(None).sendto(s.fileno(), b"hello", 5, 0, address, len(address))

# %% ctypes-syscall | `syscall(connect)` through ctypes
import ctypes
import platform
import struct

number = {"x86_64": 42, "aarch64": 203}[platform.machine()]
address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
with socket.socket() as s:
    ctypes.CDLL(None).syscall(number, s.fileno(), address, len(address))

# %% ctypes-sendmsg | `sendmsg` through ctypes
import ctypes
import struct


class IOVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class MsgHdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(IOVec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


def test_way():
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
    name = ctypes.create_string_buffer(address, 16)
    message = MsgHdr(ctypes.cast(name, ctypes.c_char_p), 16, ctypes.pointer(IOVec(b"hello", 5)), 1, None, 0, 0)
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        ctypes.CDLL(None).sendmsg(s.fileno(), ctypes.byref(message), 0)

# %% ctypes-sendmmsg | `sendmmsg` through ctypes
import ctypes
import struct


class IOVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class MMsgHdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(IOVec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]


def test_way():
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
    name = ctypes.create_string_buffer(address, 16)
    message = MMsgHdr(ctypes.cast(name, ctypes.c_char_p), 16, ctypes.pointer(IOVec(b"hello", 5)), 1, None, 0, 0, 0)
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        ctypes.CDLL(None).sendmmsg(s.fileno(), ctypes.byref(message), 1, 0)

# %% ctypes-getaddrinfo | `getaddrinfo` through ctypes | only=foreign
import ctypes

result = ctypes.c_void_p()
ctypes.CDLL(None).getaddrinfo(NAME.encode(), None, None, ctypes.byref(result))

# %% ctypes-gethostbyname | `gethostbyname` through ctypes | only=foreign
import ctypes

ctypes.CDLL(None).gethostbyname(NAME.encode())

# %% ctypes-system | `system` through ctypes | needs=program:curl
import ctypes

ctypes.CDLL(None).system(f"curl -s -m 2 {URL} > /dev/null".encode())

# %% ctypes-thread | `connect` through ctypes, in a thread
import ctypes
import struct


def dial():
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
    with socket.socket() as s:
        ctypes.CDLL(None).connect(s.fileno(), address, len(address))


def test_way():
    thread = threading.Thread(target=dial)
    thread.start()
    thread.join()

# %% cffi-connect | `connect` through cffi | needs=cffi
import struct

import cffi

ffi = cffi.FFI()
ffi.cdef("int connect(int, const char *, unsigned int);")
address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
with socket.socket() as s:
    ffi.dlopen(None).connect(s.fileno(), address, len(address))

# %% io-uring | io_uring's connect, through ctypes
import ctypes
import struct


def test_way():
    libc = ctypes.CDLL(None, use_errno=True)
    params = ctypes.create_string_buffer(120)
    ring = libc.syscall(425, 4, params)
    if ring < 0:
        pytest.skip("io_uring is not permitted here")
    import mmap

    sq = struct.unpack_from("10I", params, 40)
    cq = struct.unpack_from("10I", params, 80)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    flags = mmap.MAP_SHARED | 0x8000
    queue = libc.mmap(None, max(sq[6] + 4 * 4, cq[5] + 16 * 8), 3, flags, ring, 0)
    entries = libc.mmap(None, 4 * 64, 3, flags, ring, 0x10000000)
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
    kept = ctypes.create_string_buffer(address, 16)
    with socket.socket() as s:
        entry = struct.pack("=BBHiQQII", 16, 0, 0, s.fileno(), 16, ctypes.addressof(kept), 0, 0).ljust(64, b"\0")
        ctypes.memmove(entries, entry, 64)
        ctypes.c_uint32.from_address(queue + sq[6]).value = 0
        ctypes.c_uint32.from_address(queue + sq[1]).value = 1
        libc.syscall(426, ring, 1, 1, 1, None, 0)
    os.close(ring)

# %% write-connected | `os.write` on a datagram socket that ctypes connected
import ctypes
import struct

address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(HOST) + bytes(8)
with socket.socket(type=socket.SOCK_DGRAM) as s:
    ctypes.CDLL(None).connect(s.fileno(), address, len(address))
    os.write(s.fileno(), b"hello")
