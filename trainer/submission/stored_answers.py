"""The categories of products as their predictions in SQL have them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select

from trainer.submission.submit import SubmitError, check_level
from worker.contract.database import Database
from worker.contract.product import Product
from worker.contract.tables import models, predictions


class StoredAnswers:
    """Answers by the predictions of one published model."""

    page_size = 1000

    def __init__(self, database: Database, name: str, version: int | None):
        """Find the model, its newest version where none is given.

        Raises SubmitError when there is none, when its classes are not of level 3, or when it predicted nothing yet;
        Unavailable when the database fails.
        """
        self._database = database
        self._model_id, version = self._find(name, version)
        count = func.count()
        query = (
            select(predictions.c.category_id)
            .where(predictions.c.model_id == self._model_id)
            .group_by(predictions.c.category_id)
            .order_by(count.desc(), predictions.c.category_id)
        )
        with database.begin() as connection:
            most_frequent = connection.scalar(query.limit(1))
        if most_frequent is None:
            raise SubmitError(
                f"{name} version {version} has no predictions in {database.address}: classify the products first, name "
                "another --version, or predict with --run"
            )
        self._fallback: int = most_frequent

    def categories(self, products: Sequence[Product]) -> dict[int, int]:
        """Return product id -> category id, without those that have no prediction; raises Unavailable."""
        query = select(predictions.c.product_id, predictions.c.category_id).where(
            predictions.c.model_id == self._model_id, predictions.c.product_id.in_([each.id for each in products])
        )
        with self._database.begin() as connection:
            return {row.product_id: row.category_id for row in connection.execute(query)}

    def fallback(self) -> int:
        """Return the category that the model predicted most often; of several, the lowest id."""
        return self._fallback

    def remarks(self) -> Iterable[str]:
        """Say nothing: what the worker rejected, it keeps the reasons of."""
        return ()

    def _find(self, name: str, version: int | None) -> tuple[int, int]:
        query = select(models).where(models.c.name == name).order_by(models.c.version.desc())
        with self._database.begin() as connection:
            found = connection.execute(query if version is None else query.where(models.c.version == version)).first()
        if found is None:
            which = name if version is None else f"{name} version {version}"
            raise SubmitError(f"no model {which} is in {self._database.address}: name another --model or --version")
        check_level(found.level, f"{name} version {found.version}")
        return found.id, found.version
