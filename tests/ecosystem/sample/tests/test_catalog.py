import asyncio
import http.server
import json
import threading

import httpx
import pytest
import respx
from bookshop import catalog


@pytest.mark.small
@respx.mock
def test_a_book_has_a_title():
    respx.get(f"{catalog.BASE}/books/1").respond(json={"title": "Moby-Dick"})
    assert catalog.find("1") == catalog.Book("1", "Moby-Dick")


@pytest.mark.small
def test_an_unknown_book_is_none(respx_mock):
    respx_mock.get(f"{catalog.BASE}/books/2").respond(404)
    assert catalog.find("2") is None


@pytest.mark.small
@respx.mock
def test_a_catalogue_that_is_down_is_an_error():
    respx.get(f"{catalog.BASE}/books/3").mock(side_effect=httpx.ConnectTimeout)
    with pytest.raises(httpx.ConnectTimeout):
        catalog.find("3")


@pytest.mark.small
async def test_titles_keep_their_order(respx_mock):
    async def slowly(request):
        await asyncio.sleep(0.01)
        return httpx.Response(200, json={"title": "first"})

    respx_mock.get(f"{catalog.BASE}/books/1").mock(side_effect=slowly)
    respx_mock.get(f"{catalog.BASE}/books/2").respond(json={"title": "second"})
    assert await catalog.find_all(["1", "2"]) == ["first", "second"]


class Catalogue(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"title": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def catalogue():
    with http.server.ThreadingHTTPServer(("localhost", 0), Catalogue) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.medium
async def test_a_catalogue_on_this_machine_answers(catalogue):
    assert await catalog.find_all(["1", "2"], base=catalogue) == ["/books/1", "/books/2"]
