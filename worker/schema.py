"""Bring the SQL store to the newest schema, and tell when it is not."""

import logging
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.exc import SQLAlchemyError

from worker.contract.database import NoFile, cause, make_engine
from worker.contract.errors import ShelverError
from worker.contract.settings import Settings
from worker.contract.urls import redact

logger = logging.getLogger("worker")


class SchemaError(ShelverError):
    """The store's schema is not the one this version of Shelver writes."""


def migrate(settings: Settings) -> str:
    """Run the migrations that are missing, one process at a time; return the revision reached."""
    config = _config(settings)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(_newer(settings)) from error
    except SQLAlchemyError as error:
        raise SchemaError(
            f"{redact(settings.database_url)} cannot be migrated (SHELVER_DATABASE_URL): {_why(error)}"
        ) from error
    return str(ScriptDirectory.from_config(config).get_current_head())


def check(settings: Settings) -> None:
    """Raise SchemaError unless the store is at the newest revision; a server that does not answer is waited for."""
    script = ScriptDirectory.from_config(_config(settings))
    head = script.get_current_head()
    engine = make_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        if isinstance(getattr(error, "orig", None), NoFile):
            raise SchemaError(f"{redact(settings.database_url)} (SHELVER_DATABASE_URL): {cause(error)}") from error
        logger.warning("%s does not answer yet: %s", redact(settings.database_url), cause(error))
        return
    finally:
        engine.dispose()
    if current and current not in {revision.revision for revision in script.walk_revisions()}:
        raise SchemaError(_newer(settings))
    if current != head:
        raise SchemaError(
            f"{redact(settings.database_url)} is at schema {current or 'none'}, not {head}: run shelver-worker migrate"
        )


def _why(error: SQLAlchemyError) -> str:
    """Return the cause, and of views of analysts' own that stand on ours which they are."""
    details = [line for line in str(getattr(error, "orig", "")).splitlines() if "depends on view" in line]
    if not details:
        return cause(error)
    named = "; ".join(line.removeprefix("DETAIL:").strip() for line in details)
    return f"{named}: drop it, migrate again, and make it anew"


def _newer(settings: Settings) -> str:
    return f"{redact(settings.database_url)} was migrated by a newer Shelver: upgrade this one"


def _config(settings: Settings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["database_url"] = settings.database_url
    return config
