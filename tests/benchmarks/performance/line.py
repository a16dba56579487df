"""What the parts run on: catalogs of drawn listings, stores, and models that are served."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from sqlalchemy import text

from tests.benchmarks import dumps
from tests.benchmarks.producer.line import Line
from tests.benchmarks.scaling.real import publish
from tests.faults.servers import model_server
from trainer.serve.pace import Pace
from worker.contract.database import Database
from worker.contract.settings import Settings

#: what a worker may send, as settings name it
SIGNATURES = ("pixels", "jpeg")
INSERTED_AT_ONCE = 500


@dataclass(frozen=True)
class Catalog:
    """Listings in MongoDB with ids from 0 on, and a store of their own with nothing in it."""

    settings: Settings
    categories: Path
    #: of each product, by its id
    pictures: list[int]

    @property
    def ids(self) -> range:
        """Return all of them."""
        return range(len(self.pictures))


def catalog(
    servers: Line,
    name: str,
    products: int,
    copied: float = 0.0,
    pictures_each: int | None = None,
    **settings: object,
) -> Catalog:
    """Draw listings, of whose pictures a share is `copied`, into a MongoDB database and return them.

    They have as many pictures as CDiscount's, or `pictures_each`.
    """
    chosen = servers.settings(name, log_format="json", state_folder=str(servers.folder / f"state-{name}"), **settings)
    categories = dumps.write_categories(servers.folder / f"categories-{name}.csv")
    drawn = islice(dumps.listings(copied=copied, pictures_each=pictures_each), products)
    return Catalog(chosen, categories, insert(chosen, drawn))


def insert(settings: Settings, drawn: Iterator[dict[str, Any]]) -> list[int]:
    """Put listings into MongoDB; return how many pictures each has."""
    pictures: list[int] = []
    with MongoClient(settings.mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        while some := list(islice(drawn, INSERTED_AT_ONCE)):
            listings.insert_many(some)
            pictures += [len(each["imgs"]) for each in some]
    return pictures


def write_pictures(served: Catalog, products: int, folder: Path) -> Path:
    """Write the pictures of the first products to files whose names sort in their order; return the folder."""
    folder.mkdir()
    with MongoClient(served.settings.mongo_url) as client:
        listings = client[served.settings.mongo_database][served.settings.mongo_collection]
        first = listings.find({"_id": {"$lt": products}}).sort("_id")
        pictures = [image["picture"] for listing in first for image in listing["imgs"]]
    for number, picture in enumerate(pictures):
        (folder / f"{number:06}.jpg").write_bytes(picture)
    return folder


def serve(servers: Line, served: Catalog, backbone: str = "tiny", pace: Pace | None = None) -> Settings:
    """Publish an untrained network, `tiny` or one of trainer.backbones, and serve it; return settings that lead there.

    One with a pace computes nothing, and takes its time.
    """
    folder = model_folder(servers, served, backbone)
    if not folder.exists():
        folder.mkdir()
        publish(folder, served.categories, served.settings, backbone)
    options = () if pace is None else ("--pace", f"{pace.request_ms},{pace.picture_ms}")
    server = model_server(servers.processes, folder / "models", *options)
    return served.settings.model_copy(update={"serving_address": server.url})


def model_folder(servers: Line, served: Catalog, backbone: str) -> Path:
    """Return where a network is, in the folder `models`."""
    return servers.folder / f"model-{served.settings.mongo_database}-{backbone}"


def by_signature(settings: Settings) -> Iterator[Settings]:
    """Yield settings of workers that send pixels, and of those that send JPEG."""
    for signature in SIGNATURES:
        yield settings.model_copy(update={"signature": signature})


def clear(settings: Settings) -> None:
    """Forget what is predicted."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(text("TRUNCATE predictions, candidates, rejects"))


def count(settings: Settings) -> int:
    """Return how many products have a prediction."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM predictions")) or 0)
