"""Moments and spans of time as a person types them: 2026-11-01, 2026-11-01T08:30+01:00, 7d, 2026-11-02..2026-11-09."""

from datetime import UTC, datetime, timedelta

import typer

from worker.cli.arguments import UNITS, to_moment


def to_time(text: str) -> datetime:
    """Return the moment that a date, a date with a time, or an age names; in UTC unless it says otherwise."""
    if text.strip()[-1:].lower() in UNITS:
        return to_moment(text)
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no date and no age: write 2026-11-01, 2026-11-01T08:30 (UTC, or with +01:00), or 90s, 2h, 7d"
        ) from None


def to_span(text: str) -> tuple[datetime, datetime]:
    """Return (since, until) of SINCE..UNTIL, both as `to_time` reads them; the last is not part of it."""
    since, dots, until = text.partition("..")
    if not dots:
        raise typer.BadParameter(
            f"{text!r} is no span: write two dates or ages, as in 2026-11-02..2026-11-09 or 14d..7d"
        )
    span = (to_time(since), to_time(until))
    if span[0] >= span[1]:
        raise typer.BadParameter(f"{text!r} ends before it begins: write the earlier first")
    return span


def week_before(moment: datetime, weeks: int = 1) -> tuple[datetime, datetime]:
    """Return (since, until) of the last whole week, Monday to Monday in UTC, or of one that many weeks ago."""
    monday = moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=moment.weekday())
    return (monday - timedelta(weeks=weeks), monday - timedelta(weeks=weeks - 1))
