"""What is listed is enqueued: by the change stream, whatever the catalog calls its fields."""

import time
from contextlib import closing

import pytest
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import MongoClient

from producer.listings import ListingsError, open_listings
from producer.watching.watcher import Watcher
from tests.integration.producer.conftest import Listings, Watch
from tests.integration.producer.positions import position
from tests.integration.queues import ids, queued, wait_for
from tests.pictures import listing
from worker.catalog import Catalog
from worker.contract.errors import Unavailable
from worker.contract.messages import Queue
from worker.contract.settings import Settings


def wait_until_watched(settings: Settings) -> None:
    wait_for(lambda: position(settings) is not None)


def test_what_is_listed_is_enqueued(settings: Settings, listings: Listings, watching: Watch) -> None:
    """Inserts and replacements, old documents not; pages fill up under load and do not wait when idle."""
    listings.insert_one(listing(100))
    watching()
    wait_until_watched(settings)
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings)) == [1])
    listings.insert_many([listing(each) for each in range(2, 12)])
    listings.replace_one({"_id": 100}, listing(100, b"other"))
    listings.insert_one({"_id": "a name"})
    wait_for(lambda: len(ids(queued(settings))) == 13)
    assert ids(queued(settings)) == [*range(1, 12), 100, "str('a name')"]
    assert max(len(page.ids) for page in queued(settings)) == settings.page_size


def test_an_update_that_touches_pictures_is_enqueued(settings: Settings, listings: Listings, watching: Watch) -> None:
    """However it is written: the whole list, one picture, one more, one less, none. Other updates are not."""
    touching = [
        {"$set": {"imgs": [{"picture": b"new"}]}},
        {"$set": {"imgs.0.picture": b"new"}},
        {"$push": {"imgs": {"picture": b"more"}}},
        {"$pop": {"imgs": 1}},
        {"$pull": {"imgs": {"picture": b"b"}}},
        {"$unset": {"imgs.0.picture": 1}},
        {"$unset": {"imgs": 1}},
        {"$rename": {"imgs": "photos"}},
        [{"$set": {"imgs": {"$slice": ["$imgs", 1]}}}],
    ]
    others = [{"$set": {"title": "imgs"}}, {"$set": {"imgs2": 1}}, {"$set": {"x.imgs": 1}}, {"$inc": {"price": 1}}]
    listings.insert_many([listing(each, b"a", b"b") for each in range(100)])
    watching()
    wait_until_watched(settings)
    for number, update in enumerate([*others, *touching]):
        listings.update_one({"_id": number}, update)
    listings.insert_one(listing(999))
    wait_for(lambda: 999 in ids(queued(settings)))
    assert ids(queued(settings)) == [*range(len(others), len(others) + len(touching)), 999]


def test_a_catalog_with_other_names(settings: Settings, watching: Watch) -> None:
    """Collection, id field, picture path and filter are settings, for the watcher as for the worker's reading."""
    names = {
        "mongo_collection": "offers",
        "mongo_id_field": "offer.sku",
        "mongo_picture_path": "media.photos.jpeg",
        "mongo_filter": '{"$or": [{"offer.state": "live"}, {"offer.state": {"$exists": false}}]}',
        "mongo_order_field": "offer.sku",
    }

    def offer(sku: object, state: str) -> dict[str, object]:
        return {"offer": {"sku": sku, "state": state}, "media": {"photos": [{"jpeg": b"a"}, {"jpeg": b"b"}]}}

    with MongoClient(settings.mongo_url) as client:
        offers = client[settings.mongo_database]["offers"]
        offers.create_index({"offer.sku": 1})
        watching(**names)
        wait_until_watched(settings)
        offers.insert_many([offer(Int64(1), "draft"), offer(2, "live"), offer(3, "sold")])
        wait_for(lambda: ids(queued(settings)) == [2])
        offers.update_one({"offer.sku": 1}, {"$set": {"offer.state": "live"}})
        wait_for(lambda: ids(queued(settings)) == [2, 1])
        offers.update_one({"offer.sku": 2}, {"$set": {"media.photos.1.jpeg": b"c"}})
        offers.update_one({"offer.sku": 3}, {"$unset": {"offer.state": 1}})
        offers.update_one({"offer.sku": 1}, {"$set": {"media": {"photos": []}}})
        offers.update_one({"offer.sku": 1}, {"$set": {"media.title": "x"}})
        without_sku = offers.insert_one({"offer": {"state": "live"}, "media": {}}).inserted_id
        offers.insert_one(offer("a name", "live"))
        wait_for(lambda: len(ids(queued(settings))) >= 6)
        assert ids(queued(settings)) == [2, 1, 2, 3, 1, "str('a name')"]
        offers.update_one({"_id": without_sku}, {"$set": {"offer.sku": 77}})
        wait_for(lambda: ids(queued(settings))[6:] == [77])
        with closing(Catalog(settings.model_copy(update=names))) as catalog:
            products, rejects = catalog.load([3, 1, 2])
        assert [(each.id, each.pictures) for each in products] == [(3, (b"a", b"b")), (2, (b"a", b"c"))]
        assert [each.detail for each in rejects] == ["media.photos is empty"]
        client.drop_database(settings.mongo_database)


