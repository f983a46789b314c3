#!/usr/bin/env bash
# pook: an exception inside of `with pook.use()` leaves the mock on: every later test of the process is mocked, and fails or gets a stale answer.
#
# Versions: pook 2.1.6 beside responses 0.26.3, requests-mock 1.12.1 (requests 2.34.2) and respx 0.23.1 (httpx 0.28.1), pytest 9.2.0.
# Behaviour: use() and use_network() take their patches off after the body and not in a finally. A test that fails inside of the block, or is
#   skipped there, or expects an exception by pytest.raises() around it, leaves the engine and its mocks active:
#   - a later test that never mocks gets PookNoMatches for its own local server instead of an answer;
#   - a mock that the failed test did not use up answers a later test. It is handed out once, and then gone;
#   - after use_network() later tests reach their server, and what is left of the mocks answers in between.
#   The decorator (@pook.on) has a finally. responses, requests-mock and respx end with their block, failed or not.
# For who tests: one red test makes others red. Use @pook.on, or an autouse fixture that calls pook.off() and pook.reset() after its yield.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pook==2.1.6 responses==0.26.3 requests-mock==1.12.1 requests==2.34.2 \
  respx==0.23.1 httpx==0.28.1 pytest==9.2.0
cat >"$work/test_order.py" <<'EOF'
import http.server
import os
import threading

import httpx
import pook
import pytest
import requests
import requests_mock
import responses
import respx

MOCK = os.environ["MOCK"]


class Live(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"live")

    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.HTTPServer(("127.0.0.1", 0), Live) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def _put_right():
    yield
    if "PUT_RIGHT" in os.environ:
        pook.off()
        pook.reset()


def block(url, body):
    """Mock URL, and run BODY inside of the block."""
    match MOCK:
        case "pook.use" | "pook.use_network":
            with getattr(pook, MOCK.removeprefix("pook."))():
                pook.get(url + "mocked").reply(200).body("mocked")
                body()
        case "pook.on":

            @pook.on
            def decorated():
                pook.get(url + "mocked").reply(200).body("mocked")
                body()

            decorated()
        case "responses":
            with responses.RequestsMock() as mock:
                mock.get(url + "mocked", body="mocked")
                body()
        case "requests-mock":
            with requests_mock.Mocker() as mock:
                mock.get(url + "mocked", text="mocked")
                body()
        case "respx":
            with respx.mock() as mock:
                mock.get(url + "mocked").respond(text="mocked")
                body()


def test_1_ends_inside_of_the_block(url):
    def body():
        match os.environ["END"]:
            case "skip":
                pytest.skip()
            case "raises":
                raise ValueError

    with pytest.raises(ValueError):
        block(url, body)


def test_2_unmocked(url):
    get = httpx.get if MOCK == "respx" else requests.get
    answers = []
    for path in ("", "mocked", "mocked"):
        try:
            answers.append(get(url + path).text)
        except Exception as error:
            answers.append(type(error).__name__)
    print("answers:", *answers)
EOF
cd "$work"
# run MOCK END ANSWER...
run() {
  local mock=$1 end=$2 answers
  shift 2
  MOCK=$mock END=$end "$work/venv/bin/python" -m pytest -q -s -p no:cacheprovider -W ignore test_order.py >output 2>&1 || true
  answers=$(sed -n 's/.*answers: //p' output)
  printf '  %-17s the first test ends by %-7s the second gets: %s\n' "$mock" "$end" "$answers"
  test "$answers" = "$*" || { cat output; exit 1; }
}
echo "an unmocked test asks its server for /, /mocked and /mocked"
run pook.use raises PookNoMatches mocked PookNoMatches
run pook.use skip PookNoMatches mocked PookNoMatches
echo "  with pook.off() and pook.reset() after each test:"
PUT_RIGHT=1 run pook.use raises live live live
run pook.use_network raises live mocked live
run pook.on raises live live live
run responses raises live live live
run requests-mock raises live live live
run respx raises live live live
