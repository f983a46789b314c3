# Group: SSH and git

# %% pygit2 | `pygit2.clone_repository(url, path)` | needs=pygit2 | package=pygit2 | only=foreign
import pygit2

with contextlib.suppress(pygit2.GitError):
    pygit2.clone_repository(f"{URL}r.git", os.path.abspath("r"))

# %% pygit2-remote | `repository.remotes.create_anonymous(url).fetch()` | needs=pygit2 | package=pygit2 | only=foreign
import pygit2

with contextlib.suppress(pygit2.GitError):
    pygit2.init_repository("r").remotes.create_anonymous(f"{URL}r.git").fetch()

# %% pygit2-list | `repository.remotes.create_anonymous(url).list_heads()` | needs=pygit2 | package=pygit2 | only=foreign
import pygit2

with contextlib.suppress(pygit2.GitError):
    pygit2.init_repository("r").remotes.create_anonymous(f"{URL}r.git").list_heads()

# %% dulwich | `dulwich.porcelain.ls_remote(url)`, by Python's sockets | needs=dulwich | package=dulwich | only=foreign
import dulwich.porcelain

dulwich.porcelain.ls_remote(f"{URL}r.git")

# %% ssh-python | `ssh.session.Session().connect()` | needs=ssh | package=ssh-python | only=foreign | note=a session does not tell its host (`options_get` raises), and nothing can be kept with it
import ssh.options
import ssh.session

session = ssh.session.Session()
session.options_set(ssh.options.HOST, HOST)
session.options_set_port(PORT)
session.options_set_int_val(ssh.options.TIMEOUT, 2)
session.connect()

# %% ansible-pylibssh | `pylibsshext.session.Session().connect(host=..., port=...)` | needs=pylibsshext | package=ansible-pylibssh | only=foreign
import pylibsshext.session

pylibsshext.session.Session().connect(host=HOST, port=PORT, user="u", password="p", timeout=2)

# %% ssh2-python | `ssh2.session.Session().handshake(sock)`, by Python's sockets | needs=ssh2 | package=ssh2-python | only=foreign
import ssh2.session

with socket.create_connection(ADDRESS, 2) as sock:
    session = ssh2.session.Session()
    session.set_timeout(500)
    session.handshake(sock)

# %% parallel-ssh | `pssh.clients.SSHClient(host, port=...)`, by gevent's sockets | needs=pssh | package=parallel-ssh | only=foreign
import pssh.clients

pssh.clients.SSHClient(HOST, user="u", password="p", port=PORT, timeout=1, num_retries=1, retry_delay=0)

# %% parallel-ssh-libssh | `pssh.clients.ssh.SSHClient(host, port=...)`, by gevent's sockets | needs=pssh | package=parallel-ssh | only=foreign
import pssh.clients.ssh

pssh.clients.ssh.SSHClient(HOST, user="u", password="p", port=PORT, timeout=1, num_retries=1, retry_delay=0)

# %% asyncssh | `await asyncssh.connect(host, port)`, by Python's sockets | needs=asyncssh | package=asyncssh | only=foreign
import asyncssh


async def main():
    await asyncssh.connect(HOST, PORT, username="u", password="p", known_hosts=None, connect_timeout=1)


def test_way():
    asyncio.run(main())
