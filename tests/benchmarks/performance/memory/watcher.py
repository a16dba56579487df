"""One watcher that hears of listings as fast as it can follow."""

import time

import psutil
import redis
from bson.int64 import Int64
from pymongo import MongoClient

from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.pages import decoded
from tests.benchmarks.producer.trace import Trace
from worker.contract.messages import Queue
from worker.contract.settings import Settings

INSERTED_AT_ONCE = 2000
#: listings that are in MongoDB before they are on the queue: more would leave its history before they are heard of
AHEAD = 50_000
LOOK_SECONDS = 0.01
PAGES_AT_A_TIME = 1000
#: a watcher from which nothing has come for so long has missed something
QUIET_SECONDS = 30


def watch(servers: Line, settings: Settings, count: int) -> Trace:
    """Insert listings with the ids from 1 on while `watch` follows; check that each id came once, in order."""
    started, trace = servers.start(settings, "shelver-producer", "watch"), Trace()
    started.wait_for(f"watching {settings.mongo_database}")
    process, inserted, arrived = psutil.Process(started.process.pid), 0, 0
    with MongoClient(settings.mongo_url) as client, redis.Redis.from_url(settings.redis_url) as queue:
        listings = client[settings.mongo_database][settings.mongo_collection]
        while arrived < count:
            if inserted < min(count, arrived + AHEAD):
                some = range(inserted + 1, min(inserted + INSERTED_AT_ONCE, count) + 1)
                listings.insert_many([{"_id": Int64(each)} for each in some])
                inserted = some[-1]
            else:
                time.sleep(LOOK_SECONDS)
            trace.note(time.monotonic(), queue.llen(Queue.NEW.value), process)
            pages = [decoded(raw) for raw in queue.rpop(Queue.NEW.value, PAGES_AT_A_TIME) or ()]
            trace.taken += pages
            arrived += sum(len(page.ids) for page in pages)
            is_quiet = trace.ended and time.monotonic() - trace.ended > QUIET_SECONDS
            if is_quiet or not started.is_running:
                raise RuntimeError(f"{arrived:,} of {count:,} came: {started.log.read_text()[-2000:]}")
    started.process.terminate()
    started.process.wait()
    assert [each for page in trace.taken for each in page.ids] == list(range(1, count + 1))
    return trace
