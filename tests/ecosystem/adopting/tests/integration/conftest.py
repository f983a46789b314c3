import http.server
import threading

import pytest

from parcels import orders


@pytest.fixture(scope="session")
def database():
    with orders.connect() as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE orders (number text PRIMARY KEY, grams int, country text, price numeric)"
        )
        yield connection


@pytest.fixture
def table(database):
    database.execute("TRUNCATE orders")
    return database


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps what is put, and gives it back: enough of S3, and of a carrier."""

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
