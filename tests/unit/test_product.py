"""A product, as read from a document that a seller's system may have mangled."""

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import jpeg, listing
from worker.contract.dump import CODEC
from worker.contract.product import DocumentError, Product, stand_in_id, to_product_id
from worker.contract.rejects import Reason

OBJECT_ID = ObjectId("6b07b88c0000000000000000")
MOMENT = datetime(2026, 11, 26, tzinfo=UTC)
PICTURE = b"\xff\xd8\xff picture"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.binary(max_size=5).map(lambda data: Binary(data, 128)),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.datetimes(),
)
KEYS = st.sampled_from(("_id", "category_id", "imgs", "picture", "other"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def test_a_document_from_mongodb_becomes_a_product() -> None:
    """Ids, the seller's category and the pictures come out as plain Python values, in catalog order."""
    stored = bson.encode(listing(7, jpeg(1), jpeg(2), category=1_000_010_653))
    product = Product.from_document(bson.decode(stored, CODEC))
    assert product == Product(7, (jpeg(1), jpeg(2)), 1_000_010_653)
    assert (type(product.id), type(product.category_id)) == (int, int)


def test_a_new_listing_has_no_category() -> None:
    """A document without category_id is a product all the same."""
    assert Product.from_document(listing(7, PICTURE)).category_id is None


def test_other_fields_do_no_harm() -> None:
    """What else a document holds is not looked at."""
    document = listing(7, PICTURE) | {"title": "x", "imgs2": 5}
    assert Product.from_document(document) == Product(7, (PICTURE,))


@pytest.mark.parametrize("value", [0, 1, -1, 2**31, 2**63 - 1, -(2**63), Int64(5), Int64(2**62)])
def test_every_64_bit_integer_is_an_id(value: int) -> None:
    """An integer id keeps its value and is a plain int, even from a huge Int64."""
    found = to_product_id(value)
    assert found == value
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    ["12", "", 1.0, float("nan"), True, None, 2**63, -(2**63) - 1, b"12", OBJECT_ID, Decimal128("1"), {"a": 1}, [1]],
    ids=repr,
)
def test_any_other_id_is_told_by_type(value: object) -> None:
    """An id that is no 64-bit integer ends as a reject that says what was found."""
    with pytest.raises(DocumentError, match=f"_id is {type(value).__name__}") as caught:
        Product.from_document({"_id": value, "imgs": [{"picture": PICTURE}]})
    assert caught.value.reason is Reason.BAD_ID
    assert caught.value.detail == str(caught.value)


def test_a_missing_id_is_told() -> None:
    """A document without _id is a bad id, not a crash."""
    with pytest.raises(DocumentError, match="NoneType") as caught:
        Product.from_document({"imgs": [{"picture": PICTURE}]})
    assert caught.value.reason is Reason.BAD_ID


def test_a_long_id_is_cut() -> None:
    """A megabyte of text in place of an id does not become a megabyte of reject."""
    assert len(str(to_product_id("x" * 2**20))) < 300


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (None, "missing"),
        ([], "empty"),
        ((), "empty"),
        ("http://shop/1.jpg", "a str, not a list"),
        (b"\xff\xd8\xff", "a bytes, not a list"),
        ({"picture": PICTURE}, "a dict, not a list"),
        (5, "a int, not a list"),
    ],
    ids=repr,
)
def test_no_list_of_pictures_is_told(images: object, told: str) -> None:
    """A listing whose imgs is no list with something in it has no pictures, and the reject says what stands there."""
    with pytest.raises(DocumentError, match=f"imgs is {told}") as caught:
        Product.from_document({"_id": 1, "imgs": images})
    assert caught.value.reason is Reason.NO_PICTURES


@pytest.mark.parametrize(
    "image",
    [{}, None, "x", 5, b"\xff\xd8\xff", [PICTURE], {"picture": None}, {"picture": "text"}, {"picture": [1, 2]}],
    ids=repr,
)
def test_a_picture_that_is_not_bytes_keeps_its_place(image: object) -> None:
    """One unusable picture is None where it stood; the others keep their index."""
    document = {"_id": 1, "imgs": [{"picture": PICTURE}, image, {"picture": PICTURE}]}
    assert Product.from_document(document).pictures == (PICTURE, None, PICTURE)


@pytest.mark.parametrize("subtype", [0, 2, 128])
def test_binary_of_any_subtype_is_bytes(subtype: int) -> None:
    """Drivers mark binary in several ways; all of them are a picture, as plain bytes."""
    stored = bson.encode({"_id": 1, "imgs": [{"picture": Binary(PICTURE, subtype)}]})
    (picture,) = Product.from_document(bson.decode(stored, CODEC)).pictures
    assert picture == PICTURE
    assert type(picture) is bytes


@pytest.mark.parametrize("category", ["1000", 1.5, True, None, OBJECT_ID, 2**63, [1], MOMENT], ids=repr)
def test_a_category_of_another_type_is_no_category(category: object) -> None:
    """A seller's category that is no integer does not cost the product its prediction."""
    assert Product.from_document(listing(1, PICTURE) | {"category_id": category}).category_id is None


@settings(deadline=None)
@given(st.one_of(st.dictionaries(KEYS, VALUES), st.fixed_dictionaries({"_id": st.integers(), "imgs": VALUES})))
def test_no_document_raises_anything_else(document: dict[str, Any]) -> None:
    """Whatever a document holds, it is a product that can be fingerprinted or a DocumentError."""
    try:
        product = Product.from_document(document)
    except DocumentError:
        return
    assert type(product.id) is int
    assert len(product.pictures) == len(document["imgs"]) > 0
    assert len(product.fingerprint) == 16


def test_the_fingerprint_never_changes() -> None:
    """Stored fingerprints are compared with new ones: another way of counting would predict the whole catalog again."""
    assert Product(1, (b"a", b"bc")).fingerprint.hex() == "f657d58ed59382298356d21c95353a31"


def test_the_fingerprint_is_of_the_pictures_alone() -> None:
    """Two listings with the same pictures have one fingerprint, whatever their ids and categories."""
    assert Product(1, (b"a", None), 5).fingerprint == Product(2, (b"a", None)).fingerprint


def test_other_pictures_other_fingerprint() -> None:
    """Order, boundaries, repeats, empty and missing pictures all tell."""
    variants: list[tuple[bytes | None, ...]] = [
        (b"ab", b"c"),
        (b"c", b"ab"),
        (b"a", b"bc"),
        (b"abc",),
        (b"abc", b""),
        (b"abc", None),
        (None, b"abc"),
        (b"abc", b"abc"),
        (b"",),
        (None,),
        (None, None),
        (b"-",),
    ]
    assert len({Product(1, pictures).fingerprint for pictures in variants}) == len(variants)


@pytest.mark.parametrize("text", ["", "str('abc')", "é", "x" * 10_000])
def test_a_stand_in_id_is_below_zero(text: str) -> None:
    """A listing with an id that is no number is kept where no real product can be: -2**63 to -1."""
    assert -(2**63) <= stand_in_id(text) < 0
    assert stand_in_id(text) == stand_in_id(text)


def test_stand_in_ids_are_stable_and_differ() -> None:
    """The same listing meets its own row again, tomorrow and on another machine; another listing does not."""
    assert stand_in_id("str('abc')") == -5716576266724769831
    assert len({stand_in_id(f"id-{number}") for number in range(1000)}) == 1000


def test_half_a_surrogate_pair_has_a_stand_in_too() -> None:
    r"""JSON can spell text that UTF-8 cannot ("\ud800"); such an id is a reject like any other, not an endless page."""
    assert stand_in_id("\ud800") < 0
