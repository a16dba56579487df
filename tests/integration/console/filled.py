"""What the shared console shows: two models' answers of just now, on a tree whose names hold HTML."""

from contextlib import closing
from datetime import UTC, datetime

from pymongo import MongoClient
from sqlalchemy import update

from deploy.console.text import both_names
from tests.integration.conftest import register
from tests.integration.console.stored import BALL, CUP, LAMP, PLATE, SHELVES, Stored, store
from tests.pictures import listing
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import categories, predictions

#: at the end of every category's French name: a browser that took it for HTML would ask a stranger
HOSTILE = ' <img src="http://evil.example/x.png">'
ENGLISH = {category_id: names[-1][1] for category_id, names in SHELVES.items()}
#: id -> the seller's shelf, where the latest model says CUP; it is the surest of the first
DIFFER = {1: PLATE, 2: PLATE, 3: LAMP, 4: PLATE, 5: BALL, 6: PLATE, 7: LAMP, 8: PLATE}
BALLS = range(11, 23)


def fill(settings: Settings, run: Run) -> None:
    """Fill a line whose store knows version 1 of the run's model: two versions' predictions, and listings."""
    register(run, settings, 2)
    sellers = DIFFER | dict.fromkeys(BALLS, BALL)
    rows = [Stored(each, CUP, 0.99 - each / 100, shelf, 2) for each, shelf in DIFFER.items()]
    rows += [Stored(each, BALL, 0.9, BALL, 2) for each in BALLS]
    rows += [Stored(each, LAMP, 0.6, shelf, 1, is_latest=False) for each, shelf in sellers.items()]
    with closing(Database(settings.database_url)) as database:
        store(database, rows)
        with database.begin() as connection:
            connection.execute(update(predictions).values(queued_at=datetime.now(UTC), predicted_at=datetime.now(UTC)))
            connection.execute(update(categories).values(name=categories.c.name + HOSTILE))
            for category_id, name in ENGLISH.items():
                connection.execute(update(categories).where(categories.c.id == category_id).values(name_en=name))
    with MongoClient(settings.mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        listings.insert_many(listing(each, category=shelf) for each, shelf in sellers.items())


def shown(category_id: int, run: Run) -> str:
    """Return the names of a category as a person reads them."""
    return both_names(run.taxonomy.by_id[category_id].name + HOSTILE, ENGLISH.get(category_id))
