"""A product's latest prediction, with names, from the store."""

from sqlalchemy import Connection, select

from producer.api.answers import Model, Prediction, Shelf
from worker.contract.tables import candidates, categories, models, predictions


def latest(connection: Connection, product_id: int) -> Prediction | None:
    """Return the latest prediction, of whichever model, or None."""
    query = (
        select(predictions, models.c.name, models.c.version)
        .join(models)
        .where(predictions.c.product_id == product_id, predictions.c.is_latest)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    path = [(row.level1_id, row.level1_score), (row.level2_id, row.level2_score), (row.category_id, row.score)]
    shelves = _shelves(connection, path + _candidates(connection, product_id, row.model_id))
    return Prediction(
        id=product_id,
        model=Model(name=row.name, version=row.version),
        predicted_at=row.predicted_at,
        picture_count=row.picture_count,
        path=shelves[: len(path)],
        candidates=shelves[len(path) :],
    )


def _candidates(connection: Connection, product_id: int, model_id: int) -> list[tuple[int, float]]:
    """Return category and score of each, best first."""
    query = (
        select(candidates.c.category_id, candidates.c.score)
        .where(candidates.c.product_id == product_id, candidates.c.model_id == model_id)
        .order_by(candidates.c.rank)
    )
    return [(category_id, score) for category_id, score in connection.execute(query)]


def _shelves(connection: Connection, scored: list[tuple[int, float]]) -> list[Shelf]:
    """Return categories with their names, in the same order."""
    query = select(categories.c.id, categories.c.name, categories.c.name_en)
    found = connection.execute(query.where(categories.c.id.in_({category_id for category_id, _ in scored})))
    names = {row.id: row for row in found}
    return [
        Shelf(id=category_id, name=names[category_id].name, name_en=names[category_id].name_en, score=score)
        for category_id, score in scored
    ]
