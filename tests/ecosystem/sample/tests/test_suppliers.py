import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from bookshop import suppliers


@pytest.mark.small
async def test_the_cheapest_offer_wins(mocker):
    offers = {"https://a.example": (900, "https://a.example"), "https://b.example": (800, "https://b.example")}
    mocker.patch("bookshop.suppliers.offer", side_effect=lambda _session, supplier, _isbn: offers.get(supplier))
    assert await suppliers.cheapest([*offers, "https://c.example"], "1") == (800, "https://b.example")


@pytest.mark.small
async def test_nobody_has_it():
    assert await suppliers.cheapest([], "1") is None


@pytest.mark.small
async def test_a_supplier_that_does_not_answer_has_no_offer(mocker):
    session = mocker.Mock(spec=aiohttp.ClientSession)
    session.get.side_effect = aiohttp.ClientConnectionError
    assert await suppliers.offer(session, "https://a.example", "1") is None


@pytest.fixture
async def supplier():
    async def offers(request):
        return web.json_response({"cents": 100 * len(request.match_info["isbn"])})

    application = web.Application()
    application.router.add_get("/offers/{isbn}", offers)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.medium
async def test_suppliers_on_this_machine_are_asked(supplier):
    assert await suppliers.cheapest([supplier, f"{supplier}/nowhere"], "123") == (300, supplier)
