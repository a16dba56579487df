"""Single products that are listed, and when the row of each is seen from outside."""

import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from pymongo import MongoClient
from sqlalchemy import make_url

from worker.contract.settings import Settings

LOOK_SECONDS = 0.004
PATIENCE_SECONDS = 60

SEEN = "SELECT product_id, queued_at, predicted_at FROM predictions WHERE product_id = ANY(%s)"


@dataclass(frozen=True)
class Listed:
    """A listing's way, in seconds since the epoch."""

    #: just before MongoDB was told to insert it
    inserted: float
    #: as its row has it: when its page was put on the queue, and when its rows began to be written
    queued: float
    predicted: float
    #: when somebody else saw the row
    seen: float


class Probe:
    """Lists products and looks every few milliseconds, from a connection of its own, for rows of those without one."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._inserted: dict[int, float] = {}
        self._listed: dict[int, Listed] = {}
        self._is_over = threading.Event()

    def list_for(self, listings: Iterable[dict[str, Any]], rate: float, seconds: float) -> list[Listed]:
        """Insert listings at times of a Poisson process of `rate` a second; return them once all rows are seen."""
        looking = threading.Thread(target=self._look)
        looking.start()
        try:
            self._insert(listings, rate, seconds)
        finally:
            self._is_over.set()
            looking.join()
        left = self._inserted.keys() - self._listed.keys()
        assert not left, f"{len(left)} of {len(self._inserted)} listings have no row after {PATIENCE_SECONDS} s"
        return [self._listed[each] for each in self._inserted]

    def _insert(self, listings: Iterable[dict[str, Any]], rate: float, seconds: float) -> None:
        chance = random.Random(1)
        with MongoClient(self._settings.mongo_url) as client:
            collection = client[self._settings.mongo_database][self._settings.mongo_collection]
            began = due = time.monotonic()
            for listing in listings:
                due += chance.expovariate(rate)
                if due - began > seconds:
                    return
                time.sleep(max(0.0, due - time.monotonic()))
                self._inserted[listing["_id"]] = time.time()
                collection.insert_one(listing)

    def _look(self) -> None:
        deadline = float("inf")
        store = make_url(self._settings.database_url).set(drivername="postgresql")
        with psycopg.connect(store.render_as_string(hide_password=False), autocommit=True) as connection:
            while time.monotonic() < deadline:
                waiting = [each for each in tuple(self._inserted) if each not in self._listed]
                if self._is_over.is_set():
                    if not waiting:
                        return
                    deadline = min(deadline, time.monotonic() + PATIENCE_SECONDS)
                for product, queued, predicted in connection.execute(SEEN, (waiting,)) if waiting else ():
                    self._note(product, queued, predicted)
                time.sleep(LOOK_SECONDS)

    def _note(self, product: int, queued: datetime, predicted: datetime) -> None:
        self._listed[product] = Listed(self._inserted[product], queued.timestamp(), predicted.timestamp(), time.time())
