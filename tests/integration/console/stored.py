"""A small store for the pages that read it: a tree with names in both languages, two models, and predictions."""

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import insert, select
from streamlit.testing.v1 import AppTest

from deploy.console import resources
from deploy.console.review.visit import reviewing
from tests.integration.console.shown import TIMEOUT_SECONDS
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import candidates, categories, models, predictions, verdicts
from worker.contract.taxonomy import path_id

#: id -> names from level 1 down, each in French and in English
SHELVES = {
    1000000001: (("MAISON", "HOME"), ("CUISINE", "KITCHEN"), ("TASSE", "CUP")),
    1000000002: (("MAISON", "HOME"), ("CUISINE", "KITCHEN"), ("ASSIETTE", "PLATE")),
    1000000003: (("MAISON", "HOME"), ("SALON", "LOUNGE"), ("<b>LAMPE</b> *à* :smile:", "LAMP")),
    1000000004: (("SPORT", "SPORT"), ("BALLON", "BALL"), ("FOOTBALL", "SOCCER")),
}
CUP, PLATE, LAMP, BALL = SHELVES
HOME, SPORT = path_id("MAISON"), path_id("SPORT")
#: one that the tree lacks
UNKNOWN = 4711
THRESHOLDS = {"threshold_level1": 0.5, "threshold_level2": 0.6, "threshold_level3": 0.7}
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Stored:
    """A prediction to store."""

    product_id: int
    category_id: int = CUP
    score: float = 0.9
    listed: int | None = CUP
    version: int = 1
    is_latest: bool = True


def tree(database: Database) -> None:
    """Store the tree, and versions 1 and 2 of a model."""
    rows: dict[int, dict[str, object]] = {}
    for category_id, names in SHELVES.items():
        french = [name for name, _ in names]
        ids = [path_id(french[0]), path_id(*french[:2]), category_id]
        for level, (key, above, (name, name_en)) in enumerate(zip(ids, [None, *ids], names, strict=False), start=1):
            rows[key] = {"id": key, "level": level, "parent_id": above, "name": name, "name_en": name_en}
    with database.begin() as connection:
        connection.execute(insert(categories), sorted(rows.values(), key=lambda row: row["level"]))
        for version in (1, 2):
            model = {"name": "shelver", "version": version, "level": 3, "picture_side": 180, "metrics": {}}
            connection.execute(insert(models).values(id=version, published_at=NOON, **model, **THRESHOLDS))


def store(database: Database, rows: Iterable[Stored]) -> None:
    """Store predictions, each with all shelves for candidates."""
    with database.begin() as connection:
        for row in rows:
            above = [path_id(*(name for name, _ in SHELVES[row.category_id][:level])) for level in (1, 2)]
            connection.execute(
                insert(predictions).values(
                    product_id=row.product_id,
                    model_id=row.version,
                    category_id=row.category_id,
                    score=row.score,
                    margin=row.score / 2,
                    level1_id=above[0],
                    level1_score=row.score,
                    level2_id=above[1],
                    level2_score=row.score,
                    picture_count=1,
                    fingerprint=b"0" * 16,
                    listed_category_id=row.listed,
                    queue="new",
                    queued_at=NOON,
                    predicted_at=NOON + timedelta(days=row.version),
                    is_latest=row.is_latest,
                )
            )
            ranked = [row.category_id, *(each for each in SHELVES if each != row.category_id)]
            connection.execute(
                insert(candidates),
                [
                    {
                        "product_id": row.product_id,
                        "model_id": row.version,
                        "rank": rank,
                        "category_id": category_id,
                        "score": row.score / 2 ** (rank - 1),
                    }
                    for rank, category_id in enumerate(ranked, start=1)
                ],
            )


def rows_of(database: Database) -> Sequence[Any]:
    """Return all verdicts in order of product id."""
    with database.begin() as connection:
        return connection.execute(select(verdicts).order_by(verdicts.c.product_id)).all()


def visited(page: Callable[[], None], settings: Settings, monkeypatch: pytest.MonkeyPatch, **query: object) -> AppTest:
    """Return what a script shows at an address with this query; nothing is left of other visits."""
    for name, value in settings.environment().items():
        if value:
            monkeypatch.setenv(name, value)
    forget()
    gc.freeze()  # Streamlit collects after every run, which takes long with all of TensorFlow in the process
    test = AppTest.from_function(page, default_timeout=TIMEOUT_SECONDS)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def forget() -> None:
    """Close what visits share, and drop what is cached."""
    for opened in (resources.catalog(), resources.store(), reviewing()):
        opened.close()
    st.cache_data.clear()
    st.cache_resource.clear()
