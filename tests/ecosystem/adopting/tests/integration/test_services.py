import http.server
import threading

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from parcels import labels, tracking
from parcels.queue import Worker


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps what is put, and gives it back: enough of S3, and of a carrier."""

    protocol_version = "HTTP/1.1"
    kept = {}

    def do_PUT(self):
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def do_GET(self):
        self._answer(self.kept.get(self.path, b'{"events": [{"code": "TRN", "at": 1}]}'))

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def service():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 8473), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def s3(service):
    return labels.client(service)


class TestLabels:
    def test_keep_and_fetch(self, s3):
        labels.keep(s3, "P1", "a label")
        assert labels.fetch(s3, "P1") == "a label"

    def test_kept_in_the_background(self, s3):
        worker = Worker(lambda number: labels.keep(s3, number, f"label of {number}"))
        for number in ("P2", "P3"):
            worker.put(number)
        worker.close()
        assert worker.failed == []
        assert labels.fetch(s3, "P3") == "label of P3"


def test_tracking(service):
    assert tracking.where_is("P1", service) == "on its way"


def test_branch_office_is_not_there():
    s3 = labels.client("http://198.51.100.7:9000")
    with pytest.raises((ConnectTimeoutError, EndpointConnectionError)):
        labels.keep(s3, "P1", "a label")
