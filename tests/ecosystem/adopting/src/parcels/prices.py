"""What a parcel costs: by the tariff service, or by the printed tariff where it does not answer."""

import requests

URL = "https://tariffs.example.com/v2/prices"
PRINTED = {"letter": 1.8, "small": 4.5, "large": 9.9}
LIMITS = {"letter": 500, "small": 2000, "large": 31500}


class TooHeavy(ValueError):
    pass


def kind_for(grams):
    for kind, limit in LIMITS.items():
        if grams <= limit:
            return kind
    raise TooHeavy(f"{grams} g")


def zone(country):
    if country == "AT":
        return 1
    return 2 if country in {"CH", "DE", "IT", "SI"} else 3


def price(kind, country="AT"):
    return round(PRINTED[kind] * zone(country), 2)


def current(kind):
    try:
        response = requests.get(URL, params={"kind": kind}, timeout=2)
        response.raise_for_status()
        return float(response.json()["price"])
    except (requests.RequestException, KeyError, ValueError):
        return PRINTED[kind]
