"""A small store that holds one of everything that analysts ask about."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update

from tests.conftest import create_database
from trainer.publishing.registry import keep_categories
from worker import schema
from worker.contract.database import Database
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, verdicts
from worker.contract.taxonomy import Taxonomy
from worker.contract.verdicts import Decision
from worker.outcome import Outcome, Prediction
from worker.store import Store

CUP, PLATE, LAMP, BALL, BIKE = 1, 2, 3, 4, 5
#: as hostile as names can be
LAMP_NAME = '<b>LAMPE</b> &amp; [x](y) "z", |w|'
TREE = Taxonomy.from_shelves(
    {
        CUP: ("MAISON", "CUISINE", "TASSE"),
        PLATE: ("MAISON", "CUISINE", "ASSIETTE"),
        LAMP: ("MAISON", "SALON", LAMP_NAME),
        BALL: ("SPORT", "BALLON", "BALLON"),
        BIKE: ("SPORT", "CYCLE", "VÉLO ÉLECTRIQUE"),
    }
)
ENGLISH = {"MAISON": "HOUSE", "CUISINE": "KITCHEN", "TASSE": "CUP", "ASSIETTE": "PLATE", "SPORT": "SPORTS"}
KITCHEN, LOUNGE = TREE.ancestor(CUP, 2), TREE.ancestor(LAMP, 2)
HOUSE, SPORTS = TREE.ancestor(CUP, 1), TREE.ancestor(BALL, 1)
#: in no tree
NOWHERE = 999
LARGEST = 2**63 - 1

#: key -> (name, version, level, thresholds of level 1, 2, 3)
MODELS = {
    "old": ("shelver", 1, 3, (0.5, 0.7, 0.9)),
    "new": ("shelver", 2, 3, (None, None, None)),
    "coarse": ("shelver", 3, 2, (0.5, 0.7, None)),
    "other": ("other", 1, 3, (None, None, None)),
}
#: the two weeks of the model "other"
BEFORE, AFTER = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A prediction to store, and what the product is assigned by then."""

    product_id: int
    model: str
    category: int
    #: of level 3, 2 and 1
    scores: tuple[float, float, float]
    listed: int | None
    assignment: str | None
    at: datetime | None = None


SURE, TIED = (0.95, 0.97, 0.99), (0.92, 0.96, 0.98)
ROWS = (
    Row(11, "old", CUP, SURE, CUP, "level3"),
    Row(12, "old", PLATE, (0.8, 0.9, 0.95), CUP, "level2"),
    Row(13, "old", LAMP, (0.6, 0.65, 0.8), LAMP, "level1"),
    Row(14, "old", CUP, (0.3, 0.35, 0.45), None, "review"),
    Row(16, "coarse", KITCHEN, (0.85, 0.85, 0.9), CUP, "level2"),
    Row(17, "coarse", LOUNGE, (0.6, 0.6, 0.9), CUP, "level1"),
    Row(18, "coarse", LOUNGE, (0.6, 0.6, 0.9), NOWHERE, "level1"),
    Row(19, "old", CUP, SURE, BALL, "verdict"),
    Row(20, "old", BIKE, TIED, BALL, "level3"),
    Row(21, "old", BIKE, TIED, BALL, "level3"),
    Row(22, "old", CUP, (0.9, 0.95, 0.99), CUP, "level3"),
    Row(23, "old", CUP, (1.0, 1.0, 1.0), CUP, "level3"),
    Row(LARGEST, "old", LAMP, TIED, NOWHERE, "level3"),
    *(Row(each, "old", CUP, (0.7, 0.75, 0.8), CUP, None) for each in range(31, 35)),
    Row(35, "old", LAMP, (0.7, 0.75, 0.8), NOWHERE, None),
    Row(31, "new", CUP, SURE, CUP, "review"),
    Row(32, "new", PLATE, SURE, PLATE, "review"),
    Row(33, "new", PLATE, SURE, CUP, "review"),
    Row(34, "new", LAMP, SURE, None, "review"),
    Row(35, "new", LAMP, SURE, NOWHERE, "review"),
    *(Row(101 + each, "other", CUP, SURE, listed, "review", BEFORE) for each, listed in enumerate((CUP, CUP, PLATE))),
    Row(104, "other", BALL, SURE, BALL, "review", BEFORE),
    Row(105, "other", CUP, SURE, CUP, "review", AFTER),
    Row(106, "other", BALL, (0.15, 0.15, 0.15), BALL, "review", AFTER),
    Row(107, "other", BALL, (0.15, 0.15, 0.15), CUP, "verdict", AFTER),
    Row(108, "other", BALL, SURE, None, "review", AFTER),
)
#: product -> (decision, category)
VERDICTS = {
    19: (Decision.SELLER, BALL),
    20: (Decision.SKIPPED, None),
    21: (Decision.OPEN, None),
    107: (Decision.MODEL, BALL),
}
#: of every product, by its latest prediction
ASSIGNMENTS = {each.product_id: each.assignment for each in ROWS if each.assignment}


