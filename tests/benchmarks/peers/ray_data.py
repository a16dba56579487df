"""Ray Data, as https://docs.ray.io/en/latest/data has it: read_mongo, then map_batches with a class.

The class keeps its clients ("Stateful Transforms") in a pool of two actors. It writes as well: `write_sql` inserts into
one table, and a Datasink of one's own, which would be the other way, was slower. The actors take half a core each of
what Ray reckons with, or nothing would be left to read with, and it would wait for ever.
"""

import os
import secrets
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Before Ray is imported: it tells nobody that it runs, and keeps its token to itself instead of in the home directory.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

import pyarrow
import ray

from tests.benchmarks.peers import asking, turns
from tests.benchmarks.peers.clients import Clients
from worker.contract.product import Product

ACTORS = 2
BATCH = 128
PRODUCTS_A_BLOCK = 512
PIPELINE = [{"$project": {"category_id": 1, "pictures": "$imgs.picture"}}]


class Classify:
    """An actor."""

    def __init__(self) -> None:
        self._clients = Clients()

    def __call__(self, batch: pyarrow.Table) -> Mapping[str, list[int]]:
        """Ask the model about a batch, and store its answers in one transaction."""
        queued_at = datetime.now(UTC)
        products = [Product(each["_id"], tuple(each["pictures"]), each["category_id"]) for each in batch.to_pylist()]
        with self._clients.session.begin() as session:
            for some in asking.calls(products):
                self._clients.write(session, self._clients.predict(some, queued_at))
        return {"stored": [len(products)]}


def run(products: int) -> None:
    """Read the documents and return when all rows are stored."""
    pipeline: list[dict[str, Any]] = [{"$match": {"_id": {"$lt": products}}}, *PIPELINE]
    documents = ray.data.read_mongo(
        os.environ["SHELVER_MONGO_URL"],
        os.environ["SHELVER_MONGO_DATABASE"],
        os.environ["SHELVER_MONGO_COLLECTION"],
        pipeline=pipeline,
        override_num_blocks=max(ACTORS, products // PRODUCTS_A_BLOCK),
    )
    documents.map_batches(
        Classify,
        batch_size=BATCH,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=ACTORS),
        num_cpus=0.5,
    ).materialize()


if __name__ == "__main__":
    # Not where TMPDIR says: the paths of its sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        ray.init(num_cpus=2, object_store_memory=256 * 2**20, include_dashboard=False, _temp_dir=folder)
        ray.data.DataContext.get_current().enable_progress_bars = False
        turns.take(run)
        ray.shutdown()
