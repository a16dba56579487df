"""Shelver and its peers by turns, on one catalog, one model server and one store."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import datetime
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from tests.benchmarks.peers import environment
from tests.benchmarks.peers.peer import PEERS
from tests.benchmarks.peers.running import CHILDREN, Running, running
from tests.benchmarks.performance import line
from tests.benchmarks.producer.line import Line
from trainer.serve.pace import Pace
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import candidates, predictions

OURS = "shelver"
#: a ResNet50 at 2,500 pictures a second
PACE = Pace(5.0, 0.361)
ROUNDS = 3
#: products: whole batches of 64, because the rest of one would wait in celery-batches for more to come
SIZES = {"few": 1_536, "many": 4_096}
SMALL = {"few": 192, "many": 384}
#: each child makes its clients at its first batch
WARMING = 256
CHECKED = 192
Figures = dict[str, Any]


def measure(servers: Line, small: bool) -> Figures:
    """Check that all store the same, then have them take turns; return all runs."""
    installed = {name: environment.make(name)[1] for name in PEERS}
    sizes = SMALL if small else SIZES
    served = line.catalog(servers, "peers", sizes["many"], copy_answers=False)
    _check(servers, served)
    settings = line.serve(servers, served, "tiny", "--pace", f"{PACE.request_ms},{PACE.picture_ms}")
    rounds = 1 if small else ROUNDS
    runs: dict[str, dict[str, list[Figures]]] = {size: {} for size in sizes}
    starts: list[float] = []
    with ExitStack() as stack:
        ours = stack.enter_context(line.worker(servers, served, settings, CHILDREN))
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
        "cores": os.cpu_count(),
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
    psutil.cpu_percent()  # what follows is since then
    seconds = classify(products)
    busy = psutil.cpu_percent() / 100 * (os.cpu_count() or 1)
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
    settings = line.serve(servers, served, "tiny")
    with line.worker(servers, served, settings, CHILDREN) as ours:
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
