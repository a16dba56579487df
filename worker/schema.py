"""Bring the SQL store to the newest schema, and tell when it is not."""

import logging
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from worker.contract.database import NoFile, cause, make_engine
from worker.contract.errors import ShelverError
from worker.contract.settings import Settings
from worker.contract.urls import redact

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger("worker")

_MIGRATIONS = Path(str(files("migrations")))


class SchemaError(ShelverError):
    """The store's schema is not the one this version of Shelver writes."""


def migrate(settings: Settings) -> str:
    """Run the migrations that are missing, one process at a time; return the revision reached."""
    from alembic import command  # here: a worker, which only checks, would have 8 MB more in every child
    from alembic.util.exc import CommandError

    config = _config(settings)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(_newer(settings)) from error
    except SQLAlchemyError as error:
        raise SchemaError(
            f"{redact(settings.database_url)} cannot be migrated (SHELVER_DATABASE_URL): {_why(error)}"
        ) from error
    return revisions()[-1]


def check(settings: Settings) -> None:
    """Raise SchemaError unless the store is at the newest revision; a server that does not answer is waited for."""
    engine = make_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            current = _current(connection)
    except SQLAlchemyError as error:
        if isinstance(getattr(error, "orig", None), NoFile):
            raise SchemaError(f"{redact(settings.database_url)} (SHELVER_DATABASE_URL): {cause(error)}") from error
        logger.warning("%s does not answer yet: %s", redact(settings.database_url), cause(error))
        return
    finally:
        engine.dispose()
    *_, head = known = revisions()
    if current and current not in known:
        raise SchemaError(_newer(settings))
    if current != head:
        raise SchemaError(
            f"{redact(settings.database_url)} is at schema {current or 'none'}, not {head}: run shelver-worker migrate"
        )


def revisions() -> list[str]:
    """Return the revisions that there are migrations to, oldest first, by the names of their files."""
    return sorted(each.name.partition("_")[0] for each in _MIGRATIONS.glob("versions/[0-9]*.py"))


def _current(connection: Connection) -> str | None:
    """Return the revision that Alembic has written down, as it does in a table of one row."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    current: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return current


def _why(error: SQLAlchemyError) -> str:
    """Return the cause, and of views of analysts' own that stand on ours which they are."""
    details = [line for line in str(getattr(error, "orig", "")).splitlines() if "depends on view" in line]
    if not details:
        return cause(error)
    named = "; ".join(line.removeprefix("DETAIL:").strip() for line in details)
    return f"{named}: drop it, migrate again, and make it anew"


def _newer(settings: Settings) -> str:
    return f"{redact(settings.database_url)} was migrated by a newer Shelver: upgrade this one"


def _config(settings: Settings) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["database_url"] = settings.database_url
    return config
