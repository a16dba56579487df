"""Insert rows or overwrite those with the same key, on SQLite and on PostgreSQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Dialect,
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
    if not rows:
        return
    names, dialect = tuple(rows[0]), connection.dialect
    statement = _statement(dialect.name, table, names, frozenset(keep), counted)
    if dialect.name == "sqlite":
        connection.execute(statement, rows)
        return
    kinds = {name: table.c[name].type for name in names}
    arrays = {name: _literal(kind, (row[name] for row in rows), dialect) for name, kind in kinds.items()}
    connection.execute(statement, arrays)


@cache
def _statement(dialect: str, table: Table, names: tuple[str, ...], keep: frozenset[str], counted: str) -> Any:
    # Kept: it is the same for every page, and SQLAlchemy takes its time to make one.
    insert: Any = sqlite.insert(table)
    if dialect == "postgresql":
        insert = postgresql.insert(table).from_select(names, _given(table, names))
    keys = [column.name for column in table.primary_key]
    overwritten = {name: insert.excluded[name] for name in names if name not in keys and name not in keep}
    if counted:
        overwritten[counted] = table.c[counted] + 1
    return insert.on_conflict_do_update(index_elements=keys, set_=overwritten)


def _given(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Select the rows of the arrays that are parameters, in order of their key."""
    arrays = func.unnest(*(cast(bindparam(name, type_=Text), ARRAY(table.c[name].type)) for name in names))
    columns = (column(name, table.c[name].type) for name in names)
    rows = arrays.table_valued(*columns, name="given").render_derived()
    return select(rows).order_by(*(rows.c[key.name] for key in table.primary_key))


def _literal(kind: TypeEngine[Any], values: Iterable[object], dialect: Dialect) -> str:
    """Return PostgreSQL's text form of an array; the driver's own matches each value against a pattern."""
    process = None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)
    bound = map(process, values) if process else values  # checked, as SQLAlchemy does: no naive time, no unknown name
    return "{" + ",".join([_element(value) for value in bound]) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    text = rf"\x{value.hex()}" if isinstance(value, bytes) else str(value)
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
