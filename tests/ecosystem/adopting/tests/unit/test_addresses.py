import unittest

import pytest

from parcels import addresses
from parcels.addresses import Address

TEXT = """
Ada Example
Ring 1
1010 Wien
"""


@pytest.mark.parametrize(
    "code, country, good",
    [
        ("1010", "AT", True),
        ("10115", "AT", False),
        ("10115", "DE", True),
        ("1011 AB", "NL", True),
        ("1011ab", "NL", False),
        ("anything", "XX", True),
    ],
)
def test_is_code(code, country, good):
    assert addresses.is_code(code, country) is good


class TestParse(unittest.TestCase):
    def setUp(self):
        self.address = addresses.parse(TEXT)

    def test_name(self):
        self.assertEqual(self.address.name, "Ada Example")

    def test_town(self):
        self.assertEqual(self.address.town, "Wien")

    def test_country_is_ours(self):
        self.assertEqual(self.address.country, "AT")

    def test_other_country(self):
        self.assertEqual(addresses.parse(TEXT.replace("1010", "10115") + "DE").country, "DE")

    def test_wrong_code(self):
        with self.assertRaises(ValueError):
            addresses.parse(TEXT.replace("1010", "10"))


def test_lines():
    assert Address("Ada", "Ring 1", "1010", "Wien").lines() == ["Ada", "Ring 1", "1010 WIEN", "AT"]
