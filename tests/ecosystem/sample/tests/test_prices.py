import json
from decimal import Decimal
from pathlib import Path

import pytest
import requests
import responses
import vcr
from bookshop import prices

pytestmark = pytest.mark.small

recorded = vcr.VCR(cassette_library_dir=str(Path(__file__).parent / "cassettes"), record_mode="none")


@responses.activate
def test_a_rate_is_the_banks():
    responses.get(prices.RATES, json={"rates": {"CHF": 0.95}})
    assert prices.rate("CHF") == Decimal("0.95")
    assert "symbols=CHF" in responses.calls[0].request.url


@responses.activate
def test_a_busy_bank_is_asked_again():
    responses.get(prices.RATES, status=503)
    responses.get(prices.RATES, json={"rates": {"CHF": 0.95}})
    assert prices.rate("CHF") == Decimal("0.95")
    assert len(responses.calls) == 2


@responses.activate
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 404}, id="no such page"),
        pytest.param({"body": requests.ConnectionError("cable cut")}, id="no connection"),
        pytest.param({"body": json.dumps({"rates": {}})}, id="no such currency"),
    ],
)
def test_what_the_bank_does_not_know_is_unavailable(answer):
    responses.get(prices.RATES, **answer)
    with pytest.raises(prices.RatesUnavailable):
        prices.rate("XXX")


@recorded.use_cassette("rates.yaml")
def test_a_recorded_answer_is_read():
    assert prices.price(Decimal(20), "USD") == Decimal("21.69")


def test_euros_are_not_converted(mocker):
    rate = mocker.patch("bookshop.prices.rate")
    assert prices.price(Decimal(20), "EUR") == 20
    rate.assert_not_called()


def test_a_price_has_two_decimals(mocker):
    mocker.patch("bookshop.prices.rate", return_value=Decimal("1.23456"))
    assert prices.price(Decimal(10), "USD") == Decimal("12.35")
