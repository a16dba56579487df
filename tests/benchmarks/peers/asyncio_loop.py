"""A loop of one's own: no queue, no worker, asyncio alone, and everything in batches.

Reads with PyMongo's AsyncMongoClient, asks by grpc.aio, decodes in threads (Pillow releases the interpreter's lock),
and merges what psycopg has copied into a temporary table. So many batches are under way at once, and no more.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import grpc
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from pymongo import AsyncMongoClient

from tests.benchmarks.peers import asking, turns
from worker.contract.product import Product

BATCH = 64
BATCHES_AT_ONCE = 4
THREADS = 2
KEYS = {"predictions": ("product_id", "model_id"), "candidates": ("product_id", "model_id", "rank")}


class Loop:
    """The clients, and the work on them."""

    async def open(self) -> "Loop":
        """Connect to everything."""
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["SHELVER_MONGO_URL"])
        await client.aconnect()
        self._listings = client[os.environ["SHELVER_MONGO_DATABASE"]][os.environ["SHELVER_MONGO_COLLECTION"]]
        channel = grpc.aio.insecure_channel(os.environ["SHELVER_SERVING_ADDRESS"])
        self._model = asking.services.PredictionServiceStub(channel)
        url = os.environ["SHELVER_DATABASE_URL"].replace("+psycopg", "")
        self._pool = AsyncConnectionPool(url, min_size=2, max_size=BATCHES_AT_ONCE, configure=_prepare, open=False)
        await self._pool.open(wait=True)
        async with self._pool.connection() as connection:
            newest = "SELECT id FROM models WHERE name = %s ORDER BY version DESC LIMIT 1"
            (self._model_id,) = await (await connection.execute(newest, [asking.MODEL])).fetchone() or (0,)
        self._threads = ThreadPoolExecutor(THREADS)
        self._places = asyncio.Semaphore(BATCHES_AT_ONCE)
        return self

    async def run(self, products: int) -> None:
        """Go through the documents, and return when all rows are stored."""
        found = self._listings.find({"_id": {"$lt": products}}, ["category_id", "imgs"], batch_size=BATCH)
        async with found, asyncio.TaskGroup() as batches:
            await self._places.acquire()
            while documents := await found.to_list(BATCH):
                batches.create_task(self._classify(documents))
                await self._places.acquire()
            self._places.release()

    async def _classify(self, documents: Sequence[dict[str, Any]]) -> None:
        queued_at = datetime.now(UTC)
        try:
            for products in asking.calls(map(Product.from_document, documents)):
                request = await asyncio.get_running_loop().run_in_executor(self._threads, asking.request, products)
                answer = await self._model.Predict(request, timeout=asking.TIMEOUT_SECONDS)
                rows = asking.rows(products, answer, self._model_id, queued_at)
                async with self._pool.connection() as connection:
                    for table, some in zip(KEYS, rows, strict=True):
                        await _merge(connection, table, some)
        finally:
            self._places.release()


async def _prepare(connection: AsyncConnection) -> None:
    for table in KEYS:
        await connection.execute(f"CREATE TEMPORARY TABLE staged_{table} (LIKE {table}) ON COMMIT DELETE ROWS")
    await connection.commit()


async def _merge(connection: AsyncConnection, table: str, rows: Sequence[asking.Row]) -> None:
    names = ", ".join(rows[0])
    async with connection.cursor().copy(f"COPY staged_{table} ({names}) FROM STDIN") as copy:
        for row in rows:
            await copy.write_row(list(row.values()))
    written = ", ".join(f"{name} = excluded.{name}" for name in rows[0] if name not in KEYS[table])
    keys = ", ".join(KEYS[table])
    await connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM staged_{table} ORDER BY {keys} "
        f"ON CONFLICT ({keys}) DO UPDATE SET {written}"
    )


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        loop = runner.run(Loop().open())
        turns.take(lambda products: runner.run(loop.run(products)))
