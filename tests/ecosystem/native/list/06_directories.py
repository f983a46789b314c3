# Group: Directories, machines and services

# %% python-ldap | `ldap.initialize(url).simple_bind_s(...)` | needs=ldap | package=python-ldap | only=foreign
import ldap

connection = ldap.initialize(f"ldap://{NETLOC}")
connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 1)
connection.set_option(ldap.OPT_TIMEOUT, 1)
with contextlib.suppress(ldap.LDAPError):
    connection.simple_bind_s("cn=u", "p")

# %% bonsai | `bonsai.LDAPClient(url).connect()` | needs=bonsai | package=bonsai | only=foreign
import bonsai

with contextlib.suppress(bonsai.LDAPError, TimeoutError):
    bonsai.LDAPClient(f"ldap://{NETLOC}").connect(timeout=1)

# %% gssapi | `gssapi.raw.acquire_cred_with_password(name, password)` | needs=gssapi | package=gssapi | only=foreign | note=the servers of a realm stand in krb5.conf, or are looked up in DNS
with open("krb5.conf", "w") as file:
    file.write(f"[libdefaults]\ndefault_realm = T.EXAMPLE\n[realms]\nT.EXAMPLE = {{\n kdc = {NETLOC}\n}}\n")
os.environ["KRB5_CONFIG"] = os.path.abspath("krb5.conf")
import gssapi


def ask():
    with contextlib.suppress(gssapi.exceptions.GSSError):
        gssapi.raw.acquire_cred_with_password(gssapi.Name("u@T.EXAMPLE"), b"p", usage="initiate")


threading.Thread(target=ask, daemon=True).start()
time.sleep(1)

# %% libvirt | `libvirt.open("qemu+tcp://host:port/system")` | needs=libvirt | package=libvirt-python | only=foreign
import libvirt

with contextlib.suppress(libvirt.libvirtError):
    libvirt.open(f"qemu+tcp://{NETLOC}/system")

# %% livekit | `await livekit.rtc.Room().connect(url, token)` | needs=livekit | package=livekit | only=foreign
import livekit.rtc


async def main():
    with contextlib.suppress(livekit.rtc.ConnectError, TimeoutError):
        await asyncio.wait_for(livekit.rtc.Room().connect(f"ws://{NETLOC}", "token"), 2)


def test_way():
    asyncio.run(main())

# %% pysmbc | `smbc.Context().opendir("smb://host:port/share")` | needs=smbc | package=pysmbc | only=foreign
import smbc

context = smbc.Context()
context.timeout = 1000
with contextlib.suppress(OSError, RuntimeError, ValueError):
    context.opendir(f"smb://{NETLOC}/share")
