"""Rows as the worker leaves them: a small tree, models, predictions and rejects."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, update

from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.contract.tables import candidates, categories, models, predictions, rejects

HOME, KITCHEN, CUP, PLATE = -11, -22, 1000000001, 1000000002
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def store_tree(database: Database, versions: int = 2) -> None:
    """MAISON > CUISINE > TASSE, ASSIETTE, the last without an English name; and model versions 1, 2, …"""
    tree = [(HOME, 1, None, "MAISON", "HOME"), (KITCHEN, 2, HOME, "CUISINE", "KITCHEN")]
    tree += [(CUP, 3, KITCHEN, "TASSE", "CUP"), (PLATE, 3, KITCHEN, "ASSIETTE", None)]
    names = ("id", "level", "parent_id", "name", "name_en")
    facts = {"name": "shelver", "level": 3, "picture_side": 180, "metrics": {}, "published_at": BEGAN}
    with database.begin() as connection:
        connection.execute(insert(categories), [dict(zip(names, each, strict=True)) for each in tree])
        connection.execute(insert(models), [{"id": each, "version": each, **facts} for each in range(1, versions + 1)])


def store_prediction(database: Database, product_id: int, version: int = 1, score: float = 0.75) -> None:
    """A cup, then a plate; later versions predict later."""
    moment = BEGAN + timedelta(hours=version)
    shelves = {"category_id": CUP, "level2_id": KITCHEN, "level2_score": 0.875, "level1_id": HOME, "level1_score": 1.0}
    facts = {"margin": 0.5, "picture_count": 2, "fingerprint": b"0123456789abcdef", "queue": Queue.NEW}
    times = {"queued_at": moment, "predicted_at": moment}
    key = {"product_id": product_id, "model_id": version}
    ranked = [{**key, "rank": 2, "category_id": PLATE, "score": 0.125}, {**key, "rank": 1, "category_id": CUP}]
    with database.begin() as connection:
        connection.execute(update(predictions).where(predictions.c.product_id == product_id).values(is_latest=False))
        connection.execute(insert(predictions).values(**key, score=score, **shelves, **facts, **times))
        connection.execute(insert(candidates), [{"score": score, **each} for each in ranked])


def store_reject(database: Database, product_id: int, reason: Reason = Reason.UNDECODABLE) -> None:
    """A product that was tried once."""
    facts = {"detail": "picture 1 is damaged", "attempts": 1, "first_at": BEGAN, "last_at": BEGAN}
    with database.begin() as connection:
        connection.execute(insert(rejects).values(product_id=product_id, reason=reason, **facts))
