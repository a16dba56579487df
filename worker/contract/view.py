"""A view: a query whose columns are explained; and the two things that SQLite and PostgreSQL write differently."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from sqlalchemy import ColumnElement, Date, Dialect, Float, FromClause, Select, TableClause, column, select, table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Day(FunctionElement[Any]):
    """The day of a moment, in UTC."""

    type = Date()
    inherit_cache = True


class Seconds(FunctionElement[Any]):
    """The seconds from one moment to another."""

    type = Float()
    inherit_cache = True


@compiles(Day, "postgresql")
def _(element: Day, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC' AS date)"


@compiles(Day, "sqlite")
def _(element: Day, compiler: Any, **options: Any) -> str:
    return f"date({compiler.process(element.clauses, **options)})"


@compiles(Seconds, "postgresql")
def _(element: Seconds, compiler: Any, **options: Any) -> str:
    begin, end = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST(extract(epoch FROM {end} - {begin}) AS double precision)"


@compiles(Seconds, "sqlite")
def _(element: Seconds, compiler: Any, **options: Any) -> str:
    begin, end = (compiler.process(each, **options) for each in element.clauses)
    return f"round((julianday({end}) - julianday({begin})) * 86400, 3)"  # it counts milliseconds, but in days


@dataclass(frozen=True)
class View:
    """A view, with what its columns mean."""

    name: str
    comment: str
    query: Select[Any]
    #: of each column, in order
    comments: tuple[str, ...]

    @property
    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield the columns' names and what they mean."""
        return zip(self.query.selected_columns.keys(), self.comments, strict=True)

    def where(self, condition: ColumnElement[bool]) -> Self:
        """Return the same of fewer rows."""
        return replace(self, query=self.query.where(condition))

    def definition(self, dialect: Dialect) -> str:
        """Return the SELECT as one text."""
        return str(self.query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))

    def table(self) -> TableClause:
        """Return the view as something to select from."""
        return table(self.name, *(column(name, each.type) for name, each in self.query.selected_columns.items()))


def view(name: str, comment: str, source: FromClause, columns: Mapping[str, tuple[Any, str]]) -> View:
    """Return a view of columns by name: what each is, and what it means."""
    query = select(*(each.label(name) for name, (each, _) in columns.items())).select_from(source)
    return View(name, comment, query, tuple(told for _, told in columns.values()))
