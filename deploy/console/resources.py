"""What all visits share: settings and the clients of every server, each made once, when a page first needs it."""

import threading

import streamlit as st
from sqlalchemy import text

from worker import schema
from worker.catalog import Catalog
from worker.contract import settings as configuration
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.control import Control
from worker.model import Model
from worker.outcome import Prediction
from worker.pictures import Batch
from worker.serving import Serving

#: how long a store that was found at the right schema counts as such
SCHEMA_AGE_SECONDS = 60


class SharedServing(Serving):
    """The model server for all visits: one call at a time, since a client replaces its channel between calls."""

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self._turn = threading.Lock()

    def model(self) -> Model:
        """Return the model that is served; raises ModelUnfit or Unavailable."""
        with self._turn:
            return super().model()

    def predict(self, batch: Batch) -> list[Prediction]:
        """Return one prediction for every product of the batch; raises Refused, ModelUnfit or Unavailable."""
        with self._turn:
            return super().predict(batch)


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Return the settings; raises SettingsError."""
    return configuration.load()


@st.cache_resource(show_spinner=False)
def store() -> Database:
    """Return the SQL store, for reading alone: the server itself refuses writes."""
    return Database(settings().database_url, read_only=True)


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


@st.cache_resource(show_spinner=False, ttl=SCHEMA_AGE_SECONDS)
def check_schema() -> None:
    """Raise SchemaError unless the store is at the newest schema, Unavailable when it does not answer."""
    with store().begin() as connection:  # schema.check waits for a store that is away, and so would say nothing
        connection.execute(text("SELECT 1"))
    schema.check(settings())
