"""celery-batches, as https://celery-batches.readthedocs.io has it: tasks are sent one by one, and taken in batches.

The worker holds more messages than a batch has (it must, "for the Batches task to work properly"), and what failed is
sent again under the same id ("Retrying tasks"). The worker:

    celery -A tests.benchmarks.peers.celery_batches worker --concurrency 2
"""

import os
from datetime import UTC, datetime
from functools import cached_property

import grpc
from celery import Celery
from celery_batches import Batches, SimpleRequest
from pymongo.errors import PyMongoError
from sqlalchemy.exc import OperationalError

from tests.benchmarks.peers import asking, broker, turns
from tests.benchmarks.peers.clients import Clients
from worker.contract.product import Product

BATCH = 64
RETRY_SECONDS = 10

app = Celery("celery_batches", broker=os.environ["SHELVER_REDIS_URL"])
# For each of two children a batch in hand and one that gathers.
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=2 * BATCH)


class Classifying(Batches):
    """Keeps the clients of its process."""

    @cached_property
    def clients(self) -> Clients:
        """Make them at the first batch: after fork."""
        return Clients()


@app.task(name="classify", base=Classifying, flush_every=BATCH, flush_interval=1, acks_late=True)
def classify(requests: list[SimpleRequest]) -> None:
    """Fetch the products of a batch, ask the model about them, and store its answers in one transaction."""
    try:
        _classify([request.args[0] for request in requests], datetime.fromtimestamp(requests[0].args[1], UTC))
    except (PyMongoError, grpc.RpcError, OperationalError):
        for request in requests:
            classify.apply_async(request.args, request.kwargs, countdown=RETRY_SECONDS, task_id=request.id)


def _classify(ids: list[int], queued_at: datetime) -> None:
    clients = classify.clients
    documents = clients.listings.find({"_id": {"$in": ids}}, ["category_id", "imgs"])
    with clients.session.begin() as session:
        for products in asking.calls(map(Product.from_document, documents)):
            clients.write(session, clients.predict(products, queued_at))


def run(products: int) -> None:
    """Enqueue every product, and wait until the last one is acknowledged."""
    for product_id in range(products):
        classify.delay(product_id, datetime.now(UTC).timestamp())
    broker.wait()


if __name__ == "__main__":
    turns.take(run)
