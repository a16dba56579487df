"""Published models and their categories in the SQL store."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, func, insert, select, update

from trainer.run import Run
from worker.contract.tables import categories, models
from worker.contract.taxonomy import LEVELS, Category, to_rows


def has(connection: Connection, name: str, version: int) -> bool:
    """Say whether this version of the model is registered."""
    found = select(models.c.id).where(models.c.name == name, models.c.version == version)
    return connection.scalar(found) is not None


def newest(connection: Connection, name: str) -> int:
    """Return the highest registered version, 0 when there is none."""
    return connection.scalar(select(func.max(models.c.version)).where(models.c.name == name)) or 0


def rows(connection: Connection, name: str) -> Sequence[Row[Any]]:
    """Return the rows of every registered version of the model."""
    return connection.execute(select(models).where(models.c.name == name)).all()


def register(connection: Connection, run: Run, name: str, version: int) -> None:
    """Insert the model's row, thresholds included, and the categories that are new; names follow the newest tree."""
    keep_categories(connection, run.taxonomy.categories)
    connection.execute(
        insert(models).values(
            name=name,
            version=version,
            level=run.level,
            picture_side=run.picture_side,
            metrics=run.metrics,
            **{f"threshold_level{level}": run.thresholds.get(str(level)) for level in LEVELS},
            published_at=datetime.now(UTC),
        )
    )


def keep_categories(connection: Connection, nodes: Sequence[Category]) -> None:
    """Insert the categories that are new, parents first as `nodes` must be; the names of the others follow `nodes`.

    An English name that is not known here leaves the one that is there.
    """
    there = {
        row.id: row for row in connection.execute(select(categories.c.id, categories.c.name, categories.c.name_en))
    }
    missing = [node for node in nodes if node.id not in there]
    changed = [
        {"node": node.id, "to": node.name, "to_en": node.name_en}
        for node in nodes
        if (row := there.get(node.id)) and (node.name, node.name_en or row.name_en) != (row.name, row.name_en)
    ]
    if missing:
        connection.execute(insert(categories), list(to_rows(missing)))
    if changed:
        english = func.coalesce(bindparam("to_en", type_=Text), categories.c.name_en)
        renaming = update(categories).where(categories.c.id == bindparam("node"))
        connection.execute(renaming.values(name=bindparam("to"), name_en=english), changed)
