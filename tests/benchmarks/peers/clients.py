"""What a process of a peer opens once, but for the one that does everything with await."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import grpc
from pymongo import MongoClient
from sqlalchemy import Table, create_engine, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session, sessionmaker

from tests.benchmarks.peers import asking
from worker.contract.product import Product
from worker.contract.tables import candidates, models, predictions


def upsert(table: Table) -> Insert:
    """Return the statement that writes a row or overwrites the one with its key."""
    statement = insert(table)
    keys = {column.name for column in table.primary_key}
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=sorted(keys), set_=values)


UPSERTS = (upsert(predictions), upsert(candidates))


class Clients:
    """Connections to MongoDB, the model server and PostgreSQL; made after fork, because none survives one."""

    def __init__(self) -> None:
        client: MongoClient[dict[str, Any]] = MongoClient(os.environ["SHELVER_MONGO_URL"])
        self.listings = client[os.environ["SHELVER_MONGO_DATABASE"]][os.environ["SHELVER_MONGO_COLLECTION"]]
        channel = grpc.insecure_channel(os.environ["SHELVER_SERVING_ADDRESS"])
        self.model = asking.services.PredictionServiceStub(channel)
        self.session = sessionmaker(create_engine(os.environ["SHELVER_DATABASE_URL"]))
        with self.session() as session:
            newest = select(models.c.id).where(models.c.name == asking.MODEL).order_by(models.c.version.desc())
            self.model_id: int = session.scalars(newest).first()

    def predict(self, products: Sequence[Product], queued_at: datetime) -> tuple[list[asking.Row], list[asking.Row]]:
        """Ask the model about products that one call takes; return the rows of both tables."""
        answer = self.model.Predict(asking.request(products), timeout=asking.TIMEOUT_SECONDS)
        return asking.rows(products, answer, self.model_id, queued_at)

    def write(self, session: Session, rows: tuple[list[asking.Row], list[asking.Row]]) -> None:
        """Put rows of both tables into a session."""
        for statement, some in zip(UPSERTS, rows, strict=True):
            session.execute(statement, some)
