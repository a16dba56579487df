"""How a page would be written by SQLAlchemy's own means: executemany of INSERT … ON CONFLICT DO UPDATE."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, delete
from sqlalchemy.dialects.postgresql import insert

from worker.contract.database import among
from worker.contract.tables import candidates, predictions, rejects
from worker.outcome import Outcome
from worker.rows import candidate_rows, prediction_row
from worker.store import Store, _outdate
from worker.upsert import Row


class Executemany(Store):
    """The store, but for how rows travel: it makes the same rows, and writes them in one transaction."""

    def save(self, outcome: Outcome) -> None:
        """Write predictions of a page, all by one model, and take the products' rejects away."""
        now, ordered = datetime.now(UTC), sorted(outcome.predictions, key=lambda each: each.product.id)
        products, version = [each.product.id for each in ordered], ordered[0].model_version
        with self._database.begin_writing() as connection:
            models = {version: self._model_id(connection, version)}
            _outdate(connection, products, models[version])
            _upsert(connection, predictions, [prediction_row(each, models, outcome, now) for each in ordered])
            _upsert(connection, candidates, [row for each in ordered for row in candidate_rows(each, models)])
            connection.execute(delete(rejects).where(among(connection, rejects.c.product_id, products)))


def _upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    statement, keys = insert(table), [column.name for column in table.primary_key]
    overwritten = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=overwritten), rows)
