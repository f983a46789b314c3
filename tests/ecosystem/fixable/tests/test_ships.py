"""Ships and weather, by httpx and aiohttp."""

import httpx

from harbour.ships import Weather, announce, arrivals, berths, overview, position


def test_position():
    assert position("ever-given") == (30.0, 32.5)


def test_calm():
    assert Weather().wind(54.2, 7.9) == "calm"


def test_storm_with_a_client_of_its_own():
    with httpx.Client(base_url="https://weather.example.com", timeout=3) as client:
        assert Weather(client).wind(54.2, 7.9) == "storm"


async def test_arrivals():
    assert await arrivals("hamburg") == ["Ever Given"]


async def test_no_arrivals():
    assert await arrivals("nowhere") == []


class TestPorts:
    async def test_berths(self):
        assert await berths("hamburg") == 1

    async def test_overview(self):
        assert await overview(["hamburg", "bremen"]) == {"hamburg": 1, "bremen": 1}

    async def test_announce(self):
        assert await announce("Ever Given", length=400)
