import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from parcels import labels, tracking
from parcels.queue import Worker


class TestLabels:
    def test_keep_and_fetch(self, service):
        s3 = labels.client(service)
        labels.keep(s3, "P1", "a label")
        assert labels.fetch(s3, "P1") == "a label"

    def test_kept_in_the_background(self, service):
        s3 = labels.client(service)
        worker = Worker(lambda number: labels.keep(s3, number, f"label of {number}"))
        for number in ("P2", "P3"):
            worker.put(number)
        worker.close()
        assert worker.failed == []
        assert labels.fetch(s3, "P3") == "label of P3"


def test_tracking(service):
    assert tracking.where_is("P1", service) == "on its way"


def test_branch_office_is_not_there():
    s3 = labels.client("http://198.51.100.7:9000")
    with pytest.raises((ConnectTimeoutError, EndpointConnectionError)):
        labels.keep(s3, "P1", "a label")
