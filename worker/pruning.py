"""Delete what nobody asks for any more: predictions of superseded versions and old rejects, in small transactions."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, select, true, tuple_

from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, rejects

#: looked through in one transaction, which deletes some of them: it is over within milliseconds
ROWS_AT_A_TIME = 1000
#: of the latest predictions those stored last, in the last of their days: the versions that made them are in use
STORED_LAST = 1000
STORED_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go, and what stays nevertheless."""

    #: predictions of superseded versions that were stored before this moment; any when None
    predicted_before: datetime | None = None
    #: rejects whose product was tried for the last time before this moment; none when None
    rejected_before: datetime | None = None
    #: how many of the versions before that in use stay, so that whoever rolls back finds their predictions
    previous: int = 2
    #: versions that stay whatever they are
    kept: Set[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of SHELVER_MODEL_NAME that have predictions, but for those newer than the one in use."""

    #: the oldest of those that made the latest predictions of the last day; None when there are none
    in_use: int | None
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
    """The store as it is pruned. Every method raises Unavailable when the database does not answer."""

    def __init__(self, settings: Settings, policy: Policy):
        self._name = settings.model_name
        self._policy = policy
        self._database = Database(settings.database_url)

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def versions(self) -> Versions:
        """Find out which versions are superseded: older than the one in use and than those that stay before it.

        A canary and a shadow are newer than that, and so is a version that was rolled back: they are not superseded.
        """
        with self._database.begin() as connection:
            in_use = self._in_use(connection)
            if in_use is None:
                return Versions(None, [], {})
            has_some = exists().where(predictions.c.model_id == models.c.id)
            older = select(models.c.version, models.c.id).where(
                models.c.name == self._name, models.c.version < in_use, has_some
            )
            ids = dict(connection.execute(older.order_by(models.c.version.desc())).all())
        staying = [each for place, each in enumerate(ids) if place < self._policy.previous or each in self._policy.kept]
        return Versions(in_use, staying, {each: ids[each] for each in ids if each not in staying})

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

    def _in_use(self, connection: Connection) -> int | None:
        versions = dict(
            connection.execute(select(models.c.id, models.c.version).where(models.c.name == self._name)).all()
        )
        stored = select(predictions.c.model_id, predictions.c.predicted_at).where(
            predictions.c.is_latest, _is_of(versions)
        )
        last = connection.execute(stored.order_by(predictions.c.predicted_at.desc()).limit(STORED_LAST)).all()
        return min((versions[key] for key, at in last if last[0].predicted_at - at < STORED_WITHIN), default=None)


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
