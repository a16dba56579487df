"""What docs/performance.md says of where the time of a new listing goes."""

from tests.benchmarks.performance.latency.measurement import (
    BACKFILLED,
    LEGS,
    LISTINGS_A_SECOND,
    PREDICTED,
    WHOLE,
)
from tests.benchmarks.performance.page import Figures
from tests.faults.report import table
from worker.app import DEFAULT_CHILDREN


def section(figures: Figures) -> str:
    """Return where the time of a listing goes, in Markdown."""
    legs, pages, spent = figures["legs"], figures["pages"], figures["core_seconds"]
    told = {WHOLE: "the whole", **LEGS, PREDICTED: "the same by the row's own `predicted_at`"}
    rows = [(name, what, *(_ms(legs[name][at]) for at in ("mean", "p50", "p95", "p99"))) for name, what in told.items()]
    stages = list(dict.fromkeys(stage for each in pages.values() for stage in each["stages"]))
    by_page = []
    for name, each in pages.items():
        counts = f"{each['count']:,}", f"{each['products']:.1f}", f"{each['pictures']:.1f}"
        by_page.append((name, *counts, *(_ms(each["stages"].get(stage, 0.0)) for stage in stages)))
    longest = max(LEGS, key=lambda name: legs[name]["mean"])
    whole, share = sum(spent.values()), legs[longest]["mean"] / legs[WHOLE]["mean"]
    cores = ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent.items())
    return f"""## Latency: single new listings amid a backfill

{figures["listings"]:,} listings for {figures["seconds"]} s, {LISTINGS_A_SECOND} a second at random times; a worker of
{DEFAULT_CHILDREN} children on both queues that sends pixels, a model of 2,500 pictures a second, and never fewer than
{figures["least_depth_pages"]:,} pages of a backfill waiting. It goes round and round {BACKFILLED:,}
products, whose rows are forgotten before they come again. A row is seen when another connection finds it.

{table(("from, to", "what", "mean", "p50", "p95", "p99"), rows)}

What pages of each queue are like, and how long their stages take on the average:

{table(("queue", "pages", "products", "pictures", *stages), by_page)}

Means of the legs add up to that of the whole; the longest is {longest}, {100 * share:.0f}% of it. Of
{whole:.0f} core-seconds meanwhile: {cores}."""


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"
