"""Where a producer goes on after a restart, kept in SQL beside the predictions."""

import json
from datetime import UTC, datetime
from typing import Any

from bson import json_util
from sqlalchemy import insert, select, update

from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import cursors


class Cursor:
    """One named position, any BSON value: kept as extended JSON, because a resume token may hold binary.

    Reading and writing raise Unavailable when the database fails.
    """

    def __init__(self, settings: Settings, name: str):
        self._database = Database(settings.database_url)
        self._name = name

    def read(self) -> Any:
        """Return the position, None when there is none yet."""
        with self._database.begin() as connection:
            position = connection.scalar(select(cursors.c.position).where(cursors.c.name == self._name))
        return json_util.loads(json.dumps(position))

    def write(self, position: Any) -> None:
        """Store the position."""
        values = {"position": json.loads(json_util.dumps(position)), "updated_at": datetime.now(UTC)}
        with self._database.begin() as connection:
            changed = connection.execute(update(cursors).where(cursors.c.name == self._name).values(values))
            if changed.rowcount == 0:
                connection.execute(insert(cursors).values(name=self._name, **values))

    def close(self) -> None:
        """Close the pool."""
        self._database.close()
