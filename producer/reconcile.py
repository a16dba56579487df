"""Find listings of the catalog that have neither prediction nor reject, whatever became of their pages."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, select

from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.messages import Page
from worker.contract.product import ProductId, stand_in_id
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, rejects

#: ids that a statement reads: what memory holds of each table
FETCH = 10_000
#: ids that are no integers, looked up at a time: few enough parameters for SQLite
STRANGE_AT_A_TIME = 500
HIGHEST_ID = 2**63 - 1


class NoModel(ShelverError):
    """There is no registered model to compare the catalog with."""


@dataclass(frozen=True, slots=True)
class Current:
    """The model that the catalog is compared with."""

    #: models.id
    id: int
    version: int


@dataclass(slots=True)
class Tally:
    """How many listings were found, and what of them."""

    listings: int = 0
    predicted: int = 0
    #: of those without a prediction
    rejected: int = 0
    #: neither
    missing: int = 0


class _Ascending:
    """One table's product ids, asked for in ascending order and read along the key, a block at a time.

    A block is a statement of its own, so that no transaction stays open for as long as a catalog takes to go through.
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


class Reconciler:
    """Compares listings with the store. Every method raises Unavailable when the database does not answer."""

    def __init__(self, settings: Settings):
        self._model_name = settings.model_name
        self._database = Database(settings.database_url)
        self.tally = Tally()

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def model(self, version: int | None = None) -> Current:
        """Return that version of SHELVER_MODEL_NAME, the newest when None; raises NoModel when it is not registered."""
        query = select(models.c.id, models.c.version).where(models.c.name == self._model_name)
        if version is not None:
            query = query.where(models.c.version == version)
        with self._database.begin() as connection:
            found = connection.execute(query.order_by(models.c.version.desc()).limit(1)).one_or_none()
        if found is None:
            wanted = "no version" if version is None else f"no version {version}"
            raise NoModel(
                f"{wanted} of model {self._model_name} is registered in {self._database.address}: publish it with "
                "shelver-trainer publish, or name another with SHELVER_MODEL_NAME or --model-version"
            )
        return Current(*found)

    def missing(self, ids: Iterable[ProductId], model: Current) -> Iterator[ProductId]:
        """Yield those of `ids`, integers ascending among them, that have neither a prediction of `model` nor a reject.

        A reject that says the listing is not in the catalog counts for nothing: it is there now. An id that is no
        integer can only be rejected, under its stand-in; such ids are gathered, looked up some hundred at a time and
        yielded late.
        """
        predicted = _Ascending(self._database, predictions.c.product_id, self._is_of(model))
        rejected = _Ascending(self._database, rejects.c.product_id, rejects.c.reason != Reason.NOT_FOUND)
        strange: list[str] = []
        for identity in ids:
            self.tally.listings += 1
            if isinstance(identity, str):
                strange.append(identity)
                if len(strange) == STRANGE_AT_A_TIME:
                    yield from self._missing_strange(strange)
                    strange = []
            elif predicted.has(identity):
                self.tally.predicted += 1
            elif rejected.has(identity):
                self.tally.rejected += 1
            else:
                self.tally.missing += 1
                yield identity
        yield from self._missing_strange(strange)

    def _is_of(self, model: Current) -> "ColumnElement[bool]":
        """Return the condition on predictions.

        SQLite would take a model's rows by the index of fingerprints, all of them, and sort them for every block;
        what is added to the column keeps it to the primary key.
        """
        if self._database.engine.dialect.name == "sqlite":
            return predictions.c.model_id + 0 == model.id
        return predictions.c.model_id == model.id

    def _missing_strange(self, strange: Sequence[str]) -> Iterator[str]:
        keys = [stand_in_id(each) for each in _as_workers_read(strange)]
        query = select(rejects.c.product_id).where(rejects.c.product_id.in_(keys), rejects.c.reason != Reason.NOT_FOUND)
        with self._database.begin() as connection:
            there = set(connection.scalars(query))
        for identity, key in zip(strange, keys, strict=True):
            if key in there:
                self.tally.rejected += 1
            else:
                self.tally.missing += 1
                yield identity


def _as_workers_read(strange: Sequence[str]) -> Sequence[str]:
    """Return the texts as they arrive, long ones cut: stand-ins are made of those."""
    return [str(each) for each in Page.from_wire(Page(tuple(strange)).to_wire()).ids]
