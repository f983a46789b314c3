"""Addresses as they stand on a label."""

import re
from dataclasses import dataclass

CODES = {"AT": r"\d{4}", "CH": r"\d{4}", "DE": r"\d{5}", "IT": r"\d{5}", "NL": r"\d{4} ?[A-Z]{2}"}


@dataclass(frozen=True)
class Address:
    name: str
    street: str
    code: str
    town: str
    country: str = "AT"

    def lines(self):
        return [self.name, self.street, f"{self.code} {self.town}".upper(), self.country]


def is_code(code, country):
    pattern = CODES.get(country)
    return pattern is None or re.fullmatch(pattern, code) is not None


def parse(text):
    name, street, place, *rest = [line.strip() for line in text.strip().splitlines()]
    code, _, town = place.partition(" ")
    country = rest[0] if rest else "AT"
    if not is_code(code, country):
        raise ValueError(f"no postal code of {country}: {code}")
    return Address(name, street, code, town, country)
