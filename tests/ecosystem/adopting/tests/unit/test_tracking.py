import httpx
import pytest
import respx

from parcels import tracking


def event(code, at):
    return {"code": code, "at": at}


@pytest.mark.parametrize(
    "events, state",
    [
        ([], "announced"),
        ([event("ACC", 1)], "accepted"),
        ([event("TRN", 2), event("ACC", 1)], "on its way"),
        ([event("ACC", 1), event("DLV", 3), event("TRN", 2)], "delivered"),
        ([event("???", 1)], "unknown"),
    ],
)
def test_parse(events, state):
    assert tracking.parse({"events": events}) == state


@respx.mock
def test_where_is():
    respx.get(f"{tracking.CARRIER}/parcels/P1").respond(json={"events": [event("DLV", 1)]})
    assert tracking.where_is("P1") == "delivered"


@respx.mock
@pytest.mark.parametrize("status", [404, 500, 503])
def test_where_is_without_an_answer(status):
    respx.get(f"{tracking.CARRIER}/parcels/P1").respond(status)
    with pytest.raises(tracking.NoAnswer):
        tracking.where_is("P1")


@respx.mock
def test_where_is_times_out():
    respx.get(f"{tracking.CARRIER}/parcels/P1").mock(side_effect=httpx.ReadTimeout)
    with pytest.raises(tracking.NoAnswer):
        tracking.where_is("P1")
