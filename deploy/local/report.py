"""What the demo tells at its end."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from deploy.local.listing import Listed
from worker.contract.database import Database
from worker.contract.errors import ShelverError
from worker.contract.tables import candidates, predictions, rejects
from worker.contract.taxonomy import Taxonomy

SHOWN = 16
TOP = 5


@dataclass(frozen=True)
class Row:
    """A product's outcome beside the truth."""

    product_id: int
    #: category ids, best first; empty for a reject
    ranked: list[int]
    score: float
    level1: int | None
    level2: int | None
    #: its true category, None when unknown
    truth: int | None
    reject: str | None


class LabelsError(ShelverError):
    """The labels do not tell which category a listing belongs to."""


def read_labels(path: Path, taxonomy: Taxonomy) -> dict[int, int]:
    """Return product id -> true category id from `_id,category_id`; raises LabelsError by line."""
    truths: dict[int, int] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                truths[int(row["_id"])] = truth = int(row["category_id"])
            except (KeyError, TypeError, ValueError) as error:
                raise LabelsError(
                    f"{path} line {reader.line_num} is not _id,category_id in numbers: mend it"
                ) from error
            if truth not in taxonomy.by_id:
                raise LabelsError(f"{path} line {reader.line_num}: the category file lacks {truth}; add its line there")
    return truths


def read_rows(database_url: str, listed: Listed, truths: dict[int, int]) -> list[Row]:
    """Return the stored outcome of every listing, in order of listing."""
    database = Database(database_url)
    with database.begin() as connection:
        stored = {row.product_id: row for row in connection.execute(select(predictions))}
        refused = {row.product_id: f"{row.reason}: {row.detail}" for row in connection.execute(select(rejects))}
        ranked: dict[int, list[int]] = {}
        for row in connection.execute(select(candidates).order_by(candidates.c.rank)):
            ranked.setdefault(row.product_id, []).append(row.category_id)
    database.close()
    rows = []
    for identity in listed.listed_at:
        truth = truths.get(identity)
        if row := stored.get(identity):
            rows.append(Row(identity, ranked[identity], row.score, row.level1_id, row.level2_id, truth, None))
        else:
            rows.append(Row(identity, [], 0, None, None, truth, refused.get(identity)))
    return rows


def summarise(rows: list[Row], listed: Listed, taxonomy: Taxonomy) -> dict[str, float | int | None]:
    """Return the totals. Accuracy is over all labelled listings: a reject counts as wrong."""
    judged = [row for row in rows if row.truth is not None]

    def share(hits: list[bool]) -> float | None:
        return sum(hits) / len(hits) if hits else None

    percentiles = quantiles(listed.latencies, n=100, method="inclusive") if len(listed.singles) > 1 else None
    return {
        "listed": len(rows),
        "predicted": sum(bool(row.ranked) for row in rows),
        "rejected": len(listed.rejected),
        "level1": share([row.level1 == taxonomy.ancestor(row.truth, 1) for row in judged if row.truth is not None]),
        "level2": share([row.level2 == taxonomy.ancestor(row.truth, 2) for row in judged if row.truth is not None]),
        "level3": share([row.ranked[:1] == [row.truth] for row in judged]),
        "level3_top5": share([row.truth in row.ranked[:TOP] for row in judged]),
        "latency_p50_seconds": percentiles[49] if percentiles else None,
        "latency_p95_seconds": percentiles[94] if percentiles else None,
        "pictures_per_second": listed.pictures_per_second,
    }


def print_report(console: Console, rows: list[Row], totals: dict[str, float | int | None], taxonomy: Taxonomy) -> None:
    """Print a table of products and the totals."""
    names = {category.id: category.name for category in taxonomy.categories}
    table = Table(
        "product", "predicted shelf", "score", "true shelf", title=f"the first {min(SHOWN, len(rows))} listings"
    )
    for row in rows[:SHOWN]:
        predicted = names.get(row.ranked[0], str(row.ranked[0])) if row.ranked else f"rejected: {row.reject}"
        truth = names.get(row.truth, str(row.truth)) if row.truth is not None else "unknown"
        style = "green" if row.ranked[:1] == [row.truth] else "red" if row.truth is not None else None
        table.add_row(str(row.product_id), predicted, f"{row.score:.3f}", truth, style=style)
    console.print(table)
    console.print(f"{totals['listed']} listed, {totals['predicted']} predicted, {totals['rejected']} rejected")
    if totals["level3"] is not None:
        shares = ", ".join(f"{totals[name]:.3f} at level {name[-1]}" for name in ("level1", "level2", "level3"))
        console.print(
            f"accuracy, product-wise: {shares}; the true shelf is among the top 5 for {totals['level3_top5']:.3f}"
        )
    if totals["latency_p50_seconds"] is not None:
        p50, p95 = totals["latency_p50_seconds"], totals["latency_p95_seconds"]
        console.print(f"latency from insert to stored row, listed one at a time: p50 {p50:.2f} s, p95 {p95:.2f} s")
    if totals["pictures_per_second"] is not None:
        console.print(f"throughput of the rest, listed at once: {totals['pictures_per_second']:.1f} pictures/s")


def write_summary(path: Path, totals: dict[str, float | int | None]) -> None:
    """Write the totals as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(totals, indent=1) + "\n")