@contextmanager
def stored(kind: str, request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store of its own on either database, filled."""
    folder: Path = factory.mktemp("analysts")
    sqlite = f"sqlite:///{folder / 'store.db'}"
    url = sqlite if kind == "sqlite" else create_database(request.getfixturevalue("postgres_url"))
    settings = Settings(database_url=url)
    schema.migrate(settings)
    with closing(Database(url)) as database:
        with database.begin() as connection:
            publish(connection)
        fill(settings, database)
    yield settings


def publish(connection: Connection) -> None:
    """Give a store the tree and the models."""
    keep_categories(connection, [replace(each, name_en=ENGLISH.get(each.name)) for each in TREE.categories])
    for name, version, level, thresholds in MODELS.values():
        named = {f"threshold_level{place}": each for place, each in enumerate(thresholds, start=1)}
        rest = {"picture_side": 180, "metrics": {"level3": 0.5}, "published_at": datetime(2026, 1, version, tzinfo=UTC)}
        connection.execute(insert(models).values(name=name, version=version, level=level, **named, **rest))


def fill(settings: Settings, database: Database) -> None:
    """Write predictions as workers do, then what people and time do to them."""
    for row in ROWS:
        name, version, *_ = MODELS[row.model]
        with closing(Store(settings.model_copy(update={"model_name": name}))) as store:
            store.save(outcome(row, version))
    with closing(Store(settings)) as store:
        store.save(Outcome(Page((7, 8)), rejects=[Reject(each, Reason.NO_PICTURES, "has none") for each in (7, 8)]))
    with database.begin() as connection:
        for row in ROWS:
            if row.at:
                at = {"predicted_at": row.at, "queued_at": row.at}
                connection.execute(update(predictions).where(predictions.c.product_id == row.product_id).values(at))
        rest = {"reviewer": "ada", "decided_at": datetime.now(UTC)}
        for product_id, (decision, category) in VERDICTS.items():
            row = {"product_id": product_id, "decision": decision, "category_id": category, **rest}
            connection.execute(insert(verdicts).values(row))


def outcome(row: Row, version: int) -> Outcome:
    """What a worker came to."""
    score, score2, score1 = row.scores
    level2, level1 = (TREE.ancestor(row.category, level) for level in (2, 1))
    product = Product(row.product_id, (b"%d" % row.product_id,), row.listed)
    made = Prediction(product, version, [(row.category, score)], (level2, score2), (level1, score1), 1)
    return Outcome(Page((row.product_id,)), [made])


def model_id(connection: Connection, key: str) -> int:
    """The id that the store gave a model."""
    name, version, *_ = MODELS[key]
    return connection.execute(
        select(models.c.id).where(models.c.name == name, models.c.version == version)
    ).scalar_one()
