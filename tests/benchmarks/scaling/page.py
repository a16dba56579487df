"""The days that docs/scaling.md tells of, and its tables."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.dumps import PICTURES
from tests.benchmarks.goals import machine
from tests.benchmarks.scaling.arrivals import DAY_SECONDS, day
from tests.benchmarks.scaling.simulation import ASSUMED_GPU, LARGEST_BATCH, Fleet, simulate
from tests.benchmarks.scaling.times import Times
from tests.faults.report import table

BEGIN, END = "<!-- figures: written by make bench-scaling -->", "<!-- end of figures -->"
Figures = dict[str, Any]
PICTURES_A_PRODUCT = sum(number * weight for number, weight in zip(*PICTURES, strict=True)) / sum(PICTURES[1])


@dataclass(frozen=True)
class Case:
    """A day, and what it runs on."""

    products: int
    fleet: Fleet
    #: the model on this machine's two cores instead of a GPU
    on_cpu: bool = False


ONE = Fleet(children=2, least_workers=1, most_workers=1, worker_price=0.10, gpu_price=0.10)
CASES = (
    Case(10_000, ONE, on_cpu=True),
    Case(100_000, ONE, on_cpu=True),
    Case(1_000_000, Fleet(gpus=3, gpu_price=0.10), on_cpu=True),
    Case(1_000_000, Fleet(gpus=6, gpu_price=0.10), on_cpu=True),
    Case(1_000_000, Fleet()),
    Case(30_000_000, Fleet()),
    Case(30_000_000, Fleet(gpus=2)),
    Case(30_000_000, Fleet(gpus=2, least_workers=4, most_workers=16)),
    Case(30_000_000, Fleet(gpus=3, least_workers=8, most_workers=24)),
)


def row(case: Case, times: Times, seed: int) -> Figures:
    """Simulate a case and return what is told of it."""
    fleet = replace(case.fleet, gpu=times.model) if case.on_cpu else case.fleet
    figures = simulate(day(case.products, seed), times, fleet).figures(fleet)
    bounds = {"least_workers": fleet.least_workers, "most_workers": fleet.most_workers}
    return {"day": case.products, "on_cpu": case.on_cpu, **bounds, **figures}


def write(figures: Figures, page: Path) -> None:
    """Put the figures where the page has them, with the machine and the day."""
    here = machine()
    said = f"{here['date']}, {here['cores']} cores ({here['processor']}), Python {here['python']}."
    tables = _stages(figures["times"]), _checks(figures["checks"]), _days(figures["days"]), _limits(figures)
    whole = "\n\n".join([BEGIN, said, *tables, END])
    text, count = re.subn(f"{BEGIN}.*{END}", lambda _: whole, page.read_text(), flags=re.DOTALL)
    assert count == 1, f"{page} has no place for the figures"
    page.write_text(text)


def _stages(times: Figures) -> str:
    told = (
        ("before", "Celery, catalog, what is known", "product"),
        ("pictures", "decode, send, receive", "picture"),
        ("model", "the network, on these cores", "picture"),
        ("after", "rows into PostgreSQL", "product"),
    )
    rows = [
        (name, what, f"{1000 * times[name]['fixed']:.1f} ms", f"{1e6 * times[name]['each']:,.0f} µs a {unit}")
        for name, what, unit in told
    ]
    wake = f"A page that finds a child idle waits {1000 * times['wake']:.0f} ms more, until the worker looks for it."
    return f"{table(('stage', 'what', 'a page', 'and'), rows)}\n\n{wake}"


def _checks(checks: Figures) -> str:
    rows = []
    for children, check in checks.items():
        for name in ("p50", "p95", "worst"):
            lags = (f"{check[kind][name]:.2f} s" for kind in ("real", "simulated"))
            rows.append((children, check["products"], name, *lags, f"{check['simulated_over_real'][name]:.2f}"))
    return table(("children", "products", "lag", "real", "simulated", "ratio"), rows)


def _days(days: list[Figures]) -> str:
    head = (
        "products a day",
        "model on",
        "workers",
        "on average",
        "lag p50",
        "p99",
        "worst",
        "within 5 s",
        "busy",
        "cost",
    )
    rows = [
        (
            f"{each['day']:,}",
            f"{each['gpus']} x {'2 cores' if each['on_cpu'] else 'GPU'}",
            f"{each['least_workers']} to {each['workers_most']}",
            f"{each['workers_mean']:.1f}",
            *(f"{each[f'lag_{at}_seconds']:,.2f} s" for at in ("p50", "p99", "worst")),
            f"{100 * each['within_5_seconds']:.2f}%",
            f"{100 * each['gpu_busy']:.0f}%",
            f"{each['cost']:.2f}",
        )
        for each in days
    ]
    return table(head, rows)


def _limits(figures: Figures) -> str:
    """Say how many products each part takes, and what those of a day leave behind."""
    times, size, pictures = Times.from_figures(figures["times"]), 64, 64 * PICTURES_A_PRODUCT
    child = times.before.at(size) + times.pictures.at(pictures) + times.after.at(size)
    produced = json.loads((Path(__file__).parents[3] / "docs" / "producer-bench.json").read_text())
    watched = max(each["reached_per_second"] for each in produced["watching"]["by_rate"].values())
    stored = figures["stored_bytes"]
    rates = (
        ("one child, a core, pages of 64, waiting for the model left out", size / child),
        ("the network on two cores", size / times.model.at(pictures)),
        ("an assumed GPU, full batches", LARGEST_BATCH / ASSUMED_GPU.at(LARGEST_BATCH) / PICTURES_A_PRODUCT),
        ("one watcher, as far as make bench-producer goes", watched),
        ("Redis, pages of 64 (make bench-producer)", produced["enqueueing"]["ids_per_second"]["64"]),
    )
    rows = [(part, f"{rate:,.0f}", f"{rate * DAY_SECONDS / 1e6:,.1f}") for part, rate in rates]
    growth = ", ".join(f"{stored * day / 1e9:.2g} GB for {day:,}" for day in (10_000, 1_000_000, 30_000_000))
    told = f"A prediction with its candidates and all indexes takes {stored:,.0f} bytes in PostgreSQL: a day, {growth}."
    return f"{table(('part', 'products a second', 'million a day'), rows)}\n\n{told}"
