"""Pages that are written into a store, timed: by Shelver and by executemany in turn, and by several at once."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import count
from multiprocessing.queues import Queue as Results
from multiprocessing.synchronize import Barrier

import psutil
from sqlalchemy import text

from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.store.executemany import Executemany
from tests.benchmarks.performance.store.filled_store import FilledStore
from worker.contract.database import Database
from worker.store import Store

#: how a page may be written
WAYS: dict[str, type[Store]] = {"shelver": Store, "executemany": Executemany}
#: every store is visited so often, up and down the sizes, and each way has so many rounds there
VISITS, ROUNDS = 2, 3
WARMING_PAGES = 8
#: rounds of ours right after a checkpoint, before so many pages are written that most blocks have been changed since:
#: so it is until the next one, for a quarter of an hour
AFTER_CHECKPOINT, ROWS_A_PAGE_AHEAD = "after_checkpoint", 30_000
#: pages that each of several writers has drawn before it begins
DRAWN = 600
#: a writer that is not heard of for so long has failed
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Round:
    """Pages that one way wrote in a row; each figure is of one of them."""

    seconds: float
    #: of this process, and of the server's process that it is connected to
    client_cpu_seconds: float
    server_cpu_seconds: float
    #: of PostgreSQL's log ahead
    log_bytes: float


def visit(stores: Sequence[FilledStore], pages: int) -> list[Figures]:
    """Write so many pages a round into each of the stores, one after another and back; return rounds by way of each."""
    found: list[Figures] = [{**each.size(), **{way: [] for way in (AFTER_CHECKPOINT, *WAYS)}} for each in stores]
    for number in range(VISITS):
        for place in range(len(stores))[:: -1 if number % 2 else 1]:
            # Pages of a store differ from visit to visit, or they would be there already.
            for way, rounds in _take_turns(stores[place], pages, seed=100 * number).items():
                found[place][way] += rounds
    return found


def _take_turns(stored: FilledStore, pages: int, seed: int) -> dict[str, list[Figures]]:
    """Write as many pages each way, in turns, into a store that is at rest; return rounds by way."""
    stored.settle()
    found: dict[str, list[Figures]] = {name: [] for name in (AFTER_CHECKPOINT, *WAYS)}
    with ExitStack() as stack:
        ways = {name: stack.enter_context(closing(_Way(stored, name, seed))) for name in WAYS}
        seeds = count(seed + 1)
        found[AFTER_CHECKPOINT].append(asdict(ways["shelver"].write(pages, next(seeds))))
        ways["shelver"].write(stored.rows // ROWS_A_PAGE_AHEAD, next(seeds))
        for turn in range(ROUNDS):
            for name in [*ways][:: -1 if turn % 2 else 1]:
                found[name].append(asdict(ways[name].write(pages, next(seeds))))
    return found


class _Way:
    """One way to write, warm; its connection has its name."""

    def __init__(self, stored: FilledStore, name: str, seed: int):
        url = f"{stored.settings.database_url}&application_name={name}"
        self._stored, self._database = stored, Database(stored.settings.database_url)
        self._writer = WAYS[name](stored.settings.model_copy(update={"database_url": url}))
        for page in stored.pages(WARMING_PAGES, seed):
            self._writer.save(page)
        query = f"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{name}'"
        self._processes = psutil.Process(), psutil.Process(self._ask(query))

    def close(self) -> None:
        """Close its connections."""
        self._writer.close()
        self._database.close()

    def write(self, number: int, seed: int) -> Round:
        """Write so many pages."""
        pages, before = self._stored.pages(number, seed), list(self._spent())
        for page in pages:
            self._writer.save(page)
        return Round(*((after - was) / max(1, number) for was, after in zip(before, self._spent(), strict=True)))

    def _spent(self) -> Iterator[float]:
        yield time.perf_counter()
        for process in self._processes:
            yield sum(process.cpu_times()[:2])
        yield self._ask("SELECT pg_current_wal_lsn() - '0/0'")

    def _ask(self, query: str) -> int:
        with self._database.begin() as connection:
            return int(connection.scalar(text(query)) or 0)


def at_once(stored: FilledStore, writers: int, seconds: float) -> Figures:
    """Have so many processes write for some seconds, each as fast as it can; return pages a second, all together."""
    spawned, size = multiprocessing.get_context("spawn"), stored.settings.page_size
    ready, results = spawned.Barrier(writers), spawned.Queue()
    stored.settle()
    processes = [
        spawned.Process(target=_write, args=(stored, 1000 * writers + each, seconds, ready, results), daemon=True)
        for each in range(writers)
    ]
    for process in processes:
        process.start()
    rates = [results.get(timeout=PATIENCE_SECONDS) for _ in processes]
    for process in processes:
        process.join()
    return {"writers": writers, "pages_a_second": sum(rates), "products_a_second": size * sum(rates)}


def _write(stored: FilledStore, seed: int, seconds: float, ready: Barrier, results: "Results[float]") -> None:
    """Be one of them; put its pages a second into `results`."""
    with closing(Store(stored.settings)) as store:
        first, *pages = stored.pages(DRAWN, seed)
        store.save(first)
        ready.wait(PATIENCE_SECONDS)
        written, began = 0, time.perf_counter()
        while written < len(pages) and time.perf_counter() - began < seconds:
            store.save(pages[written])
            written += 1
        results.put(written / (time.perf_counter() - began))
