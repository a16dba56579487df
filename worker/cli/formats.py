"""Rows as files: CSV, JSON lines, Parquet and Kaggle's, any number of them in flat memory."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from itertools import islice
from typing import IO, Any

from sqlalchemy import TableClause
from sqlalchemy.types import BigInteger, Float, Integer, String

from worker.contract.errors import ShelverError
from worker.contract.tables import UtcDateTime

#: of a Parquet file: what memory holds of it
ROWS_IN_GROUP = 20_000

Rows = Iterable[Sequence[Any]]
#: told the view that the rows are of, which of its columns they have, the rows, and where to write them
Writer = Callable[[TableClause, Sequence[str], Rows, IO[bytes]], None]


def write_csv(view: TableClause, names: Sequence[str], rows: Rows, file: IO[bytes]) -> None:
    """Write CSV with a header, as RFC 4180 has it; nothing stands for null, and times are ISO 8601."""
    with _text(file) as text:
        writer = csv.writer(text)
        writer.writerow(names)
        writer.writerows([_told(value) for value in row] for row in rows)


def write_kaggle(view: TableClause, names: Sequence[str], rows: Rows, file: IO[bytes]) -> None:
    """Write the file that Kaggle takes; the rows are of a product id and a category id."""
    file.write(b"_id,category_id\n")
    file.writelines(f"{product_id},{category_id}\n".encode("ascii") for product_id, category_id in rows)


def write_jsonl(view: TableClause, names: Sequence[str], rows: Rows, file: IO[bytes]) -> None:
    """Write a JSON object a line, with times in ISO 8601."""
    with _text(file) as text:
        for row in rows:
            told = {name: _told(value) for name, value in zip(names, row, strict=True)}
            text.write(json.dumps(told, ensure_ascii=False) + "\n")


def write_parquet(view: TableClause, names: Sequence[str], rows: Rows, file: IO[bytes]) -> None:
    """Write Parquet, times with their zone; raises ShelverError without pyarrow."""
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ShelverError("Parquet needs pyarrow: pip install 'shelver[console]', or write --format csv") from error
    schema = arrow.schema([(name, _arrow_type(arrow, view.c[name].type)) for name in names])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        remaining = iter(rows)
        while group := list(islice(remaining, ROWS_IN_GROUP)):
            columns = zip(*group, strict=True)
            arrays = [arrow.array(column, each.type) for column, each in zip(columns, schema, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _arrow_type(arrow: Any, kind: Any) -> Any:
    for sql, found in (
        (UtcDateTime, arrow.timestamp("us", tz="UTC")),
        (BigInteger, arrow.int64()),
        (Integer, arrow.int32()),
        (Float, arrow.float64()),
        (String, arrow.string()),
    ):
        if isinstance(kind, sql):
            return found
    raise TypeError(f"no Parquet type for {kind!r}")


def _told(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


@contextmanager
def _text(file: IO[bytes]) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()  # which flushes, and leaves the file open


WRITERS: dict[str, Writer] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "kaggle": write_kaggle,
}
