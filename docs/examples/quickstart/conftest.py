"""A user service on this machine, for the tests that may reach it."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class UserService(http.server.BaseHTTPRequestHandler):
    """Answers ``GET /users/7`` with the name of user 7."""

    def do_GET(self) -> None:
        """Answer a request."""
        user_id = self.path.rpartition("/")[2]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"name": f"user {user_id}"}).encode())

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def service() -> Iterator[str]:
    """Return the URL of a user service on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), UserService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
