"""What the commands that only read the store share: options, the connection, what a person names, empty answers."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.spans import to_time
from worker.contract import settings as configuration
from worker.contract.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

#: that a limit may ask for
MOST_ROWS = 10**12

Category = Annotated[
    str | None,
    typer.Option(metavar="ID|NAME|PATH", help="put there or below by the model; names in French or English"),
]
Level = Annotated[
    int | None, typer.Option(min=1, max=3, help="of --category where its name is of several levels, and of the scores")
]
Since = Annotated[
    datetime | None,
    typer.Option(parser=to_time, metavar="AGE|DATE", help="written then or later, e.g. 7d or 2026-11-01 (UTC)"),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=to_time, metavar="AGE|DATE", help="written before, e.g. 2026-11-02T08:30+01:00"),
]


@contextmanager
def reading() -> Iterator[tuple[Settings, "Connection"]]:
    """Give the settings and a connection that cannot write.

    Raises Unavailable when the store does not answer, SchemaError when it is not at the newest schema.
    """
    from sqlalchemy import text

    from worker import schema
    from worker.contract.database import Database

    settings = configuration.load()
    with closing(Database(settings.database_url, read_only=True)) as database:
        with database.begin() as connection:  # schema.check waits for a store that is away, and so would say nothing
            connection.execute(text("SELECT 1"))
        schema.check(settings)
        with database.begin() as connection:
            yield settings, connection


def find_category(connection: "Connection", text: str | None, level: int | None) -> tuple[int | None, int]:
    """Return the id and the level of the category that a person names, or None and 3; raises NoSuchCategory."""
    from worker.questions.shelves import shelf

    if text is None:
        return None, level or 3
    found = shelf(connection, text, level)
    return found.category_id, found.level


class Counted:
    """Rows to go through once, and how many there were so far."""

    def __init__(self, rows: Iterable["Row[Any]"]):
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator["Row[Any]"]:
        for row in self._rows:
            self.count += 1
            yield row


def nothing(connection: "Connection") -> None:
    """Say why there is nothing to show, and what to do."""
    from sqlalchemy import select

    from worker.contract.tables import predictions

    if connection.execute(select(predictions.c.product_id).limit(1)).first() is None:
        tell("there are no predictions yet: start shelver-worker run, and enqueue products")
    else:
        tell("nothing matches: leave a filter out, or choose another")


def tell(line: str) -> None:
    """Say something about the rows, where it does not get among them."""
    typer.echo(line, err=True)
