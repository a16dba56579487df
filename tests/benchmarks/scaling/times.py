"""How long each stage of a page takes, as a straight line over what it works on."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Line:
    """Seconds for `n` of something."""

    fixed: float
    each: float

    def at(self, n: float) -> float:
        """Return the seconds for as many."""
        return self.fixed + self.each * n


@dataclass(frozen=True)
class Times:
    """What a page costs, on an idle core and an idle model."""

    #: over products, in the child: Celery's part, the catalog, what is known already
    before: Line
    #: over pictures, in the child: proving and decoding them, writing and sending the request, reading the answer
    pictures: Line
    #: over pictures in a batch, on the model's device: alpha and beta
    model: Line
    #: over products, in the child: rows into the store
    after: Line
    #: until a worker that had nothing to do takes a page: it looks every now and then. No work, and none of the child's
    wake: float = 0.0

    def as_figures(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return asdict(self)

    @classmethod
    def from_figures(cls, figures: dict[str, Any]) -> "Times":
        """Read what `as_figures` wrote."""
        return cls(**{name: Line(**each) if isinstance(each, dict) else each for name, each in figures.items()})


def fit(samples: Iterable[tuple[float, float]]) -> Line:
    """Return the line through (n, seconds) of least relative squares, neither part of it below zero.

    Relative, because a page of one and a page of 64 are to be right within the same share.
    """
    counts, seconds = np.array(list(samples), float).T
    rows = np.stack([np.ones_like(counts), counts], axis=1) / seconds[:, None]
    fixed, each = np.linalg.lstsq(rows, np.ones_like(seconds), rcond=None)[0]
    if fixed < 0:
        return Line(0.0, float(1 / (counts / seconds).mean()))
    if each < 0:
        return Line(float(np.median(seconds)), 0.0)
    return Line(float(fixed), float(each))
