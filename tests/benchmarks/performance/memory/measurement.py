"""Each process goes through as much as the goals are on, one after another; then ids wait in Redis."""

import time
from contextlib import closing

import redis

from tests.benchmarks.goals import Goal
from tests.benchmarks.performance.line import catalog
from tests.benchmarks.performance.memory.watcher import watch
from tests.benchmarks.performance.memory.worker_child import child, imported_bytes
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.producer.backfilling import run
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.tiny import SIDE
from tests.benchmarks.producer.trace import Trace
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings

NAME = "memory"
PRODUCERS = ("watcher", "backfill")
#: what a child is sent, and how many products: the heavier first, on which the goals are
PRODUCTS = {"pixels": 100_000, "jpeg": 20_000}
#: listings in the catalog; they are predicted again and again, all that is known of them being forgotten between
DRAWN, SMALL_DRAWN = 5000, 500
IDS, SMALL_IDS = 1_000_000, 100_000
#: CDiscount's go so far
HIGHEST_ID = 24_000_000
SMALL_PART = 0.05
CHILD_MEGABYTES, PRODUCER_MEGABYTES, GROWTH, QUEUED_BYTES = 150, 120, 1.05, 60


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Measure the producers, Redis, and a worker's child with each signature."""
    ids, drawn, part = (SMALL_IDS, SMALL_DRAWN, SMALL_PART) if small else (IDS, DRAWN, 1)
    figures = {
        **_producers(servers, ids),
        "redis": _queued(servers, ids),
        "imported_megabytes": imported_bytes() / 1e6,
        "call_megabytes": Settings().max_batch_pictures * SIDE**2 * 3 / 1e6,
        "children": {},
    }
    served = catalog(servers, f"{NAME}_children", drawn, copy_answers=False)
    for signature, products in PRODUCTS.items():
        figures["children"][signature] = child(servers, served, signature, int(products * part))
    heavier = figures["children"][next(iter(PRODUCTS))]
    told = (("child", heavier, CHILD_MEGABYTES), *((name, figures[name], PRODUCER_MEGABYTES) for name in PRODUCERS))
    goals = [
        goal
        for name, each, most in told
        for goal in (
            Goal(f"performance.{NAME}.{name}_megabytes", each["megabytes"], "<=", most),
            Goal(f"performance.{NAME}.{name}_growth", each["growth"], "<=", GROWTH),
        )
    ]
    return [
        *goals,
        Goal(f"performance.{NAME}.redis_bytes_a_product", figures["redis"]["bytes_a_product"], "<=", QUEUED_BYTES),
    ], figures


def _producers(servers: Line, ids: int) -> Figures:
    """Insert listings while a watcher follows, and backfill the same ones."""
    settings = servers.settings(NAME)
    watched = watch(servers, settings, ids)
    filled = run(servers, settings, range(1, ids + 1))
    servers.drop(settings)
    return {name: _told(trace) for name, trace in zip(PRODUCERS, (watched, filled), strict=True)}


def _told(trace: Trace) -> Figures:
    told = trace.figures()
    return {
        "products": told["enqueued"],
        "per_second": told["enqueued_per_second"],
        "megabytes": max(size for _, size in trace.samples) / 1e6,
        "growth": told["last_quarter_over_second"],
        "memory": told["memory"],
    }


def _queued(servers: Line, ids: int) -> Figures:
    """Put ids on the queue that nobody takes."""
    settings = servers.settings(f"{NAME}_queued")
    with redis.Redis.from_url(settings.redis_url) as client, closing(Pages(settings)) as pages:

        def used() -> int:
            while client.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.05)  # it has buffers of its own
            return int(client.info("memory")["used_memory"])

        sum(pages.send_all(range(settings.page_size), Queue.BACKFILL))  # connects
        client.delete(Queue.BACKFILL.value)
        before = used()
        sent = sum(pages.send_all(range(0, HIGHEST_ID, HIGHEST_ID // ids), Queue.BACKFILL))
        taken = used() - before
        queued = client.llen(Queue.BACKFILL.value)
        client.flushall()
    assert sent == ids
    return {"products": ids, "pages": queued, "bytes": taken, "bytes_a_product": taken / ids}
