#!/usr/bin/env bash
# boto3's transfers by AWS's common runtime go to Amazon, whatever `endpoint_url` the client was made with.
#
# Versions: boto3 1.44.8, awscrt 0.38.1, on CPython 3.11.
# Behaviour: `client.upload_file(..., Config=TransferConfig(preferred_transfer_client="crt"))` asks DNS for
#   BUCKET.s3.REGION.amazonaws.com, with the same client whose endpoint_url the classic transfer, and every other call, goes to. No
#   error, no warning. The default, "auto", takes the runtime by itself on the instances that it knows to be fast.
# For who tests: a mock server or LocalStack gets nothing, and the upload is sent to the real bucket, if there is one, with the
#   credentials that were for the mock. What patches botocore or Python's sockets sees nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.8 awscrt==0.38.1

printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
cat >"$work/upload.py" <<'EOF'
import http.server
import os
import socket
import sys
import threading

import boto3
from boto3.s3.transfer import TransferConfig

asked, got = set(), set()


def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        message, client = server.recvfrom(1024)
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += 1 + message[at]
        asked.add(".".join(labels))
        server.sendto(message[:2] + b"\x81\x83" + message[4:6] + bytes(6) + message[12 : at + 5], client)


class Store(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        got.add(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


threading.Thread(target=serve_names, daemon=True).start()
store = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Store)
threading.Thread(target=store.serve_forever, daemon=True).start()
client = boto3.client("s3", endpoint_url="http://127.0.0.1:8080", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


def upload(preferred):
    def run():
        try:
            client.upload_file(sys.argv[0], "bucket", "key", Config=TransferConfig(preferred_transfer_client=preferred))
        except Exception as error:
            print("   ", type(error).__name__, error)

    asked.clear()
    got.clear()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    print(f"{preferred}: the endpoint got {sorted(got)}, DNS was asked for {sorted(asked)}", flush=True)
    return got, asked


assert upload("classic") == ({"/bucket/key"}, set())
assert upload("crt") == (set(), {"bucket.s3.eu-west-1.amazonaws.com"})
os._exit(0)  # the runtime's threads go on
EOF
# A namespace of its own: nothing leads out, and its name server is the one above.
unshare --map-root-user --net --mount bash -euc '
    ip link set lo up
    for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
    AWS_EC2_METADATA_DISABLED=true exec "$1/venv/bin/python" "$1/upload.py"' - "$work"
