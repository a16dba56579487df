"""How many ids a second go onto the queue, by the size of the pages they go in."""

import time
from contextlib import closing
from statistics import median
from typing import Any

import redis

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.sizes import Sizes
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings

PAGE_SIZES = (1, 8, 64, 512)


def measure(line: Line, sizes: Sizes) -> tuple[list[Goal], dict[str, Any]]:
    """Send as many pages of each size, in turn."""
    settings = line.settings("enqueueing")
    rates: dict[int, list[float]] = {size: [] for size in PAGE_SIZES}
    for turn in range(sizes.rounds + 1):
        for size in PAGE_SIZES[:: 1 if turn % 2 else -1]:
            rates[size].append(_rate(settings.model_copy(update={"page_size": size}), sizes.pages))
    rates = {size: each[1:] for size, each in rates.items()}  # the first warmed up
    ratios = {size: ratio(each, rates[1]) for size, each in rates.items()}
    return [Goal("producer.enqueue_in_pages_of_64_over_1", ratios[64], ">=", 20)], {
        "pages": sizes.pages,
        "rounds": sizes.rounds,
        "ids_per_second": {size: median(each) for size, each in rates.items()},
        "over_pages_of_1": ratios,
    }


def _rate(settings: Settings, pages: int) -> float:
    """Return ids/s over one connection, which is there already, into an empty Redis."""
    count = settings.page_size * pages
    with redis.Redis.from_url(settings.redis_url) as client, closing(Pages(settings)) as sender:
        client.flushall()
        sum(sender.send_all(range(settings.page_size), Queue.NEW))  # connects
        start = time.perf_counter()
        sent = sum(sender.send_all(range(count), Queue.NEW))
        taken = time.perf_counter() - start
        assert (sent, client.llen(Queue.NEW.value)) == (count, pages + 1)
    return count / taken
