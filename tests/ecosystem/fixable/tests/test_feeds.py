"""Feeds, by urllib, urllib3 and http.client."""

import unittest

from harbour import feeds


class FeedsTest(unittest.TestCase):
    def setUp(self):
        self.port = "hamburg"

    def test_tides(self):
        self.assertEqual(feeds.tides(self.port), [3.5, 3.7])

    def test_open_ports(self):
        self.assertFalse(feeds.closed(self.port))

    def test_label(self):
        self.assertEqual(feeds.label(7), "HAM-7")


def test_healthy():
    assert feeds.healthy("labels.example.com")
