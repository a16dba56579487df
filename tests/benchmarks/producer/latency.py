"""How long a new listing waits for its prediction, with nothing else to do for the worker and amid a backfill."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import redis
from pymongo import MongoClient

from deploy.local.processes import Started
from tests.benchmarks import dumps
from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.seller import Seller
from tests.benchmarks.producer.sizes import Sizes
from tests.benchmarks.producer.tiny import publish_tiny
from tests.faults.servers import model_server
from worker.contract.messages import Queue
from worker.contract.settings import Settings

CHILDREN = 2
WARM_UP_SECONDS = 3
#: of a listing as `dumps` draws it, and listings that are new or to spare
LISTING_BYTES, SPARE = 8_600, 1000
POLL_SECONDS = 0.05
#: points of a curve
CURVE = 51

#: seconds that listings waited, a list a turn
Waits = list[list[float]]


def measure(line: Line, sizes: Sizes) -> tuple[list[Goal], dict[str, Any]]:
    """List single products at the same pace without a backfill and amid one, in turn."""
    products = sizes.latency_turns * sizes.backfilled + SPARE
    dump, categories = dumps.draw(line.folder / "catalog", products * LISTING_BYTES)
    settings = line.settings("latency", log_format="json", state_folder=str(line.folder / "state"))
    served = model_server(line.processes, publish_tiny(line.folder, categories, settings))
    settings = settings.model_copy(update={"serving_address": served.url})
    seller = Seller(settings, _load(line, settings, dump))
    worker = line.start(settings, "shelver-worker", "run", "--concurrency", str(CHILDREN))
    worker.wait_for(r"@\S+ ready")
    _alone(seller, WARM_UP_SECONDS)
    alone: Waits = []
    amid: Waits = []
    for turn in range(sizes.latency_turns):
        for kind in (alone, amid)[:: -1 if turn % 2 else 1]:
            seconds = sizes.latency_seconds
            kind.append(_alone(seller, seconds) if kind is alone else _amid(line, settings, seller, sizes))
    return _told(alone, amid, median(_page_seconds(worker)), sizes)


def _load(line: Line, settings: Settings, dump: Path) -> int:
    """Restore a dump whose ids are 0 and what follows; return how many there are."""
    loading = line.start(settings, "shelver-producer", "load", str(dump))
    assert loading.process.wait() == 0, loading.log.read_text()
    with MongoClient(settings.mongo_url) as client:
        return client[settings.mongo_database][settings.mongo_collection].estimated_document_count()


def _alone(seller: Seller, seconds: float) -> list[float]:
    end = time.monotonic() + seconds
    return seller.list_while(lambda: time.monotonic() < end)


def _amid(line: Line, settings: Settings, seller: Seller, sizes: Sizes) -> list[float]:
    """List while pages of a backfill wait; then forget those that are left."""
    ids = seller.take(sizes.backfilled)
    options = ("--from", str(ids.start), "--to", str(ids.stop - 1))
    backfill = line.start(settings, "shelver-producer", "backfill", *options)
    with redis.Redis.from_url(settings.redis_url) as client:
        while not client.llen(Queue.BACKFILL.value):
            time.sleep(POLL_SECONDS)
        end = time.monotonic() + sizes.latency_seconds
        waits = seller.list_while(lambda: time.monotonic() < end and client.llen(Queue.BACKFILL.value) > 0)
        assert backfill.process.wait(60) == 0, backfill.log.read_text()
        client.delete(Queue.BACKFILL.value)
        while client.hlen("unacked"):
            time.sleep(POLL_SECONDS)
    return waits


def _page_seconds(worker: Started) -> Iterator[float]:
    """Yield how long each page of a backfill was in hand."""
    for line in worker.log.read_text().splitlines():
        if '"page done"' in line:
            done = json.loads(line)
            if done["queue"] == Queue.BACKFILL:
                yield sum(done["seconds"].values())


def _told(alone: Waits, amid: Waits, page_seconds: float, sizes: Sizes) -> tuple[list[Goal], dict[str, Any]]:
    """Compare a listing's wait with what it can be made of: a page that is in hand, and its own work."""
    figures = {"alone": _figures(alone), "amid": _figures(amid)}
    goals = []
    for each in ("p50", "p95"):
        waited, own = (figures[kind][f"{each}_seconds"] for kind in ("amid", "alone"))
        goals.append(
            Goal(f"producer.new_amid_backfill_over_alone_and_a_page_{each}", waited / (own + page_seconds), "<=", 1)
        )
    return goals, {
        "seconds": sizes.latency_seconds,
        "turns": sizes.latency_turns,
        "children": CHILDREN,
        "page_seconds": page_seconds,
        "amid_over_alone": ratio(*([median(each) for each in kind] for kind in (amid, alone))),
        **figures,
    }


def _figures(waits: Waits) -> dict[str, Any]:
    every = np.concatenate(waits)
    told = {f"p{each}_seconds": float(np.percentile(every, each)) for each in (50, 95, 99)}
    # the least, what one in fifty stays below, and so on to the most
    curve = np.round(np.percentile(every, np.linspace(0, 100, CURVE)), 4).tolist()
    return {"listings": len(every), **told, "max_seconds": float(every.max()), "percentiles": curve}
