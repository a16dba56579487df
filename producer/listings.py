"""The catalog's collection of listings, as the producer reads and fills it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from worker.contract.dump import CODEC
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings, redact

Listings = Collection[dict[str, Any]]


@contextmanager
def open_listings(settings: Settings) -> Iterator[Listings]:
    """Give the collection; inside, every MongoDB error is told as Unavailable with the server's name."""
    timeout = int(settings.connect_timeout_seconds * 1000)
    client: MongoClient[dict[str, Any]] = MongoClient(
        settings.mongo_url, serverSelectionTimeoutMS=timeout, connectTimeoutMS=timeout, appname="shelver-producer"
    )
    try:
        with client:
            database = client.get_database(settings.mongo_database, codec_options=CODEC)
            yield database.get_collection(settings.mongo_collection)
    except PyMongoError as error:
        place = redact(settings.mongo_url)
        raise Unavailable(f"MongoDB at {place} does not answer (SHELVER_MONGO_URL): {str(error)[:300]}") from error
