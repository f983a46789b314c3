"""What is kept elsewhere: documents, jobs, orders, sessions."""

from __future__ import annotations

import json
from typing import Any

import boto3
import psycopg
import redis
import redis.asyncio

documents = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
sessions = redis.Redis(host="cache.example.com", decode_responses=True)
DATABASE = "host=db.example.com dbname=orders user=harbour"


def invoice(number: int) -> dict[str, Any]:
    """Return an invoice, from the bucket."""
    found = documents.get_object(Bucket="invoices", Key=f"{number}.json")
    return dict(json.loads(found["Body"].read()))


def archive(number: int, data: dict[str, Any]) -> None:
    """Put an invoice into the bucket."""
    documents.put_object(Bucket="invoices", Key=f"{number}.json", Body=json.dumps(data))


def enqueue(job: str) -> str:
    """Hand a job to the workers; return its number."""
    sqs = boto3.client("sqs", region_name="eu-west-1")
    queue = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    return str(sqs.send_message(QueueUrl=queue, MessageBody=job)["MessageId"])


def order(number: int) -> dict[str, Any] | None:
    """Return an order."""
    with psycopg.connect(DATABASE) as connection:
        row = connection.execute("select number, weight from orders where number = %s", [number]).fetchone()
    return None if row is None else {"number": row[0], "weight": row[1]}


class Orders:
    """The orders in the database."""

    def weights(self, customer: int) -> list[float]:
        """Return what a customer's orders weigh."""
        with psycopg.connect(DATABASE) as connection:
            rows = connection.execute("select weight from orders where customer = %s", [customer])
            return [row[0] for row in rows]

    def heaviest(self, customer: int) -> float:
        """Return the weight of a customer's heaviest order."""
        return max(self.weights(customer), default=0.0)


def greeting(session: str) -> str:
    """Return what to say to whom a session is of."""
    name = sessions.get(f"session:{session}")
    return f"Hello {name}" if name else "Hello"


def visits(page: str) -> int:
    """Count a visit of a page."""
    with sessions.pipeline() as pipeline:
        pipeline.incr(f"visits:{page}")
        pipeline.expire(f"visits:{page}", 86400)
        return int(pipeline.execute()[0])


async def last_page(user: str) -> str:
    """Return the page that a user has seen last."""
    async with redis.asyncio.from_url("redis://:s3cr3t@cache.example.com:6380/1", decode_responses=True) as client:
        return str(await client.get(f"page:{user}") or "/")


def booked(ship: str) -> list[str]:
    """Return the numbers of a ship's containers, from the table of bookings."""
    table = boto3.resource("dynamodb", region_name="eu-west-1").Table("bookings")
    answer = table.get_item(Key={"ship": ship})
    return list(answer.get("Item", {}).get("containers", ()))
