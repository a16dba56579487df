"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Of a whole run, which takes some five minutes on two cores."""

    #: of enqueueing: pages of each size in a turn, and turns
    pages: int = 1000
    rounds: int = 5
    #: of watching: each rate's seconds in a turn, and turns
    watch_seconds: float = 10
    watch_turns: int = 2
    #: ids of a backfill, and how long its consumer rests
    ids: int = 1_000_000
    rest_seconds: float = 5
    #: of new listings: seconds without a backfill and with one in a turn, turns, and listings that a backfill has
    latency_seconds: float = 12
    latency_turns: int = 3
    backfilled: int = 14_000
    #: of loading: turns
    load_rounds: int = 5


#: of a trial, which shows that everything works and nothing else
SMALL = Sizes(
    pages=100,
    rounds=2,
    watch_seconds=2,
    watch_turns=1,
    ids=50_000,
    rest_seconds=1.5,
    latency_seconds=5,
    latency_turns=1,
    backfilled=6000,
    load_rounds=1,
)
