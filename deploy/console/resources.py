"""What all visits share: settings and the clients of every server, each made once, when a page first needs it."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import streamlit as st
from sqlalchemy import Connection, text

from worker import schema
from worker.catalog import Catalog
from worker.contract import settings as configuration
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings
from worker.control import Control
from worker.dependencies import Asked
from worker.model import Model
from worker.outcome import Prediction
from worker.pictures import Batch
from worker.serving import Serving

#: how long what was found of the store's schema holds, good or not; a hung store is waited for once in that time
SCHEMA_AGE_SECONDS = 5
#: how long a visit waits for the others' calls to the model
TURN_SECONDS = 5


class SharedServing(Serving):
    """The model server for all visits: one call at a time, since a client replaces its channel between calls."""

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self._lock = threading.Lock()

    def model(self) -> Model:
        """Return the model that is served; raises ModelUnfit or Unavailable."""
        with self._turn():
            return super().model()

    def predict(self, batch: Batch) -> list[Prediction]:
        """Return one prediction for every product of the batch; raises Refused, ModelUnfit or Unavailable."""
        with self._turn():
            return super().predict(batch)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=min(TURN_SECONDS, self._settings.predict_timeout_seconds)):
            raise Unavailable(
                f"the model server at {self._settings.serving_address} is busy with what others asked: try again"
            )
        try:
            yield
        finally:
            self._lock.release()


class Store(Database):
    """The SQL store. One that hangs holds up no page for long, and one of another schema is told."""

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a connection; raises SchemaError unless the store is at the newest schema, else Unavailable."""
        check_schema()
        with super().begin() as connection:
            yield connection


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Return the settings; raises SettingsError."""
    return configuration.load()


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """Return the SQL store, for reading alone: the server itself refuses writes."""
    return Store(settings().database_url, read_only=True)


@st.cache_resource(show_spinner=False)
def catalog() -> Catalog:
    """Return the listings."""
    return Catalog(settings())


@st.cache_resource(show_spinner=False)
def serving() -> SharedServing:
    """Return the model server."""
    return SharedServing(settings())


@st.cache_resource(show_spinner=False)
def control() -> Control:
    """Return what Redis tells of the queues."""
    return Control(settings())


def check_schema() -> None:
    """Raise SchemaError unless the store is at the newest schema, Unavailable when it does not answer in time."""
    unfit, away = _schema()
    if unfit:
        raise schema.SchemaError(unfit)
    if away:
        raise Unavailable(away)


@st.cache_resource(show_spinner=False, ttl=SCHEMA_AGE_SECONDS)
def _schema() -> tuple[str | None, str | None]:
    """Return what is wrong with the schema, and why the store does not tell."""
    ours = settings()
    asked = Asked("SQL store", ours.database_url, "SHELVER_DATABASE_URL", _ask_schema, ours)
    away = asked.told(time.monotonic() + ours.connect_timeout_seconds).problem
    return asked.result, away


def _ask_schema(_: Asked[str | None], settings: Settings) -> str | None:
    with closing(Database(settings.database_url, read_only=True)) as database, database.begin() as connection:
        connection.execute(text("SELECT 1"))  # schema.check waits for a store that is away, and so would say nothing
    try:
        schema.check(settings)
    except schema.SchemaError as error:
        return str(error)
    return None
