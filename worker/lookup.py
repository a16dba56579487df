"""What is known of a product: predicted, rejected, pending or unknown."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from worker.catalog import Catalog
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.standing import Status
from worker.contract.tables import candidates, categories, models, predictions, rejects


@dataclass(frozen=True, slots=True)
class Shelf:
    """A category with its names and the score it got."""

    category_id: int
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """A stored prediction, with names."""

    model: str
    predicted_at: datetime
    picture_count: int
    #: level 1, level 2 and level 3
    path: tuple[Shelf, Shelf, Shelf]
    #: best first
    candidates: list[Shelf]
    #: the seller's shelf
    listed: str | None


@dataclass(slots=True)
class Known:
    """All that is known of one product."""

    product_id: int
    status: Status = Status.UNKNOWN
    predictions: list[Found] = field(default_factory=list)
    #: "reason: detail (attempts, since when)"
    reject: str | None = None


def look_up(settings: Settings, ids: Sequence[int]) -> list[Known]:
    """Return what is known of each id, in order; latest prediction first.

    MongoDB is only asked for ids that have no row. Raises Unavailable when a server does not answer.
    """
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        known = [_read(connection, identity) for identity in ids]
    open_ids = [each.product_id for each in known if each.status is Status.UNKNOWN]
    listed = _listed(settings, open_ids) if open_ids else set()
    for each in known:
        if each.product_id in listed and each.status is Status.UNKNOWN:
            each.status = Status.PENDING
    return known


def _listed(settings: Settings, ids: list[int]) -> set[int]:
    with closing(Catalog(settings)) as catalog:
        return catalog.listed(ids)


def _read(connection: Connection, identity: int) -> Known:
    known = Known(identity)
    query = (
        select(predictions, models.c.name.label("model"), models.c.version)
        .join(models)
        .where(predictions.c.product_id == identity)
        .order_by(predictions.c.is_latest.desc(), predictions.c.predicted_at.desc(), models.c.version.desc())
    )
    for row in connection.execute(query):
        known.status = Status.PREDICTED
        names = _names(connection, [row.level1_id, row.level2_id, row.category_id, row.listed_category_id])
        path = (
            Shelf(row.level1_id, names[row.level1_id], row.level1_score),
            Shelf(row.level2_id, names[row.level2_id], row.level2_score),
            Shelf(row.category_id, names[row.category_id], row.score),
        )
        listed = None
        if row.listed_category_id is not None:
            listed = names.get(row.listed_category_id, f"{row.listed_category_id}, not in the tree")
        ranked = _candidates(connection, identity, row.model_id)
        model = f"{row.model} {row.version}"
        known.predictions.append(Found(model, row.predicted_at, row.picture_count, path, ranked, listed))
    reject = connection.execute(select(rejects).where(rejects.c.product_id == identity)).one_or_none()
    if reject is not None:
        if not known.predictions:
            known.status = Status.REJECTED
        since = f"attempt {reject.attempts}, first at {reject.first_at:%Y-%m-%d %H:%M:%S} UTC"
        known.reject = f"{reject.reason}: {reject.detail} ({since})"
    return known


def _candidates(connection: Connection, identity: int, model_id: int) -> list[Shelf]:
    query = (
        select(candidates.c.category_id, categories.c.name, candidates.c.score)
        .join(categories, categories.c.id == candidates.c.category_id)
        .where(candidates.c.product_id == identity, candidates.c.model_id == model_id)
        .order_by(candidates.c.rank)
    )
    return [Shelf(*row) for row in connection.execute(query)]


def _names(connection: Connection, ids: list[int | None]) -> dict[int, str]:
    query = select(categories.c.id, categories.c.name).where(
        categories.c.id.in_([each for each in ids if each is not None])
    )
    return {row.id: row.name for row in connection.execute(query)}
