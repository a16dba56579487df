"""The figures as tables in docs/producer.md."""

import re
from pathlib import Path
from typing import Any

from tests.benchmarks.goals import machine
from tests.faults.report import table

BEGIN, END = "<!-- figures: written by make bench-producer -->", "<!-- end of figures -->"
Figures = dict[str, Any]


def write(figures: Figures, page: Path) -> None:
    """Put them where the page has them, with the machine and the day."""
    here = machine()
    said = f"{here['date']}, {here['cores']} cores ({here['processor']}), Python {here['python']}:"
    parts = [
        said,
        *(part(figures[part.__name__[1:]]) for part in (_enqueueing, _watching, _backfilling, _latency, _loading)),
    ]
    whole = f"{BEGIN}\n" + "\n\n".join(parts) + f"\n{END}"
    text, count = re.subn(f"{BEGIN}.*{END}", lambda _: whole, page.read_text(), flags=re.DOTALL)
    assert count == 1, f"{page} has no place for the figures"
    page.write_text(text)


def _enqueueing(figures: Figures) -> str:
    rates, ratios = figures["ids_per_second"], figures["over_pages_of_1"]
    rows = [(size, f"{rate:,.0f}", f"{ratios[size]:.1f}") for size, rate in rates.items()]
    return table(("ids in a page", "ids a second", "over pages of 1"), rows)


def _watching(figures: Figures) -> str:
    head = (
        "listings a second",
        "reached",
        "lag p50",
        "p95",
        "p99",
        "max",
        "missed",
        "doubled",
        "CPU of 1,000 listings",
    )
    rows = [
        (
            rate,
            f"{each['reached_per_second']:,.0f}",
            *(_milliseconds(each[f"{name}_seconds"]) for name in ("p50", "p95", "p99", "max")),
            each["missed"],
            each["doubled"],
            _milliseconds(each["watcher_cpu_seconds_per_1000"]),
        )
        for rate, each in figures["by_rate"].items()
    ]
    return table(head, rows)


def _backfilling(figures: Figures) -> str:
    head = (
        "backfill",
        "ids enqueued",
        "ids a second",
        "MB at 10%",
        "50%",
        "100%",
        "last quarter over second",
        "deepest",
    )
    rows = [
        (
            name,
            each["enqueued"],
            f"{each['enqueued_per_second']:,.0f}",
            *(f"{size:.1f}" for size in each["megabytes_at"].values()),
            f"{each['last_quarter_over_second']:.3f}",
            each["deepest_pages"],
        )
        for name, each in figures["runs"].items()
    ]
    return table(head, rows)


def _latency(figures: Figures) -> str:
    head = ("new listings", "count", "p50", "p95", "p99", "max")
    rows = [
        (name, each["listings"], *(_milliseconds(each[f"{at}_seconds"]) for at in ("p50", "p95", "p99", "max")))
        for name, each in (("alone", figures["alone"]), ("amid a backfill", figures["amid"]))
    ]
    page, times = _milliseconds(figures["page_seconds"]), f"{figures['amid_over_alone']:.1f}"
    said = f"Amid a backfill, {times} times as long as alone (medians of turns); a page of it was in hand for {page}."
    return f"{table(head, rows)}\n\n{said}"


def _loading(figures: Figures) -> str:
    rates, ratios = figures["megabytes_per_second"], figures["of_raw_insert_many"]
    rows = [(name, f"{rate:,.0f}", f"{ratios.get(name, 1):.2f}") for name, rate in rates.items()]
    return table(("load", "MB of documents a second", "of raw insert_many"), rows)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"
