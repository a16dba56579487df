"""Column types of the SQL store that hold on SQLite and PostgreSQL alike."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.contract.tables import UtcDateTime, metadata, predictions, rejects

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
DIALECTS = pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])


@DIALECTS
def test_a_naive_time_is_refused(dialect) -> None:
    """A time without a zone would be another moment on another machine."""
    with pytest.raises(ValueError, match="2024-05-06 12:00:00 has no time zone: the store keeps UTC only"):
        UtcDateTime().process_bind_param(datetime(2024, 5, 6, 12), dialect)


@DIALECTS
def test_any_zone_is_stored_as_utc(dialect) -> None:
    """14:00 in Paris goes in as 12:00 UTC."""
    stored = UtcDateTime().process_bind_param(NOON.astimezone(timezone(timedelta(hours=2))), dialect)
    assert stored is not None
    assert (stored, stored.tzinfo) == (NOON, UTC)


@DIALECTS
@pytest.mark.parametrize("stored", [NOON, NOON.replace(tzinfo=None), NOON.astimezone(timezone(timedelta(hours=-5)))])
def test_a_stored_time_comes_back_in_utc(stored: datetime, dialect) -> None:
    """SQLite gives no zone and PostgreSQL its session's: both are the same moment in UTC."""
    found = UtcDateTime().process_result_value(stored, dialect)
    assert found is not None
    assert (found, found.tzinfo) == (NOON, UTC)


@DIALECTS
def test_no_time_is_no_time(dialect) -> None:
    """NULL passes both ways."""
    assert UtcDateTime().process_bind_param(None, dialect) is None
    assert UtcDateTime().process_result_value(None, dialect) is None


def test_enums_are_stored_by_value() -> None:
    """Analysts query 'not_found', not NOT_FOUND, and a new reason needs no migration."""
    assert rejects.c.reason.type.enums == [each.value for each in Reason]
    assert predictions.c.queue.type.enums == [each.value for each in Queue]
    assert not rejects.c.reason.type.native_enum
    assert max(len(each) for each in Reason) <= rejects.c.reason.type.length


def test_every_constraint_has_a_name() -> None:
    """A migration can drop only what has a name, and one that PostgreSQL does not cut at 63 characters."""
    names = [str(each.name) for table in metadata.tables.values() for each in (*table.constraints, *table.indexes)]
    assert "None" not in names
    assert max(map(len, names)) <= 63
