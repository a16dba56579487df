"""Any mixture of ids on a page, against a real MongoDB: each is settled once."""

import uuid
from collections.abc import Iterator

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from tests.pictures import listing
from worker.catalog import Catalog
from worker.contract.messages import Page
from worker.contract.product import ProductId, stand_in_id
from worker.contract.rejects import Reason
from worker.contract.settings import Settings

SOUND = [-(2**63), -1, 0, 1, 2, 2**31, 2**53, 2**53 + 1, 2**63 - 1]
WITHOUT_PICTURES = [3, 2**40]
#: listed under a number that is no integer but equal to one
FLOATS = [4, 2**52]
IDS = st.one_of(
    st.sampled_from([*SOUND, *WITHOUT_PICTURES, *FLOATS, 5, 6, -2]),
    st.integers(-(2**80), 2**80),
    st.text(st.characters(), max_size=4),
    st.sampled_from(["a name", "1", "str('a name')", "float('4.0')"]),
    st.floats(),
    st.none(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)


@pytest.fixture(scope="module")
def catalog(mongo_url: str) -> Iterator[Catalog]:
    """Listings of every kind."""
    made = Settings(mongo_url=mongo_url, mongo_database=f"test_{uuid.uuid4().hex}")
    catalog = Catalog(made)
    with MongoClient(mongo_url) as client:
        products = client[made.mongo_database][made.mongo_collection]
        products.insert_many([listing(each, b"picture") for each in SOUND])
        products.insert_many([{"_id": Int64(each)} for each in WITHOUT_PICTURES])
        products.insert_many([{"_id": float(each), "imgs": [{"picture": b"x"}]} for each in FLOATS])
        products.insert_many([{"_id": each, "imgs": [{"picture": b"x"}]} for each in ("a name", "1")])
        products.insert_one({"_id": Decimal128("7"), "imgs": [{"picture": b"x"}]})
        yield catalog
        client.drop_database(made.mongo_database)
    catalog.close()


def expected(identity: ProductId) -> tuple[int, Reason | None]:
    """The row's key, and why there is a reject; None for a product."""
    if isinstance(identity, str):
        return stand_in_id(identity), Reason.BAD_ID
    if identity in SOUND:
        return identity, None
    if identity in WITHOUT_PICTURES:
        return identity, Reason.NO_PICTURES
    return identity, Reason.BAD_ID if identity in FLOATS else Reason.NOT_FOUND


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(IDS, max_size=20))
def test_every_id_of_a_page_is_a_product_or_a_reject_once(catalog: Catalog, ids: list[object]) -> None:
    """Present or not, twice, of a wrong type, a number that equals a float: in the page's order, none left out."""
    wire = {"schema": 1, "ids": ids, "queue": "new", "queued_at": 1.0}
    page = Page.from_wire(wire)
    products, rejects = catalog.load(page.ids)
    wanted = [expected(identity) for identity in dict.fromkeys(page.ids)]
    assert [each.id for each in products] == [key for key, reason in wanted if reason is None]
    assert [(each.product_id, each.reason) for each in rejects] == [each for each in wanted if each[1] is not None]


def test_an_id_that_equals_a_decimal_is_a_reject(catalog: Catalog) -> None:
    """MongoDB finds Decimal128(7) under 7: a listing like one under 7.0, and the page beside it goes on."""
    products, rejects = catalog.load([1, 7])
    assert [each.id for each in products] == [1]
    assert [(each.product_id, each.reason) for each in rejects] == [(7, Reason.BAD_ID)]
