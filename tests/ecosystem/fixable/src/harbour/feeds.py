"""What comes by the standard library and urllib3."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import urlencode

import urllib3

pool = urllib3.PoolManager(retries=urllib3.Retry(2, backoff_factor=0))


def tides(port: str) -> list[float]:
    """Return today's high tides in metres."""
    query = urlencode({"port": port, "unit": "m"})
    with urllib.request.urlopen(f"https://tides.example.com/today.json?{query}", timeout=5) as answer:
        return [tide["height"] for tide in json.load(answer)["tides"]]


def closed(port: str) -> bool:
    """Tell whether a port is closed; if the authority does not answer, it is open."""
    request = urllib.request.Request(f"https://authority.example.com/closures/{port}", headers={"X-Key": "s3cr3t"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(json.load(answer).get("closed"))
    except (urllib.error.URLError, TimeoutError):
        return False


def label(parcel: int) -> str:
    """Return the text of a parcel's label."""
    answer = pool.request("POST", "https://labels.example.com/print", json={"parcel": parcel})
    if answer.status != 200:
        raise RuntimeError(answer.status)
    return str(answer.json()["label"])


def healthy(host: str) -> bool:
    """Tell whether a service is up."""
    connection = http.client.HTTPSConnection(host, timeout=3)
    try:
        connection.request("GET", "/health?deep=1")
        return connection.getresponse().status == 200
    finally:
        connection.close()
