"""What people decided: the labels in SQL that correct the sellers'."""

from contextlib import closing

from sqlalchemy import select

from trainer.prepare.selection import SelectionError
from worker.contract.database import Database
from worker.contract.tables import categories, verdicts
from worker.contract.urls import known_database


def read_verdicts(database_url: str) -> dict[int, int]:
    """Return product id -> category id as decided; raises SelectionError for a wrong URL, Unavailable.

    What reviewers skipped or have before them has no category; one above level 3 is no label.
    """
    try:
        url = known_database(database_url)
    except ValueError as error:
        raise SelectionError(f"--verdicts {error}") from error
    with closing(Database(url, read_only=True)) as database, database.begin() as connection:
        decided = select(verdicts.c.product_id, verdicts.c.category_id).join(categories).where(categories.c.level == 3)
        return {row.product_id: row.category_id for row in connection.execute(decided)}
