"""A Celery task a product, as https://docs.celeryq.dev/en/stable/userguide/tasks.html has it.

Clients belong to the task's class and are made once a process ("Instantiation"); it writes what may be written twice,
so it is acknowledged late, and tries again by itself what failed ("Automatic retry for known exceptions"). The worker:

    celery -A tests.benchmarks.peers.celery_task worker --concurrency 2
"""

import os
from datetime import UTC, datetime
from functools import cached_property

import grpc
from celery import Celery, Task
from pymongo.errors import PyMongoError
from sqlalchemy.exc import OperationalError

from tests.benchmarks.peers import broker, turns
from tests.benchmarks.peers.clients import Clients
from worker.contract.product import Product

app = Celery("celery_task", broker=os.environ["SHELVER_REDIS_URL"])
app.conf.task_ignore_result = True


class Classifying(Task):
    """Keeps the clients of its process."""

    @cached_property
    def clients(self) -> Clients:
        """Make them at the first product: after fork."""
        return Clients()


@app.task(
    name="classify",
    base=Classifying,
    bind=True,
    acks_late=True,
    autoretry_for=(PyMongoError, grpc.RpcError, OperationalError),
    retry_backoff=True,
    max_retries=None,
)
def classify(self: Classifying, product_id: int, queued_at: float) -> None:
    """Fetch a product, ask the model about it, and store its answer."""
    clients = self.clients
    document = clients.listings.find_one({"_id": product_id}, ["category_id", "imgs"])
    rows = clients.predict([Product.from_document(document)], datetime.fromtimestamp(queued_at, UTC))
    with clients.session.begin() as session:
        clients.write(session, rows)


def run(products: int) -> None:
    """Enqueue every product, and wait until the last one is acknowledged."""
    for product_id in range(products):
        classify.delay(product_id, datetime.now(UTC).timestamp())
    broker.wait()


if __name__ == "__main__":
    turns.take(run)
