"""Values that only grow: which is later, and where to look for what was stored late."""

from datetime import UTC, datetime, timedelta

import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from producer.watching.order import a_little_before, later

NOW = datetime.now(UTC).replace(tzinfo=None)
OLD_ID, NEW_ID = (ObjectId.from_datetime(NOW - timedelta(hours=hours)) for hours in (2, 1))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (None, 5, 5),
        (Int64(5), 6, 6),
        (5, Int64(6), 6),
        (6, 5, 6),
        (5, 6.5, 6.5),
        (6.5, 7, 7),
        (5, float("nan"), 5),
        (5, float("inf"), 5),
        (NOW - timedelta(hours=2), NOW, NOW),
        (OLD_ID, NEW_ID, NEW_ID),
        (Timestamp(1, 2), Timestamp(1, 3), Timestamp(1, 3)),
        # of another kind, or none
        (5, "6", 5),
        (5, NEW_ID, 5),
        (5, True, 5),
        (5, None, 5),
        (None, "a name", None),
        # a listing dated ahead must not hide all that come before its date
        (NOW, NOW + timedelta(days=400), NOW),
        (None, NOW + timedelta(days=400), None),
        (OLD_ID, ObjectId("ffffffff0000000000000000"), OLD_ID),
        (NOW, DatetimeMS(10**15), NOW),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_later_of_two(one: object, other: object, expected: object) -> None:
    """Of one kind, the higher; what cannot be compared leaves the first as it is."""
    assert later(one, other) == expected


@pytest.mark.parametrize(
    "value",
    [0, 5, 5.5, -(2**63), NOW, OLD_ID, ObjectId("000000010000000000000000"), Timestamp(5, 1), DatetimeMS(10**15)],
)
def test_a_little_before_is_before(value: object) -> None:
    """Of the same kind, not above, and within what MongoDB can hold."""
    before = a_little_before(value)
    assert type(before) is type(value)
    assert before <= value
