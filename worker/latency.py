"""How fast the stable model and the canary answer the same question, in turns, so that both meet the same load."""

from contextlib import closing
from dataclasses import dataclass
from statistics import median

from worker.asking import ask_plainly
from worker.contract.settings import Settings
from worker.rollout import CANARY
from worker.serving import Serving


@dataclass(frozen=True, slots=True)
class Latency:
    """Medians of as many Predict calls to each."""

    stable_version: int
    canary_version: int
    stable_seconds: float
    canary_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as long the canary takes."""
        return self.canary_seconds / self.stable_seconds


def measure(settings: Settings, calls: int) -> Latency:
    """Ask both about plain pictures, as many as one product may have; the first call of each is not counted.

    Raises ModelUnfit when one is missing or fails at them, Unavailable when the model server does not answer.
    """
    with closing(Serving(settings)) as stable, closing(Serving(settings, CANARY)) as canary:
        seconds: dict[Serving, list[float]] = {stable: [], canary: []}
        for _ in range(calls + 1):
            for serving, taken in seconds.items():
                taken.append(ask_plainly(settings, serving, settings.max_pictures))
        versions = (serving.model().version for serving in seconds)
        return Latency(*versions, *(median(taken[1:]) for taken in seconds.values()))
