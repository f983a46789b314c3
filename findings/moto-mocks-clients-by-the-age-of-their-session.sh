#!/usr/bin/env bash
# moto: inside of mock_aws() a client is mocked if its session is younger than `import moto`. If not, its requests go out, signed with the real key.
#
# Versions: moto 5.2.5, boto3 and botocore 1.44.8.
# Behaviour: the import of moto appends its hook to botocore's list of handlers, which a session copies when it is made. Neither the start of
#   mock_aws() nor the making of the client matters:
#   - a client made before mock_aws() is mocked, if its session was made after the import;
#   - a client made inside of mock_aws() by an older boto3.Session() (a module's global, say) sends its requests to AWS: with the mock's false
#     key if the session had read no credentials yet, else with the real one;
#   - boto3.client() after the import and before mock_aws() is unmocked if anyone called boto3.client() before the import: that made the default
#     session. Inside of mock_aws() it is always mocked, as moto puts the default session aside.
#   moto.core.patch_client() mends an old client, and does nothing for its session: the next client is unmocked again.
# For who tests: import moto first of all (in conftest.py, before the package under test), or have `-p moto` in addopts, and make no session at
#   import. A test may be green by itself and talk to AWS in the whole suite, as another test module has imported the package before.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check moto==5.2.5 boto3==1.44.8 botocore==1.44.8
cat >"$work/look.py" <<'EOF'
import http.server
import os
import threading

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {"AWS_ACCESS_KEY_ID": "THEREALKEY", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

keys = []


class Outside(http.server.BaseHTTPRequestHandler):
    """A proxy that is all of the outside, and notes the key of each request."""

    def do_GET(self):
        keys.append(self.headers["Authorization"].partition("Credential=")[2].partition("/")[0])
        body = b"<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Outside)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = Config(proxies={"http": f"http://127.0.0.1:{server.server_port}"}, retries={"max_attempts": 0})


def client(maker):
    return maker.client("s3", config=config, use_ssl=False)


def tell(what, s3, expected):
    keys.clear()
    s3.list_buckets()
    told = f"sent, key {keys[0]}" if keys else "mocked"
    print(f"  {what:64} {told}")
    assert told == expected, expected


old = boto3.Session()
old_that_read = boto3.Session()
old_that_read.get_credentials()
of_old = client(boto3.Session())
client(boto3)

import moto  # noqa: E402
import moto.core  # noqa: E402

young = boto3.Session()
of_young = client(young)
of_default = client(boto3)

print("moto", moto.__version__, "boto3", boto3.__version__)
with moto.mock_aws():
    tell("client before the import of moto", of_old, "sent, key THEREALKEY")
    tell("session before the import, client inside of mock_aws()", client(old), "sent, key FOOBARKEY")
    tell("session before it, has read credentials, client inside", client(old_that_read), "sent, key THEREALKEY")
    tell("session and client after the import, before mock_aws()", of_young, "mocked")
    tell("session after the import, client inside", client(young), "mocked")
    tell("boto3.client() before and after the import: the latter", of_default, "sent, key THEREALKEY")
    tell("boto3.client() inside", client(boto3), "mocked")
    patched = client(old_that_read)
    moto.core.patch_client(patched)
    tell("a client of the old session after patch_client()", patched, "mocked")
    tell("the next client of that session", client(old_that_read), "sent, key THEREALKEY")
EOF
"$work/venv/bin/python" "$work/look.py"
