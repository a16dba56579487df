"""What options are read as."""

from datetime import datetime

import typer


def moment(text: str) -> datetime:
    """Read a date or a date with a time, as ISO 8601 writes them."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no date: write 2026-11-01, or 2026-11-01T08:30, with +01:00 where it is not UTC"
        ) from error


def share(text: str) -> float:
    """Read a part of a whole, above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise typer.BadParameter(f"{text!r} is no share: write a number above 0 and at most 1, as 0.01 for one in 100")
    return value
