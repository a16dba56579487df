"""What the store says of listings under one model, read along the key beside the catalog."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, select

from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.product import ProductId
from worker.contract.tables import models, predictions

#: ids that a statement reads: what memory holds of each table
FETCH = 10_000
HIGHEST_ID = 2**63 - 1


class NoModel(ShelverError):
    """There is no registered model to compare the catalog with."""


@dataclass(frozen=True, slots=True)
class Current:
    """The model that the catalog is compared with."""

    #: models.id
    id: int
    version: int


def find_model(database: Database, name: str, version: int | None = None) -> Current:
    """Return that version of the model, the newest when None; raises NoModel when it is not registered."""
    query = select(models.c.id, models.c.version).where(models.c.name == name)
    if version is not None:
        query = query.where(models.c.version == version)
    with database.begin() as connection:
        found = connection.execute(query.order_by(models.c.version.desc()).limit(1)).one_or_none()
    if found is None:
        wanted = "no version" if version is None else f"no version {version}"
        raise NoModel(
            f"{wanted} of model {name} is registered in {database.address}: publish it with shelver-trainer publish, "
            "or name another version, or another model with SHELVER_MODEL_NAME"
        )
    return Current(*found)


def is_of(database: Database, model: Current) -> "ColumnElement[bool]":
    """Return the condition that a prediction is of `model`.

    SQLite would take a model's rows by the index of fingerprints, all of them, and sort them for every block; what is
    added to the column keeps it to the primary key.
    """
    if database.engine.dialect.name == "sqlite":
        return predictions.c.model_id + 0 == model.id
    return predictions.c.model_id == model.id


def is_latest_of(database: Database, name: str) -> "ColumnElement[bool]":
    """Return the condition that a prediction is its product's latest, and by a version of the model `name`."""
    with database.begin() as connection:
        ids = connection.scalars(select(models.c.id).where(models.c.name == name)).all()
    # The sum for SQLite's sake, as in is_of: the index of latest rows has them in order of product.
    return predictions.c.is_latest & (predictions.c.model_id + 0).in_(ids)


class Ascending:
    """One table's product ids, asked for in ascending order and read along the key, a block at a time.

    A block is a statement of its own, so that no transaction stays open for as long as a catalog takes to go through.
    Raises Unavailable when the database does not answer.
    """

    def __init__(self, database: Database, product_id: "Column[int]", where: "ColumnElement[bool]"):
        self._database = database
        self._key = product_id
        self._query = select(product_id).where(where).order_by(product_id).limit(FETCH)
        self._block: frozenset[int] = frozenset()
        self._until: int | None = None  # the block has every id of the table up to here

    def has(self, identity: int) -> bool:
        """Say whether the table has `identity`, which is not below any that was asked for before."""
        if self._until is None or identity > self._until:
            with self._database.begin() as connection:
                found = connection.scalars(self._query.where(self._key >= identity)).all()
            self._block = frozenset(found)
            self._until = found[-1] if len(found) == FETCH else HIGHEST_ID
        return identity in self._block


def without_prediction(database: Database, model: Current) -> Callable[[ProductId], bool]:
    """Return what says of ids, asked for in ascending order, that they have no prediction of `model`."""
    predicted = Ascending(database, predictions.c.product_id, is_of(database, model))
    return lambda identity: isinstance(identity, str) or not predicted.has(identity)


def below_score(database: Database, model: Current, score: float) -> Callable[[ProductId], bool]:
    """Return what says of ids, asked for in ascending order, that `model` was less sure of them than `score`."""
    unsure = Ascending(database, predictions.c.product_id, is_of(database, model) & (predictions.c.score < score))
    return lambda identity: not isinstance(identity, str) and unsure.has(identity)


def latest_by(database: Database, model: Current) -> Callable[[ProductId], bool]:
    """Return what says of ids, asked for in ascending order, that their latest prediction is by `model`."""
    latest = Ascending(database, predictions.c.product_id, predictions.c.is_latest & is_of(database, model))
    return lambda identity: not isinstance(identity, str) and latest.has(identity)
