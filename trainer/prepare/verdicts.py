"""What people decided: the labels in SQL that correct the sellers'."""

from contextlib import closing

from sqlalchemy import select

from trainer.prepare.selection import SelectionError
from worker.contract.database import Database
from worker.contract.tables import verdicts
from worker.contract.urls import known_database


def read_verdicts(database_url: str) -> dict[int, int]:
    """Return product id -> category id as decided; raises SelectionError for a wrong URL, Unavailable.

    What reviewers skipped or have before them has no category.
    """
    try:
        url = known_database(database_url)
    except ValueError as error:
        raise SelectionError(f"--verdicts {error}") from error
    with closing(Database(url)) as database, database.begin() as connection:
        decided = select(verdicts).where(verdicts.c.category_id.is_not(None))
        return {row.product_id: row.category_id for row in connection.execute(decided)}
