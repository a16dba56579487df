"""How long a server takes that computes nothing: as a GPU would, one request at a time."""

import math
import threading
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Pace:
    """What a request takes: so much, and so much for every picture in it."""

    request_ms: float
    picture_ms: float

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the pace that ALPHA,BETA says; raises ValueError with the remedy."""
        try:
            request_ms, picture_ms = map(float, text.split(","))
        except ValueError:
            request_ms = picture_ms = math.nan
        if not all(0 <= each < math.inf for each in (request_ms, picture_ms)):
            raise ValueError(f"{text!r} must be ALPHA,BETA: two numbers of milliseconds, 0 or more, such as 5,0.361")
        return cls(request_ms, picture_ms)

    def seconds(self, pictures: int) -> float:
        """Return how long a request with so many pictures has the device."""
        return (self.request_ms + self.picture_ms * pictures) / 1000

    def __str__(self) -> str:
        return f"paced at {self.request_ms:g} ms + {self.picture_ms:g} ms a picture: answers are not the model's"


class Device:
    """What serves one request at a time, first come, first served.

    It keeps a clock instead of a queue. A call that its client cancels keeps its turn, as in TensorFlow Serving, which
    computes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at = -math.inf

    def done_at(self, now: float, seconds: float, deadline: float) -> float:
        """Return when a request that comes now and has the device for `seconds` is done, on the clock of `now`.

        Planned from the end of the request before, so that a pace is kept however late its threads wake up. A request
        whose turn comes after its deadline takes no turn, and is never done; one that began is not cut short.
        """
        with self._lock:
            start = max(now, self._free_at)
            if start >= deadline:
                return math.inf
            self._free_at = start + seconds
            return self._free_at
