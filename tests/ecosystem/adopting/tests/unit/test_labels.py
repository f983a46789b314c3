import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from parcels import labels
from parcels.addresses import Address

ADA = Address("Ada", "Ring 1", "1010", "Wien")


@pytest.fixture(scope="module")
def s3():
    with mock_aws():
        client = labels.client()
        client.create_bucket(Bucket=labels.BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client


def test_text():
    assert labels.text(ADA, "P1").splitlines()[-2:] == ["---------", "P1"]


def test_keep_and_fetch(s3):
    labels.keep(s3, "P1", "a label")
    assert labels.fetch(s3, "P1") == "a label"


def test_keep_twice(s3):
    labels.keep(s3, "P1", "old")
    labels.keep(s3, "P1", "new")
    assert labels.fetch(s3, "P1") == "new"


def test_fetch_unknown(s3):
    with pytest.raises(ClientError):
        labels.fetch(s3, "P0")


def test_sorted_by_town():
    assert labels.sorted_by_town(["Wien", "graz", "Linz"]) == ["graz", "Linz", "Wien"]
