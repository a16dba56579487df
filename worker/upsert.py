"""Insert rows or overwrite those with the same key, on SQLite and on PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Connection,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

Row = Mapping[str, Any]


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    keep: Collection[str] = (),
    counted: str = "",
) -> None:
    """Write `rows`, all with the same columns. A row that is there already is overwritten, but for the columns in
    `keep`; its column `counted` grows by one.

    To PostgreSQL they travel as an array a column: one statement whatever their number, where executemany has one a row
    and COPY would need a temporary table to merge from (make bench compares them).
    """
    if rows:
        statement = _upserting(connection.dialect.name, table, tuple(rows[0]), frozenset(keep), counted)
        _send(connection, statement, table, rows)


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Write `rows`, all with the same columns, none of which is there; they travel as those of `upsert` do."""
    if rows:
        _send(connection, _inserting(connection.dialect.name, table, tuple(rows[0])), table, rows)


def _send(connection: Connection, statement: Any, table: Table, rows: Sequence[Row]) -> None:
    dialect = connection.dialect
    if dialect.name == "sqlite":
        connection.execute(statement, rows)
        return
    kinds = {name: table.c[name].type for name in rows[0]}
    arrays = {name: _literal(kind, [row[name] for row in rows], dialect) for name, kind in kinds.items()}
    connection.execute(statement, arrays)


# Statements are kept: they are the same for every page, and SQLAlchemy takes its time to make one.
@cache
def _upserting(dialect: str, table: Table, names: tuple[str, ...], keep: frozenset[str], counted: str) -> Any:
    statement, keys = _inserting(dialect, table, names), [column.name for column in table.primary_key]
    overwritten = {name: statement.excluded[name] for name in names if name not in keys and name not in keep}
    if counted:
        overwritten[counted] = table.c[counted] + 1
    return statement.on_conflict_do_update(index_elements=keys, set_=overwritten)


@cache
def _inserting(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    if dialect == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table).from_select(names, _given(table, names))


def _given(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Select the rows of the arrays that are parameters, in order of their key."""
    arrays = func.unnest(*(cast(bindparam(name, type_=Text), ARRAY(table.c[name].type)) for name in names))
    columns = (column(name, table.c[name].type) for name in names)
    rows = arrays.table_valued(*columns, name="given").render_derived()
    return select(rows).order_by(*(rows.c[key.name] for key in table.primary_key))


def _literal(kind: TypeEngine[Any], values: Sequence[object], dialect: Dialect) -> str:
    """Return PostgreSQL's text form of an array; the driver's own matches each value against a pattern."""
    if isinstance(kind, Integer | Float | Boolean):
        return "{" + ",".join(map(str, values)).replace("None", "NULL") + "}"
    process = None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)
    # Checked, as SQLAlchemy does: no naive time, no unknown name. Each once, because most are the same in all rows.
    elements = {value: _element(process(value) if process else value) for value in set(values)}
    return "{" + ",".join([elements[value] for value in values]) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    text = rf"\x{value.hex()}" if isinstance(value, bytes) else str(value)
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
