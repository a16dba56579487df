"""How fast the whole catalog goes onto the queue, in what memory, and that the queue stays as short as it shall be."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psutil
import redis
from bson.int64 import Int64
from pymongo import MongoClient
from sqlalchemy import text

from deploy.local.processes import Started
from tests.benchmarks.goals import Goal
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.pages import decoded
from tests.benchmarks.producer.sizes import Sizes
from tests.benchmarks.producer.trace import Trace
from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.settings import Settings

LOOK_SECONDS = 0.01
#: pages that the consumer takes when it looks, more than come meanwhile
AT_A_TIME = 100
#: the consumer rests once so much is enqueued
REST_AT = 0.5
#: every second listing has a prediction
PREDICTED = """
INSERT INTO categories (id, level, name) VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c');
INSERT INTO models (id, name, version, level, picture_side, metrics, published_at)
    VALUES (1, 'shelver', 1, 3, 180, '{{}}', now());
INSERT INTO predictions (product_id, model_id, category_id, score, margin, level2_id, level2_score, level1_id,
        level1_score, picture_count, fingerprint, queue, queued_at, predicted_at)
    SELECT id, 1, 3, 0.5, 0.1, 2, 0.6, 1, 0.7, 1, decode(md5(id::text), 'hex'), 'new', now(), now()
    FROM generate_series(2, {ids}, 2) AS id;
ANALYZE predictions
"""


def measure(line: Line, sizes: Sizes) -> tuple[list[Goal], dict[str, Any]]:
    """Go through the same ids three times: with a consumer, with one that rests, and without what is predicted."""
    settings = line.settings("backfilling")
    _fill(settings, sizes.ids)
    runs = {
        "drained": run(line, settings, range(1, sizes.ids + 1)),
        "consumer rests": run(line, settings, range(1, sizes.ids + 1), sizes.rest_seconds),
        "without prediction": run(line, settings, range(1, sizes.ids + 1, 2), 0, "--without-prediction"),
    }
    line.drop(settings)
    figures = {name: trace.figures() for name, trace in runs.items()}
    growths = {"": "drained", "_without_prediction": "without prediction"}
    goals = [
        Goal(f"producer.backfill{kind}_memory_growth", figures[name]["last_quarter_over_second"], "<=", 1.05)
        for kind, name in growths.items()
    ]
    deepest = max(each["deepest_pages"] for each in figures.values())
    goals.append(Goal("producer.backfill_deepest_over_depth", deepest / settings.backfill_depth, "<=", 1))
    return goals, {"ids": sizes.ids, "depth": settings.backfill_depth, "runs": figures}


def _fill(settings: Settings, ids: int) -> None:
    """Put ids into catalog and store; who reads ids alone does not care what else a listing has."""
    with MongoClient(settings.mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        for start in range(1, ids + 1, 50_000):
            some = range(start, min(start + 50_000, ids + 1))
            listings.insert_many([{"_id": Int64(each)} for each in some], ordered=False)
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        for statement in PREDICTED.format(ids=ids).split(";"):
            connection.execute(text(statement))


def run(line: Line, settings: Settings, expected: Sequence[int], rest: float = 0, *options: str) -> Trace:
    """Run the command to its end, take its pages off the queue, and check that each id came once, in order."""
    started, trace = line.start(settings, "shelver-producer", "backfill", *options), Trace()
    _follow(started, settings, trace, rest, REST_AT * len(expected) / settings.page_size)
    assert started.process.wait() == 0, started.log.read_text()
    assert [each for page in trace.taken for each in page.ids] == list(expected)
    return trace


def _follow(started: Started, settings: Settings, trace: Trace, rest: float, rest_after: float) -> None:
    """Empty the queue a hundred times a second, but for a rest once, until the command has ended."""
    process, rest_until = psutil.Process(started.process.pid), 0.0
    with redis.Redis.from_url(settings.redis_url) as client:
        while True:
            is_over, now = not started.is_running, time.monotonic()
            depth = client.llen(Queue.BACKFILL.value)
            trace.note(now, depth, process)
            if is_over and not depth:
                return
            if rest and not rest_until and len(trace.taken) + depth >= rest_after:
                rest_until = now + rest
            if now >= rest_until:
                trace.taken += map(decoded, client.rpop(Queue.BACKFILL.value, AT_A_TIME) or [])
            time.sleep(LOOK_SECONDS)
