"""How the whole line is: what waits, how fast it goes, which model answers, and which server does not."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from worker.catalog import Catalog
from worker.contract.database import Database
from worker.contract.errors import ModelUnfit
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import models
from worker.control import Control
from worker.dependencies import Asked, Dependency
from worker.load import Load
from worker.rejected import Choice, counted
from worker.rollout import CANARY, Rollout
from worker.serving import Serving
from worker.store import NotRegistered, Store

#: for a server that does not answer to be told by its client, with the reason, before it is given up without
GRACE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Model:
    """The model in use."""

    name: str
    #: that it is asked by; "" for the newest version
    label: str = ""
    #: None when the model server does not say
    version: int | None = None
    #: whether the store has its row; None when that is not known
    is_registered: bool | None = None
    #: why nothing can be predicted with it; None too when the model server does not answer
    problem: str | None = None
    #: of the model labelled canary; None when there is none that fits
    canary_version: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What could be learnt; a server that does not answer leaves its part None."""

    dependencies: list[Dependency]
    model: Model
    queues: list[Load] | None
    #: what is being tried out
    rollout: Rollout | None
    #: of all workers over the last whole minute
    products_per_second: float | None
    #: all that are in the store, by reason; None too when that took too long to count
    rejects: dict[Reason, int] | None

    @property
    def answers(self) -> bool:
        """Whether every dependency does."""
        return all(each.problem is None for each in self.dependencies)

    def problems(self) -> list[str]:
        """Return why a worker could predict nothing now, a sentence each; none when it could."""
        told = [*(each.problem for each in self.dependencies), self.model.problem]
        return [problem for problem in told if problem is not None]


def look(settings: Settings, counts_rejects: bool = True) -> Status:
    """Ask every server at the same time, each for SHELVER_CONNECT_TIMEOUT_SECONDS; raises nothing."""
    mongodb = Asked("MongoDB", settings.mongo_url, "SHELVER_MONGO_URL", _ask_mongodb, settings)
    redis = Asked("Redis", settings.redis_url, "SHELVER_REDIS_URL", _ask_redis, settings)
    sql = ("SQL store", settings.database_url, "SHELVER_DATABASE_URL")
    store = Asked(*sql, _ask_store, settings)
    rejects = Asked(*sql, _ask_rejects, settings) if counts_rejects else None
    server = ("model server", settings.serving_address, "SHELVER_SERVING_ADDRESS")
    serving, canary = Asked(*server, _ask_serving, settings), Asked(*server, _ask_canary, settings)
    deadline = time.monotonic() + settings.connect_timeout_seconds + GRACE_SECONDS
    dependencies = [each.told(deadline) for each in (mongodb, redis, store, serving)]
    canary.told(deadline)
    if rejects:
        rejects.told(deadline)
    loads, rate, rollout = redis.result or (None, None, None)
    model = serving.result or Model(settings.model_name, settings.model_label)
    model = replace(_compare(model, store, settings), canary_version=canary.result)
    return Status(dependencies, model, loads, rollout, rate, rejects.result if rejects else None)


def _ask_mongodb(asked: Asked[None], settings: Settings) -> None:
    with closing(Catalog(settings)) as catalog:
        asked.timed(lambda: catalog.listed([0]))  # a ping would pass without a password


def _ask_redis(asked: Asked[Any], settings: Settings) -> tuple[list[Load], float, Rollout]:
    with closing(Control(settings)) as control:
        asked.timed(control.ping)
        return control.loads(), control.products_per_second(), control.rollout()


def _ask_store(asked: Asked[bool], settings: Settings) -> bool:
    def ask() -> None:
        with reading(settings) as connection:
            connection.execute(select(models.c.id).limit(1))  # a ping would pass without tables

    asked.timed(ask)
    return True


def _ask_rejects(_: Asked[dict[Reason, int]], settings: Settings) -> dict[Reason, int]:
    with reading(settings) as connection:
        return counted(connection, Choice())


@contextmanager
def reading(settings: Settings) -> Iterator[Connection]:
    """Give a connection on which the server itself gives up what takes so long that nobody waits for it any more."""
    seconds = settings.connect_timeout_seconds
    with (
        closing(Database(settings.database_url, read_only=True, read_seconds=seconds)) as database,
        database.begin() as connection,
    ):
        yield connection


def _ask_serving(asked: Asked[Model], settings: Settings) -> Model:
    with closing(Serving(settings)) as serving:
        try:
            asked.timed(serving.model)
            return Model(settings.model_name, settings.model_label, serving.model().version)
        except ModelUnfit as error:  # it answers, and this is what it says
            return Model(settings.model_name, settings.model_label, problem=str(error))


def _ask_canary(asked: Asked[int], settings: Settings) -> int:
    with closing(Serving(settings, CANARY)) as serving:
        return serving.model().version


def _compare(model: Model, store: Asked[bool], settings: Settings) -> Model:
    """Find out whether the store has the model's row."""
    if model.version is None or not store.result:
        return model
    version = model.version

    def ask(asked: Asked[Model], _: Settings) -> Model:
        with closing(Store(settings)) as rows:
            try:
                rows.model_id(version)
            except NotRegistered as error:
                return replace(model, is_registered=False, problem=str(error))
        return replace(model, is_registered=True)

    asked = Asked("SQL store", settings.database_url, "SHELVER_DATABASE_URL", ask, settings)
    asked.told(time.monotonic() + settings.connect_timeout_seconds)
    return asked.result or model
