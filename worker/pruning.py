"""Delete what nobody asks for any more: predictions of superseded versions and old rejects, in small transactions."""

from collections.abc import Iterable, Iterator, Set
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, select, text, true, tuple_

from worker.contract.database import Database
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, rejects
from worker.rollout import CANARY
from worker.serving import Serving, Unlabelled

#: looked through in one transaction, which deletes some of them: it is over within milliseconds
ROWS_AT_A_TIME = 1000
#: version labels of shelver-trainer: what has one may predict, or be rolled back to, at any time
LABELS = (CANARY, "stable", "previous")


class InUseUnknown(ShelverError):
    """It cannot be told which versions are in use, so that none is superseded."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go, and what stays nevertheless."""

    #: predictions of superseded versions that were stored before this moment; any when None
    predicted_before: datetime | None = None
    #: rejects whose product was tried for the last time before this moment; none when None
    rejected_before: datetime | None = None
    #: the oldest version that is in use; None when the model server is to be asked
    in_use: int | None = None
    #: how many of the versions before that stay, so that whoever goes back to one finds its predictions
    previous: int = 2
    #: versions that stay whatever they are
    kept: Set[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of SHELVER_MODEL_NAME that have predictions, but for those newer than the oldest in use."""

    #: the oldest
    in_use: int
    #: older ones that stay, newest first
    staying: list[int]
    #: version -> models.id of the others, newest first
    superseded: dict[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table that may go; its key begins with the product's id."""

    table: Table
    where: "ColumnElement[bool]"


class Pruner:
    """The store as it is pruned, or looked at. Every method raises Unavailable when the database does not answer."""

    def __init__(self, settings: Settings, policy: Policy, read_only: bool = False):
        self._settings = settings
        self._policy = policy
        self._database = Database(settings.database_url, read_only)

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def versions(self) -> Versions:
        """Find out which versions are superseded: older than any in use and than those that stay before it.

        Which are in use the store cannot tell: a shadow's predictions are stored like others, and what is known again
        after a rollback is as old as it was. Raises InUseUnknown when the model server does not tell either.
        """
        name, chosen = self._settings.model_name, self._policy.in_use
        in_use = served(self._settings) if chosen is None else {chosen}
        has_some = exists().where(predictions.c.model_id == models.c.id).label("has_some")
        registered = select(models.c.version, models.c.id, has_some).where(models.c.name == name)
        with self._database.begin() as connection:
            rows = connection.execute(registered.order_by(models.c.version.desc())).all()
        if unknown := in_use - {row.version for row in rows}:
            raise InUseUnknown(
                f"{name} version {max(unknown)} is in use and not registered in {self._database.address}: name the "
                "store of its predictions (SHELVER_DATABASE_URL), or the oldest version in use with --in-use"
            )
        ids = {row.version: row.id for row in rows if row.has_some and row.version < min(in_use)}
        staying = [each for place, each in enumerate(ids) if place < self._policy.previous or each in self._policy.kept]
        return Versions(min(in_use), staying, {each: ids[each] for each in ids if each not in staying})

    def predictions(self, versions: Versions) -> Part:
        """Return what may go of the predictions; their candidates go with them. No product's latest is among them."""
        before = self._policy.predicted_before
        is_old = true() if before is None else predictions.c.predicted_at < before
        return Part(predictions, and_(~predictions.c.is_latest, _is_of(versions.superseded.values()), is_old))

    def rejects(self) -> Part:
        """Return what may go of the rejects."""
        before = self._policy.rejected_before
        return Part(rejects, rejects.c.last_at < before if before is not None else ~true())

    def count(self, part: Part) -> int:
        """Return how many rows may go."""
        with self._database.begin() as connection:
            if connection.dialect.name == "postgresql":  # as long as it takes, if it only reads
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            return connection.scalar(select(func.count()).select_from(part.table).where(part.where)) or 0

    def delete(self, part: Part) -> Iterator[int]:
        """Delete the rows in order of id; yield after each transaction how many they were.

        What is not done when the caller stops, or is killed, is found again.
        """
        product_id = part.table.c.product_id
        after: ColumnElement[bool] = true()
        last: int | None = None
        while True:
            with self._database.begin() as connection:
                ordered = select(product_id).where(after).order_by(product_id)
                last = connection.scalar(ordered.offset(ROWS_AT_A_TIME - 1).limit(1))
                within = after if last is None else and_(after, product_id <= last)
                deleted = _delete(connection, Part(part.table, and_(within, part.where)))
            yield deleted
            if last is None:
                return
            after = product_id > last


def served(settings: Settings) -> set[int]:
    """Return the versions in use: that which workers ask the model server for, and those that have one of LABELS.

    Raises InUseUnknown when the server does not say, or has not loaded one of them.
    """
    found = set()
    for label in dict.fromkeys((settings.model_label, *LABELS)):
        with closing(Serving(settings, label)) as serving:
            try:
                found.add(serving.version())
            except Unavailable as error:
                if label == settings.model_label or not isinstance(error, Unlabelled):
                    raise InUseUnknown(f"{error}; or name the oldest version in use with --in-use") from error
    return found


def _is_of(model_ids: Iterable[int]) -> "ColumnElement[bool]":
    """Return the condition that a prediction is of these models.

    Something is added to the column so that no database takes all rows of a model by their index, and sorts them.
    """
    return (predictions.c.model_id + 0).in_(model_ids)


def _delete(connection: Connection, part: Part) -> int:
    """Delete rows, but for those that somebody has in hand: they are found the next time, and nobody waits."""
    key = tuple(part.table.primary_key)
    free = select(*key).where(part.where).order_by(*key).with_for_update(skip_locked=True)
    return connection.execute(delete(part.table).where(tuple_(*key).in_(free))).rowcount
