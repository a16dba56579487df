"""Insert rows or overwrite those with the same key, on SQLite and on PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Select, Table, bindparam, cast, column, func, select
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    change: Mapping[str, ColumnElement[Any]] | None = None,
    keep: Collection[str] = (),
) -> None:
    """Write `rows`, all with the same columns. A row that is there already is overwritten, but for the columns
    in `keep` and for those that `change` computes from it.

    To PostgreSQL they travel as an array a column: one statement whatever their number, where executemany has one a row
    and COPY would need a temporary table to merge from (make bench compares them).
    """
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        insert = postgresql.insert(table).from_select(names, _given(table, names))
        arrays = {name: [row[name] for row in rows] for name in names}
        connection.execute(_overwriting(insert, table, names, change or {}, keep), arrays)
    else:
        connection.execute(_overwriting(sqlite.insert(table), table, names, change or {}, keep), rows)


def _overwriting(
    insert: Any, table: Table, names: Sequence[str], change: Mapping[str, ColumnElement[Any]], keep: Collection[str]
) -> Any:
    keys = [column.name for column in table.primary_key]
    overwritten = {name: insert.excluded[name] for name in names if name not in keys and name not in keep}
    return insert.on_conflict_do_update(index_elements=keys, set_={**overwritten, **change})


@cache
def _given(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Select the rows of the arrays that are parameters, in order of their key."""
    arrays = func.unnest(*(cast(bindparam(name), ARRAY(table.c[name].type)) for name in names))
    columns = (column(name, table.c[name].type) for name in names)
    rows = arrays.table_valued(*columns, name="given").render_derived()
    return select(rows).order_by(*(rows.c[key.name] for key in table.primary_key))
