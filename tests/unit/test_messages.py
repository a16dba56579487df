"""The message on the queue: what is written is read back, and what is no page says so."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.contract.messages import SCHEMA, TASK, MessageError, Page, Queue

SOUND: dict[str, Any] = {"schema": 1, "ids": [1], "queue": "new", "queued_at": 1.5}

TEXT = st.text(st.characters(), max_size=6)  # half surrogate pairs too
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
IDS = st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20)), max_size=70).map(tuple)
MOMENTS = st.floats(0, 4e9)


def test_names_on_the_wire_never_change() -> None:
    """Pages that wait in Redis, and producers of another release, name these."""
    assert (TASK, SCHEMA, list(Queue)) == ("shelver.classify_page", 1, ["new", "backfill"])


def test_the_wire_form_is_four_fields() -> None:
    """A page is readable in Redis by whoever has to look there."""
    page = Page((1, "str('abc')"), Queue.BACKFILL, 1.5)
    assert page.to_wire() == {"schema": 1, "ids": [1, "str('abc')"], "queue": "backfill", "queued_at": 1.5}


def test_when_its_products_were_listed_travels_where_it_is_known() -> None:
    """Older workers read past it, and pages of older producers do without."""
    page = Page((1,), Queue.NEW, 1.5, listed_at=0.5)
    assert page.to_wire() == SOUND | {"listed_at": 0.5}
    assert Page.from_wire(page.to_wire()) == page
    assert Page.from_wire(SOUND).listed_at is Page.from_wire(SOUND | {"listed_at": None}).listed_at is None


def test_a_page_knows_when_it_was_queued() -> None:
    """By default a page is for a person who waits, from now on."""
    before = time.time()
    page = Page((1,))
    assert page.queue is Queue.NEW
    assert before <= page.queued_at <= time.time()


@settings(deadline=None)
@given(st.builds(Page, IDS, st.sampled_from(Queue), MOMENTS, st.none() | MOMENTS))
def test_round_trip_through_json(page: Page) -> None:
    """Any page comes back equal after a way through JSON, with plain strings on the wire."""
    wire = page.to_wire()
    assert type(wire["queue"]) is str
    assert Page.from_wire(json.loads(json.dumps(wire))) == page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "bool('True')"),
        (1.5, "float('1.5')"),
        (None, "NoneType('None')"),
        ({"$oid": "a"}, "dict(\"{'$oid': 'a'}\")"),
        ([1], "list('[1]')"),
        (2**63, "int('9223372036854775808')"),
        ("str('abc')", "str('abc')"),
    ],
    ids=repr,
)
def test_an_id_of_a_wrong_type_survives_as_text(value: object, text: str) -> None:
    """One odd id does not spoil the page: it arrives as text, in its place, to be rejected by name."""
    assert Page.from_wire(SOUND | {"ids": [1, value, 2]}).ids == (1, text, 2)


def test_half_a_surrogate_pair_becomes_text_that_can_be_stored() -> None:
    r"""JSON can spell what UTF-8 cannot ("\ud800"): such an id is a reject like any other, not an endless page."""
    (identity,) = Page.from_wire(json.loads(json.dumps(SOUND | {"ids": ["a\ud800"]}))).ids
    assert isinstance(identity, str)
    assert identity.encode().startswith(b"a")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("schema", None, "page schema is None; this worker reads schema 1"),
        ("schema", 2, "page schema is 2"),
        ("schema", "1", "page schema is '1'"),
        ("schema", [1], r"page schema is \[1\]"),
        ("ids", None, "ids is a NoneType, not a list"),
        ("ids", "12", "ids is a str"),
        ("ids", {"1": 1}, "ids is a dict"),
        ("ids", 1, "ids is a int"),
        ("queue", None, "queue is None, not one of new, backfill"),
        ("queue", "New", "queue is 'New'"),
        ("queue", 5, "queue is 5"),
        ("queue", ["new"], r"queue is \['new'\]"),
        ("queue", {"new": 1}, "queue is {'new': 1}"),
        ("queued_at", None, "queued_at is None, not seconds since the epoch"),
        ("queued_at", "1.5", "queued_at is '1.5'"),
        ("queued_at", True, "queued_at is True"),
        ("queued_at", [], r"queued_at is \[\]"),
        ("queued_at", float("nan"), "queued_at is nan"),
        ("queued_at", float("inf"), "queued_at is inf"),
        ("queued_at", 1e300, r"queued_at is 1e\+300"),
        pytest.param("queued_at", 10**400, "queued_at is", id="queued_at-huge"),
    ],
)
def test_a_bad_field_is_told_by_name(field: str, value: object, told: str) -> None:
    """Whoever sent it learns which field is wrong and what stands in it."""
    with pytest.raises(MessageError, match=told):
        Page.from_wire(SOUND | {field: value})


@pytest.mark.parametrize("value", ["1.5", -1, True, float("nan"), 1e300, 10**400, [], {"$date": 1}])
def test_a_moment_of_listing_that_is_none_drops_no_page(value: object) -> None:
    """Metrics alone read it: it counts as not known."""
    assert Page.from_wire(SOUND | {"listed_at": value}) == Page.from_wire(SOUND)


@pytest.mark.parametrize("field", list(SOUND))
def test_a_missing_field_is_told_by_name(field: str) -> None:
    """A page with a field left out is refused, not guessed."""
    with pytest.raises(MessageError, match=field):
        Page.from_wire({name: value for name, value in SOUND.items() if name != field})


@pytest.mark.parametrize("message", [None, "text", 5, [], [SOUND], True], ids=repr)
def test_a_message_that_is_no_object_is_told(message: object) -> None:
    """Something else on the queue is named by its type."""
    with pytest.raises(MessageError, match=f"not a {type(message).__name__}"):
        Page.from_wire(message)


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(
        JSON,
        st.dictionaries(st.sampled_from((*SOUND, "listed_at")), JSON).map(lambda changed: SOUND | changed),
        st.tuples(st.sampled_from(tuple(SOUND)), JSON).map(lambda changed: SOUND | dict([changed])),
    )
)
def test_a_hostile_message_is_a_page_or_a_message_error(message: object) -> None:
    """Nothing else is raised, or the worker would hand the page back for ever; and what passes can be stored."""
    try:
        page = Page.from_wire(message)
    except MessageError:
        return
    "".join(each for each in page.ids if isinstance(each, str)).encode()
    assert datetime.fromtimestamp(page.queued_at, UTC)
