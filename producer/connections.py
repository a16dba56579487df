"""The servers that the catalog system's calls need, each connected to when it is first asked."""

import os
from functools import cache, cached_property

from pymongo import MongoClient

from producer.listings import Listings
from worker.contract import settings as configuration
from worker.contract.database import Database
from worker.contract.dump import CODEC
from worker.contract.sender import Pages
from worker.contract.settings import Settings


class Connections:
    """Redis, the SQL store and MongoDB, for any number of threads. Build it after fork: no connection survives one."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.pages = Pages(settings)
        self.database = Database(settings.database_url)

    @cached_property
    def listings(self) -> Listings:
        """The catalog's collection; an option in the URL that MongoDB does not know raises PyMongoError here."""
        timeout = int(self.settings.connect_timeout_seconds * 1000)
        client: MongoClient[dict[str, object]] = MongoClient(
            self.settings.mongo_url,
            connect=False,
            serverSelectionTimeoutMS=timeout,
            connectTimeoutMS=timeout,
            socketTimeoutMS=3 * timeout,  # of one answer; 100,000 ids take a second
            appname="shelver-producer",
        )
        database = client.get_database(self.settings.mongo_database, codec_options=CODEC)
        return database.get_collection(self.settings.mongo_collection)

    def close(self) -> None:
        """Close the connections."""
        self.pages.close()
        self.database.close()
        if "listings" in vars(self):
            self.listings.database.client.close()


def of_this_process() -> Connections:
    """Return the connections that this process keeps, by settings from the environment; raises SettingsError.

    A child of a fork gets its own and leaves its parent's untouched: to close one here would close it there, too.
    Threads that come first at the same time may each build one; the last is kept.
    """
    return _of_process(os.getpid())


@cache
def _of_process(_: int) -> Connections:
    return Connections(configuration.load())
