"""Positions as the store has them."""

import json
from contextlib import closing
from typing import Any

from bson import json_util
from sqlalchemy import select, update

from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import cursors


def position(settings: Settings) -> Any:
    """The only cursor's position, as extended JSON; None when there is no cursor, or none with a position."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        return connection.scalar(select(cursors.c.position))


def last_seen(settings: Settings) -> Any:
    """The highest id up to which the only cursor's position is stored."""
    return json_util.loads(json.dumps(position(settings)))["order"]


def set_position(settings: Settings, value: Any) -> None:
    """Move the only cursor."""
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        connection.execute(update(cursors).values(position=json.loads(json_util.dumps(value))))
