"""What holds for any document, message and dump, searched by hypothesis; more is in the tests of each module."""

import base64
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from worker.contract.dump import CODEC, DumpError, Record, read
from worker.contract.messages import SCHEMA, MessageError, NewerSchema, Page, Queue
from worker.contract.product import INT64_LIMIT, DocumentError, Product, stand_in_id, to_product_id
from worker.load import queued_at

#: more than the reject's reader wants to see, and more than any detail of ours has
LONGEST_DETAIL = 3000

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
BSON_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-INT64_LIMIT, INT64_LIMIT - 1).map(Int64),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.binary(max_size=8),
    st.builds(Binary, st.binary(min_size=16, max_size=16), st.sampled_from([0, 1, 2, 3, 4, 5, 6, 128, 255])),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.datetimes(),
    st.integers(-INT64_LIMIT, INT64_LIMIT - 1).map(DatetimeMS),
    st.decimals(places=3, min_value=-(10**20), max_value=10**20).map(Decimal128),
    st.sampled_from([MinKey(), MaxKey(), Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("1E+6000")]),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(Regex, NAMES, st.sampled_from(["", "i", "imsx", 0])),
    st.builds(Code, NAMES, st.one_of(st.none(), st.just({"x": 1}))),
    st.builds(DBRef, NAMES, st.integers(0, 9)),
)
BSON_VALUES = st.recursive(
    BSON_SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
IMAGES = st.lists(
    st.one_of(BSON_VALUES, st.fixed_dictionaries({"picture": st.one_of(st.binary(max_size=9), BSON_VALUES)})),
    max_size=4,
)
DOCUMENTS = st.one_of(
    st.dictionaries(st.one_of(NAMES, st.sampled_from(["_id", "category_id", "imgs"])), BSON_VALUES, max_size=4),
    st.fixed_dictionaries(
        {"_id": BSON_SCALARS, "imgs": st.one_of(IMAGES, BSON_VALUES)}, optional={"category_id": BSON_SCALARS}
    ),
)
#: few and short, so that many lists of them have equal bytes but other bounds
PICTURES = st.lists(
    st.one_of(st.none(), st.sampled_from([b"", b"-", b"\0", b"a", b"-\0", b"\0" * 7 + b"\1a", b"\0" * 8])), max_size=5
).map(tuple)


def storable(text: str) -> bool:
    """Whether PostgreSQL and MongoDB could keep it: no half surrogate pair, which UTF-8 cannot spell."""
    return text.encode() is not None and len(text) < LONGEST_DETAIL


def product_or_reason(document: dict[str, Any]) -> Product | str:
    """What a worker makes of a document: anything else than the two fails the test."""
    try:
        return Product.from_document(document)
    except DocumentError as error:
        return error.detail


@settings(deadline=None, max_examples=400)
@given(DOCUMENTS)
def test_any_document_of_mongodb_is_a_product_or_a_reason(document: dict[str, Any]) -> None:
    """Every type that BSON has, wherever it stands: a product whose rows can be stored, or a detail that can."""
    found = product_or_reason(bson.decode(bson.encode(document), CODEC))
    if isinstance(found, str):
        assert storable(found)
        return
    assert -INT64_LIMIT <= found.id < INT64_LIMIT
    assert found.category_id is None or -INT64_LIMIT <= found.category_id < INT64_LIMIT
    assert {type(found.id), *map(type, found.pictures)} <= {int, bytes, type(None)}
    assert -INT64_LIMIT <= found.picture_key < INT64_LIMIT


@settings(deadline=None, max_examples=400)
@given(PICTURES, PICTURES, st.integers(), st.integers())
def test_fingerprints_are_equal_as_the_pictures_are(
    one: tuple[bytes | None, ...], other: tuple[bytes | None, ...], first: int, second: int
) -> None:
    """Equal pictures, equal fingerprint and key; other pictures, though the same bytes in a row, another."""
    made, again = Product(first, one, second), Product(second, other, first)
    assert (made.fingerprint == again.fingerprint) == (one == other)
    assert (made.picture_key == again.picture_key) == (one == other)


@settings(deadline=None)
@given(st.one_of(BSON_VALUES, st.integers(), st.text()))
def test_any_value_is_an_id_or_a_text_with_a_stand_in(value: object) -> None:
    """A 64-bit integer stays one; all else has a text that is itself an id from then on, and a number below zero."""
    found = to_product_id(value)
    if isinstance(found, int):
        assert found == value
        assert not isinstance(value, bool)
    else:
        assert found.isascii()
        assert -INT64_LIMIT <= stand_in_id(found) < 0


#: with what kombu makes of {"__type__": …} on the wire
JSON_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(st.characters(), max_size=300),
    st.datetimes(),
    st.uuids(),
    st.decimals(),
    st.binary(max_size=6),
)
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
NEARLY_PAGES = st.fixed_dictionaries(
    {
        "schema": st.one_of(st.just(SCHEMA), st.integers(-1, 3), JSON_VALUES),
        "ids": st.one_of(st.lists(st.one_of(st.integers(), JSON_VALUES), max_size=5), JSON_VALUES),
        "queue": st.one_of(st.sampled_from(list(Queue)).map(str), JSON_VALUES),
        "queued_at": st.one_of(st.floats(0, 4e9), JSON_VALUES),
    }
)


