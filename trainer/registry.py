"""Published models and their categories in the SQL store."""

from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from trainer.run import Run
from worker.contract.tables import categories, models
from worker.contract.taxonomy import to_rows


def has(connection: Connection, name: str, version: int) -> bool:
    """Say whether this version of the model is registered."""
    found = select(models.c.id).where(models.c.name == name, models.c.version == version)
    return connection.scalar(found) is not None


def newest(connection: Connection, name: str) -> int:
    """Return the highest registered version, 0 when there is none."""
    return connection.scalar(select(func.max(models.c.version)).where(models.c.name == name)) or 0


def register(connection: Connection, run: Run, name: str, version: int) -> None:
    """Insert the model's row and the categories that are not there yet; names follow the newest tree."""
    there = {row.id: row.name for row in connection.execute(select(categories.c.id, categories.c.name))}
    nodes = run.taxonomy.categories  # parents first, as the foreign key wants them
    missing = [node for node in nodes if node.id not in there]
    renamed = [{"node": node.id, "to": node.name} for node in nodes if there.get(node.id, node.name) != node.name]
    if missing:
        connection.execute(insert(categories), list(to_rows(missing)))
    if renamed:
        connection.execute(
            update(categories).where(categories.c.id == bindparam("node")).values(name=bindparam("to")), renamed
        )
    connection.execute(
        insert(models).values(
            name=name,
            version=version,
            level=run.level,
            picture_side=run.picture_side,
            metrics=run.metrics,
            published_at=datetime.now(UTC),
        )
    )
