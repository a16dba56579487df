"""Shelver and its peers by turns, on one catalog, one model server and one store."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.peers import environment
from tests.benchmarks.peers.peer import PEERS
from tests.benchmarks.peers.running import CHILDREN, Running, running
from tests.benchmarks.performance import line
from tests.benchmarks.performance.cpu import CORES, CpuClock
from tests.benchmarks.performance.paces import GPUS
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import worker
from tests.benchmarks.producer.line import Line
from worker.app import DEFAULT_CHILDREN
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import candidates, predictions

NAME = "peers"
OURS = "shelver"
#: as ResNet50 is on one GPU
PACE = GPUS[2_500]
ROUNDS = 3
#: products: whole batches of 64, because the rest of one would wait in celery-batches for more to come
SIZES = {"few": 2_560, "many": 4_096}
SMALL = {"few": 192, "many": 384}
#: each child makes its clients at its first batch
WARMING = 256
CHECKED = 192


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Check that all store the same, then have them take turns; ours over each, in products a second."""
    figures = _measure(servers, small)
    goals = [
        Goal(f"performance.{NAME}.over_{name}", ratio(*rates(figures, name)), ">=", peer.target)
        for name, peer in PEERS.items()
    ]
    return goals, figures


def runs_of(figures: Figures, name: str) -> tuple[list[Figures], list[Figures]]:
    """Return our runs and the peer's, of the same listings."""
    of_size = figures["runs"][PEERS[name].size]
    return of_size[OURS], of_size[name]


def rates(figures: Figures, name: str) -> tuple[list[float], list[float]]:
    """Return our products a second and the peer's, run by run."""
    ours, theirs = runs_of(figures, name)
    return [each["products_per_second"] for each in ours], [each["products_per_second"] for each in theirs]


def _measure(servers: Line, small: bool) -> Figures:
    installed = {name: environment.make(name)[1] for name in PEERS}
    sizes = SMALL if small else SIZES
    served = line.catalog(servers, NAME, sizes["many"], copy_answers=False)
    _check(servers, served)
    settings = line.serve(servers, served, pace=PACE)
    rounds = 1 if small else ROUNDS
    runs: dict[str, dict[str, list[Figures]]] = {size: {} for size in sizes}
    starts: list[float] = []
    with ExitStack() as stack:
        ours = stack.enter_context(worker(servers, served, settings, DEFAULT_CHILDREN))
        theirs = {name: stack.enter_context(_peer(servers, name, settings)) for name in PEERS}
        for each in theirs.values():
            each.classify(WARMING)
        classify = {name: each.classify for name, each in theirs.items()}
        classify[OURS] = lambda products: ours.classify(served.ids[:products]).seconds
        for turn in range(rounds):
            for size, name in _order(turn):
                observed = _observed(settings, classify[name], sizes[size])
                runs[size].setdefault(name, []).append(observed)
            starts.append(_observed(settings, classify["ray_data"], CHILDREN)["seconds"])
    servers.drop(served.settings)
    return {
        "rounds": rounds,
        "pictures_a_product": sum(served.pictures) / len(served.pictures),
        "runs": runs,
        "ray_data_start_seconds": starts,
        "installed_seconds": installed,
        "cores": CORES,
    }


def _order(turn: int) -> list[tuple[str, str]]:
    """Return who has a turn on how many listings: each beside one of ours of the same size, there and back."""
    order = [(size, name) for size in SIZES for name in (OURS, *(each for each in PEERS if PEERS[each].size == size))]
    return order[:: -1 if turn % 2 else 1]


def _peer(servers: Line, name: str, settings: Settings) -> AbstractContextManager[Running]:
    """Give a peer, with a db of Redis to itself."""
    place = settings.redis_url.rpartition("/")[0]
    own = settings.model_copy(update={"redis_url": f"{place}/{1 + list(PEERS).index(name)}"})
    return running(name, servers.processes, own.environment(), servers.folder)


def _observed(settings: Settings, classify: Callable[[int], float], products: int) -> Figures:
    """Have products classified into an empty store; return the figures of it."""
    line.clear(settings)
    clock = CpuClock({})
    seconds = classify(products)
    busy = clock.busy_cores()
    stored = line.count(settings)
    assert stored == products, f"{stored:,} of {products:,} are stored"
    return {
        "products": products,
        "seconds": seconds,
        "products_per_second": products / seconds,
        "cores_busy": busy,
        "cpu_seconds_a_product": busy * seconds / products,
    }


def _check(servers: Line, served: line.Catalog) -> None:
    """Fail unless all of them store the same as we do, of a model whose answers depend on the pictures."""
    settings = line.serve(servers, served)
    with worker(servers, served, settings, DEFAULT_CHILDREN) as ours:
        ours.classify(served.ids[:CHECKED])
    rows, scores = _stored(settings)
    for name in PEERS:
        with _peer(servers, name, settings) as started:
            line.clear(settings)
            started.classify(CHECKED)
        found, approximate = _stored(settings)
        assert found == rows, f"{name} stores other rows"
        assert approximate == pytest.approx(scores), f"{name} stores other scores"


def _stored(settings: Settings) -> tuple[list[Any], list[float]]:
    """Return all rows but for times and scores, in order, and the scores."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        queries = (select(each).order_by(*each.primary_key) for each in (predictions, candidates))
        rows = [row for query in queries for row in connection.execute(query)]
    exact = [[value for value in row if not isinstance(value, float | datetime)] for row in rows]
    return exact, [value for row in rows for value in row if isinstance(value, float)]
