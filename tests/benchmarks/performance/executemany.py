"""How a page would be written by SQLAlchemy's own means: executemany of INSERT … ON CONFLICT DO UPDATE."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from worker.contract.database import Database, among
from worker.contract.settings import Settings
from worker.contract.tables import candidates, predictions, rejects
from worker.outcome import Outcome, Prediction

#: of the only model in that store
MODEL_ID = 1


class Executemany:
    """Writes the same rows in the same steps of one transaction as worker.store.Store, and sends them otherwise."""

    def __init__(self, settings: Settings):
        self._database = Database(settings.database_url)

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def save(self, outcome: Outcome) -> None:
        """Write a page's outcome."""
        now = datetime.now(UTC)
        ordered = sorted(outcome.predictions, key=lambda each: each.product.id)
        ids = [each.product.id for each in ordered]
        key = (predictions.c.product_id, predictions.c.model_id)
        with self._database.begin_writing() as connection:
            replaced = (
                select(*key)
                .where(predictions.c.is_latest, among(connection, key[0], ids), key[1] != MODEL_ID)
                .order_by(key[0])
                .with_for_update()
            )
            connection.execute(update(predictions).where(tuple_(*key).in_(replaced)).values(is_latest=False))
            connection.execute(_upsert(predictions), [_prediction(each, outcome, now) for each in ordered])
            connection.execute(_upsert(candidates), [row for each in ordered for row in _candidates(each)])
            connection.execute(delete(rejects).where(among(connection, rejects.c.product_id, ids)))


def _upsert(table: Table) -> Any:
    statement, keys = insert(table), [column.name for column in table.primary_key]
    overwritten = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=overwritten)


def _prediction(each: Prediction, outcome: Outcome, now: datetime) -> dict[str, Any]:
    (category_id, score), (_, second), *_ = each.candidates
    return {
        "product_id": each.product.id,
        "model_id": MODEL_ID,
        "category_id": category_id,
        "score": score,
        "margin": score - second,
        "level2_id": each.level2[0],
        "level2_score": each.level2[1],
        "level1_id": each.level1[0],
        "level1_score": each.level1[1],
        "picture_count": each.picture_count,
        "fingerprint": each.product.fingerprint,
        "listed_category_id": each.product.category_id,
        "queue": outcome.page.queue,
        "queued_at": datetime.fromtimestamp(outcome.page.queued_at, UTC),
        "predicted_at": now,
        "is_latest": True,
    }


def _candidates(each: Prediction) -> Iterator[dict[str, Any]]:
    for rank, (category_id, score) in enumerate(each.candidates, start=1):
        row = {"product_id": each.product.id, "model_id": MODEL_ID, "rank": rank}
        yield {**row, "category_id": category_id, "score": score}
