"""The views of worker.contract.views, made anew after a migration, and the comments for whoever uses psql."""

from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import SetColumnComment, SetTableComment

from worker.contract.errors import ShelverError
from worker.contract.tables import metadata
from worker.contract.views import VIEWS


class Taken(ShelverError):
    """Somebody's own view has a name that ours needs."""


def refuse_taken(connection: Connection) -> None:
    """Raise Taken when names are, of a store that never had our views."""
    inspector = inspect(connection)
    there = {*inspector.get_view_names(), *inspector.get_table_names()}
    if taken := [view.name for view in VIEWS if view.name in there]:
        raise Taken(f"the store has a view of yours called {', '.join(taken)}: rename it, and migrate again")


def drop(connection: Connection) -> None:
    """Take the views away: a revision that changes a table that they read does it first."""
    for view in reversed(VIEWS):
        connection.execute(text(f"DROP VIEW IF EXISTS {view.name}"))


def create(connection: Connection) -> None:
    """Make the views in place of those from before, and explain every column on PostgreSQL."""
    drop(connection)
    for view in VIEWS:
        connection.exec_driver_sql(f"CREATE VIEW {view.name} AS {view.definition(connection.dialect)}")
    if not connection.dialect.supports_comments:
        return
    for table in metadata.sorted_tables:
        connection.execute(SetTableComment(table))
        for column in table.columns:
            connection.execute(SetColumnComment(column))
    for view in VIEWS:
        connection.exec_driver_sql(f"COMMENT ON VIEW {view.name} IS {_quoted(view.comment)}")
        for name, comment in view.columns:
            connection.exec_driver_sql(f"COMMENT ON COLUMN {view.name}.{name} IS {_quoted(comment)}")


def _quoted(comment: str) -> str:
    return "'" + comment.replace("'", "''") + "'"
