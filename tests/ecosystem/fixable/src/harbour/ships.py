"""Where ships are, and the weather there."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import httpx


def position(ship: str) -> tuple[float, float]:
    """Return latitude and longitude of a ship."""
    answer = httpx.get(f"https://ais.example.com/ships/{ship}", params={"fields": "lat,lon"}, timeout=5)
    if answer.status_code == 404:
        raise LookupError(ship)
    data = answer.raise_for_status().json()
    return data["lat"], data["lon"]


class Weather:
    """The weather service."""

    def __init__(self, client: httpx.Client | None = None) -> None:
        self.client = client or httpx.Client(base_url="https://weather.example.com", auth=("me", "s3cr3t"))

    def wind(self, lat: float, lon: float) -> str:
        """Return the wind's strength in words."""
        answer = self.client.get("/v2/now", params={"lat": lat, "lon": lon})
        knots = answer.json().get("wind", {}).get("knots", 0)
        return "storm" if knots > 48 else "calm" if knots < 1 else "breeze"


async def arrivals(port: str) -> list[str]:
    """Return the ships that are due in a port."""
    async with httpx.AsyncClient() as client:
        answer = await client.post("https://ais.example.com/query", json={"port": port})
    return [ship["name"] for ship in answer.json().get("ships", [])]


async def berths(port: str) -> int:
    """Return how many berths are free."""
    async with aiohttp.ClientSession() as session, session.get(f"https://ports.example.com/{port}/berths") as answer:
        answer.raise_for_status()
        return sum(1 for berth in await answer.json() if berth["free"])


async def overview(ports: list[str]) -> dict[str, int]:
    """Return the free berths of several ports, asked at once."""
    return dict(zip(ports, await asyncio.gather(*map(berths, ports)), strict=True))


async def announce(ship: str, **facts: Any) -> bool:
    """Tell the port of a ship; whether it was accepted."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession("https://ports.example.com", timeout=timeout) as session:
        answer = await session.post("/announcements", json={"ship": ship, **facts})
        return answer.status in {200, 201, 202}
