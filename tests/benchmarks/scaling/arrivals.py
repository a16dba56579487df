"""When pages come: over a day like a shop's, with a seller's bulk listing in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from producer.watching.stream import QUIET_SHARE
from tests.benchmarks.dumps import PICTURES

DAY_SECONDS = 86_400
#: share of a day's listings by hour, drawn up for this: people list after breakfast and after supper
HOURS = (
    *(1.2, 0.8, 0.6, 0.5, 0.6, 1.0, 2.2, 3.8, 5.4, 6.4, 6.8, 6.4),
    *(5.2, 5.4, 6.0, 6.2, 5.8, 5.4, 5.6, 6.2, 6.8, 5.8, 3.8, 2.1),
)
#: one seller's whole assortment at once, as a share of the day's listings
BULK_SHARE, BULK_HOUR, BULK_SECONDS = 0.05, 14, 600


@dataclass(frozen=True)
class Arrival:
    """A page as the watcher sends it."""

    #: seconds from the beginning
    at: float
    products: int
    pictures: int


def day(products: int, seed: int, page_size: int = 64, linger_seconds: float = 0.1) -> Iterator[Arrival]:
    """Yield a day's pages: Poisson arrivals at the hour's rate, gathered as the watcher does, until a page is full, has
    lingered, or nothing more comes for a while.

    A product has 1 to 4 pictures, as often as in the real dump.
    """
    random = np.random.default_rng(seed)
    hours = np.array(HOURS) / sum(HOURS) * (1 - BULK_SHARE) * products / 3600
    bulk_rate = BULK_SHARE * products / BULK_SECONDS
    numbers, weights = PICTURES
    shares = np.array(weights) / sum(weights)
    now = 0.0
    while now < DAY_SECONDS:
        in_bulk = 0 <= now - 3600 * BULK_HOUR < BULK_SECONDS
        rate = hours[int(now // 3600)] + bulk_rate * in_bulk
        first = now + random.exponential(1 / rate)
        if first - now > 60:  # the rate may be another by then: look again, as an exponential wait allows
            now += 60
            continue
        gaps = random.exponential(1 / rate, page_size - 1)
        times = np.concatenate(([0.0], np.cumsum(gaps)))
        ends = np.flatnonzero((gaps > QUIET_SHARE * linger_seconds) | (times[1:] > linger_seconds))
        count = int(ends[0]) + 1 if ends.size else page_size
        waited = (
            times[-1] if count == page_size else min(times[count - 1] + QUIET_SHARE * linger_seconds, linger_seconds)
        )
        now = first + waited
        yield Arrival(now, count, int(random.choice(numbers, count, p=shares).sum()))