@settings(deadline=None, max_examples=400)
@given(st.one_of(JSON_VALUES, NEARLY_PAGES))
def test_any_message_that_celery_delivers_is_a_page_or_told(value: object) -> None:
    """Also dates, UUIDs, decimals and bytes, which kombu makes of JSON; a later schema alone goes back to the queue."""
    message = kombu_json.loads(kombu_json.dumps(value))
    try:
        page = Page.from_wire(message)
    except NewerSchema:
        assert message["schema"] > SCHEMA
    except MessageError:
        return
    else:
        assert len(page.ids) == len(message["ids"])
        assert all(isinstance(each, str) or -INT64_LIMIT <= each < INT64_LIMIT for each in page.ids)
        assert math.isfinite(page.queued_at)


@settings(deadline=None, max_examples=400)
@given(NEARLY_PAGES)
@example(Page(("\ud800" * 250,)).to_wire())
@example(Page((1,)).to_wire() | {"ids": [["é" * 200]]})
@example(Page((1,)).to_wire() | {"schema": Decimal("sNaN")})
def test_a_page_that_was_read_is_read_the_same_again(value: object) -> None:
    """A page that is cut and sent on keeps its ids: an id has one stand-in, so one reject, whatever way it took."""
    try:
        page = Page.from_wire(kombu_json.loads(kombu_json.dumps(value)))
    except MessageError:
        return
    assert Page.from_wire(json.loads(json.dumps(page.to_wire()))) == page


def as_celery_stores(body: object) -> str:
    return json.dumps({"body": base64.b64encode(json.dumps(body).encode()).decode(), "headers": {}})


def plain(value: object) -> object:
    """The value with what is no JSON by itself written out."""
    return json.loads(json.dumps(value, default=str))


ANYTHING = JSON_VALUES.map(plain)
MESSAGES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "null", "[]", "{", '{"body": 5}', '{"body": null}', '{"body": "é"}', '{"body": "====", "x": 1}']
    ),
    ANYTHING,
    ANYTHING.map(json.dumps),
    ANYTHING.map(as_celery_stores),
    ANYTHING.map(lambda body: {"body": body}),
    st.lists(ANYTHING, max_size=3).map(lambda body: as_celery_stores([body, {}, {}])),
    NEARLY_PAGES.map(plain).map(lambda page: as_celery_stores([[page], {}, {}])),
)


@settings(deadline=None, max_examples=400)
@given(MESSAGES)
def test_the_age_of_any_message_is_a_moment_or_unknown(message: object) -> None:
    """`status` looks at whatever lies on the queues: nothing there may keep it from answering."""
    found = queued_at(message)
    assert found is None or (isinstance(found, float) and math.isfinite(found))


@given(st.lists(st.integers(-INT64_LIMIT, INT64_LIMIT - 1), max_size=5).map(tuple), st.sampled_from(Queue))
def test_the_age_of_a_page_is_when_it_was_queued(ids: tuple[int, ...], queue: Queue) -> None:
    """As text, and decoded already, as Celery's hash of unacknowledged pages has it."""
    stored = as_celery_stores([[Page(ids, queue, 1.5).to_wire()], {}, {}])
    assert queued_at(stored) == queued_at(json.loads(stored)) == 1.5


@pytest.mark.parametrize("message", ["[" * 5000, json.dumps({"body": base64.b64encode(b"[" * 5000).decode()})])
def test_a_message_nested_without_end_is_no_page(message: str) -> None:
    """Python's JSON reader gives up at a thousand levels, by an error that is no ValueError."""
    assert queued_at(message) is None


def read_all(path: Path) -> tuple[list[Record], DumpError | None]:
    records: list[Record] = []
    try:
        for record in read(path):
            records.append(record)
    except DumpError as error:
        return records, error
    return records, None


CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["set", "cut", "insert"]), st.binary(min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=400)
@given(st.lists(DOCUMENTS.map(bson.encode), min_size=1, max_size=3), CHANGES)
def test_a_mangled_dump_is_products_reasons_and_damage(
    tmp_path_factory: pytest.TempPathFactory, documents: list[bytes], changes: list[tuple[int, str, bytes]]
) -> None:
    """Any type, any bytes changed, lost or added: documents up to the damage, each a product or a reason."""
    content = bytearray(b"".join(documents))
    for place, kind, value in changes:
        content[place : place + (0 if kind == "insert" else len(value))] = b"" if kind == "cut" else value
    path = tmp_path_factory.getbasetemp() / "mangled.bson"
    path.write_bytes(content)
    records, damage = read_all(path)
    read_until = len(content) if damage is None else damage.offset
    assert b"".join(record.raw for record in records) == content[:read_until]
    for record in records:
        found = product_or_reason(record.document)
        assert isinstance(found, Product) or storable(found)


def test_decimals_do_not_pass_for_moments() -> None:
    """kombu reads {"__type__": "decimal"} as a Decimal, which compares like a number and is none of JSON's."""
    message = Page((1,)).to_wire() | {"queued_at": Decimal("1.5")}
    with pytest.raises(MessageError, match="queued_at"):
        Page.from_wire(kombu_json.loads(kombu_json.dumps(message)))