def test_a_filter_by_an_expression_is_asked_after_each_update(
    settings: Settings, listings: Listings, watching: Watch
) -> None:
    """Where it cannot be told which fields count, all of them do."""
    listings.insert_many([{**listing(1), "sold": 5, "stock": 3}, {**listing(2), "sold": 0, "stock": 3}])
    watching(mongo_filter='{"$expr": {"$lt": ["$sold", "$stock"]}}')
    wait_until_watched(settings)
    listings.update_one({"_id": 2}, {"$set": {"sold": 9}})
    listings.update_one({"_id": 1}, {"$set": {"stock": 9}})
    wait_for(lambda: ids(queued(settings)) == [1])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mongo_filter": '{"$nonsense": 1}'}, "refuses the query.*nonsense.*mend the filter"),
        ({"mongo_order_field": "listed_at"}, "no index by listed_at .SHELVER_MONGO_ORDER_FIELD.*createIndex"),
    ],
)
def test_a_setting_that_does_not_fit_ends_the_watcher(
    settings: Settings, listings: Listings, changes: dict[str, str], told: str
) -> None:
    """One sentence with the remedy, at the start and not at the first listing."""
    import threading

    listings.insert_one(listing(1))
    with pytest.raises(ListingsError, match=told):
        Watcher(settings.model_copy(update=changes), threading.Event()).run()


def test_a_document_as_large_as_mongodb_takes(settings: Settings, listings: Listings, watching: Watch) -> None:
    """Its change would be larger than a document may be; its id alone is not."""
    watching()
    wait_until_watched(settings)
    listings.insert_one(listing(1, b"x" * (16 * 2**20 - 200)))
    listings.update_one({"_id": 1}, {"$set": {"imgs.0.picture": b"y" * (16 * 2**20 - 200)}})
    listings.insert_one(listing(2))
    wait_for(lambda: ids(queued(settings))[-1:] == [2])
    assert set(ids(queued(settings))) == {1, 2}


def test_a_collection_that_is_dropped(settings: Settings, listings: Listings, watching: Watch) -> None:
    """The stream ends with the collection; the watcher opens another, and so does one that is started later."""
    stop = watching()
    wait_until_watched(settings)
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings)) == [1])
    listings.drop()
    time.sleep(1)
    listings.insert_one(listing(2))
    wait_for(lambda: 2 in ids(queued(settings)))
    stop()
    listings.drop()
    listings.insert_one(listing(3))
    watching()
    wait_for(lambda: 3 in ids(queued(settings)))


def test_a_watcher_goes_on_where_it_was(settings: Settings, listings: Listings, watching: Watch) -> None:
    """What is listed while no watcher runs is enqueued by the next one, once; not by one that begins now."""
    stop = watching()
    wait_until_watched(settings)
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings)) == [1])
    stop()
    listings.insert_many([listing(2), listing(3)])
    stop = watching()
    wait_for(lambda: ids(queued(settings)) == [1, 2, 3])
    stop()
    listings.insert_one(listing(4))
    before = position(settings)
    watching(from_now=True)
    wait_for(lambda: position(settings) != before)
    listings.insert_one(listing(5))
    wait_for(lambda: ids(queued(settings)) == [1, 2, 3, 5])


def test_the_position_is_stored_after_the_page_is_enqueued(
    settings: Settings, listings: Listings, watching: Watch
) -> None:
    """While Redis is away nothing is skipped: the position stays before the listings that are not enqueued."""
    stop = watching(redis_url="redis://127.0.0.1:9/0", connect_timeout_seconds=0.2)
    wait_until_watched(settings)
    before = position(settings)
    listings.insert_many([listing(1), listing(2)])
    time.sleep(2)
    assert position(settings) == before
    stop()
    watching()
    wait_for(lambda: ids(queued(settings)) == [1, 2])
    wait_for(lambda: position(settings) != before)


def test_a_mongodb_that_is_away_is_told_by_its_variable(settings: Settings) -> None:
    """The command says which server, without the password in its URL."""
    away = settings.model_copy(
        update={"mongo_url": "mongodb://user:secret@127.0.0.1:9/", "connect_timeout_seconds": 0.2}
    )
    with pytest.raises(Unavailable, match="SHELVER_MONGO_URL") as told, open_listings(away) as source:
        source.find_one()
    assert "secret" not in str(told.value)


def test_strange_ids_are_enqueued_by_name(settings: Settings, listings: Listings, watching: Watch) -> None:
    """Whatever an _id is, a worker gets to say what is wrong with it."""
    strange = ObjectId()
    watching()
    wait_until_watched(settings)
    listings.insert_many([{"_id": strange}, {"_id": 4.5}, {"_id": {"shop": 7}}])
    wait_for(lambda: len(ids(queued(settings))) == 3)
    assert ids(queued(settings)) == [f"ObjectId('{strange}')", "float('4.5')", "dict(\"{'shop': 7}\")"]
    assert queued(settings, Queue.BACKFILL) == []


def test_keys_that_look_alike_are_told_apart(settings: Settings, listings: Listings, watching: Watch) -> None:
    """The _id may be a long text, where the product id is another field."""
    watching(mongo_id_field="sku")
    wait_until_watched(settings)
    listings.insert_many([{"_id": "u" * 300 + str(each), "sku": each} for each in range(4)])
    wait_for(lambda: ids(queued(settings)) == [0, 1, 2, 3])


def test_a_watcher_that_stood_by_takes_the_position_over(
    settings: Settings, listings: Listings, watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although both were started to begin now: now was when the first of them began."""
    stop = watching(from_now=True)
    wait_until_watched(settings)
    second = watching(from_now=True)
    time.sleep(1)
    listings.insert_one(listing(1))
    wait_for(lambda: ids(queued(settings)) == [1])
    stop()
    listings.insert_one(listing(2))
    wait_for(lambda: ids(queued(settings)) == [1, 2])
    second()
