"""What options are read as, and those that several commands have."""

from datetime import datetime
from typing import Annotated, Any

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


INT64: dict[str, Any] = {"min": -(2**63), "max": 2**63 - 1}

First = Annotated[int | None, typer.Option("--from", **INT64, metavar="ID", help="first id, included")]
Last = Annotated[int | None, typer.Option("--to", **INT64, metavar="ID", help="last id, included")]
Since = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="DATE", help="listed then or later, e.g. 2026-11-01"),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="DATE", help="listed before, e.g. 2026-11-02T08:30+01:00"),
]
ModelVersion = Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="go by this version, not the newest")]
Depth = Annotated[
    int | None, typer.Option(min=1, help="pages that may wait on the queue; by default SHELVER_BACKFILL_DEPTH")
]
Rate = Annotated[float | None, typer.Option(min=0.001, help="products a second, at most", show_default="no limit")]
Restart = Annotated[bool, typer.Option("--restart", help="begin at the first, whatever was done")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only count")]
