"""What a backfill did, as seen from beside it."""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import median
from typing import Any

import psutil

from worker.contract.messages import Page

SAMPLE_SECONDS = 0.1
#: of the samples, in the plot
SHOWN = 40


@dataclass
class Trace:
    """One run."""

    taken: list[Page] = field(default_factory=list)
    #: pages that waited, at most
    deepest: int = 0
    #: when the first page was there and when the last, in seconds of the monotonic clock
    began: float = 0.0
    ended: float = 0.0
    _pages: int = 0
    #: when, pages that were enqueued, and bytes of memory
    _samples: list[tuple[float, int, int]] = field(default_factory=list)
    _sampled_at: float = 0.0

    def note(self, now: float, depth: int, process: psutil.Process) -> None:
        """See how many pages there are and, when it is time to, how much memory the process has."""
        self.deepest = max(self.deepest, depth)
        if len(self.taken) + depth > self._pages:
            self._pages, self.ended = len(self.taken) + depth, now
            self.began = self.began or now
        if self._pages and now - self._sampled_at >= SAMPLE_SECONDS:
            self._sampled_at = now
            with suppress(psutil.NoSuchProcess):
                self._samples.append((now, self._pages, process.memory_info().rss))

    def figures(self) -> dict[str, Any]:
        """Return what is told."""
        samples, ids = self.samples, sum(len(page.ids) for page in self.taken)

        def among(start: float, end: float) -> float:
            return median(size for count, size in samples if start * ids <= count <= end * ids)

        def at(part: float) -> float:
            return min(samples, key=lambda sample: abs(sample[0] - part * ids))[1]

        seconds = self.ended - self.began
        return {
            "enqueued": ids,
            "seconds": seconds,
            "enqueued_per_second": ids / seconds,
            "megabytes_at": {f"{100 * part:.0f}%": at(part) / 1e6 for part in (0.1, 0.5, 1)},
            "last_quarter_over_second": among(0.75, 1) / among(0.25, 0.5),
            "deepest_pages": self.deepest,
            "memory": [[count, round(size / 1e6, 2)] for count, size in samples[:: 1 + len(samples) // SHOWN]],
        }

    @property
    def samples(self) -> list[tuple[int, int]]:
        """Ids that were enqueued, and bytes of memory, up to the last page: after it, the process comes to its end."""
        ids = list(accumulate((len(page.ids) for page in self.taken), initial=0))
        return [(ids[pages], size) for now, pages, size in self._samples if now <= self.ended]
