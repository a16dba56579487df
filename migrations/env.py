"""How Alembic meets the store: one migrating process at a time, all in one transaction."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, Engine, event, text

from migrations import views
from worker.contract.database import make_engine
from worker.contract.tables import metadata

#: any constant that no other user of the database takes ("shelver" on a telephone keypad)
ADVISORY_LOCK = 7435837


def run(connection: Connection) -> None:
    """Migrate all or nothing; whoever comes second waits, and finds nothing left to do, with the views as well."""
    applied: list[object] = []
    # SQLite cannot alter a column in place: batch mode copies the table.
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
        on_version_apply=lambda **told: applied.append(told),
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        context.run_migrations()
        if applied and context.get_context().get_current_heads() == tuple(context.script.get_heads()):
            views.create(connection)


def lock_sqlite(engine: Engine) -> None:
    """Begin with the write lock: the driver itself would begin only at the first INSERT, after all DDL."""

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _: object) -> None:
        connection.isolation_level = None
        # Else a table that an analyst's own view reads could not be copied and renamed.
        connection.execute("PRAGMA legacy_alter_table=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


if context.is_offline_mode():
    raise SystemExit("the migrations need a database: there is no --sql mode")
engine = make_engine(context.config.attributes["database_url"], may_create=True)
if engine.dialect.name == "sqlite":
    lock_sqlite(engine)
try:
    with engine.connect() as live:
        run(live)
finally:
    engine.dispose()
