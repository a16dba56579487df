"""How much memory each process takes, that it does not grow with what has gone through, and what a queued id takes."""

import time
from contextlib import closing

import redis
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.goals import Goal
from tests.benchmarks.performance.line import catalog
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.resident import child, imported_bytes
from tests.benchmarks.performance.watched import watch
from tests.benchmarks.producer.backfilling import run
from tests.benchmarks.producer.line import Line
from tests.benchmarks.producer.plot import BLUE, GREY, ORANGE
from tests.benchmarks.producer.tiny import SIDE
from tests.benchmarks.producer.trace import Trace
from tests.faults.report import table
from worker.contract.messages import Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings

NAME = "memory"
#: what a child is sent, and how many products: the heavier first, on which the goals are
PRODUCTS = {"pixels": 100_000, "jpeg": 20_000}
#: listings in the catalog; they are predicted again and again, all that is known of them being forgotten between
DRAWN, SMALL_DRAWN = 5000, 500
IDS, SMALL_IDS = 1_000_000, 100_000
#: CDiscount's go so far
HIGHEST_ID = 24_000_000
SMALL_PART = 0.05
CHILD_MEGABYTES, PRODUCER_MEGABYTES, GROWTH, QUEUED_BYTES = 150, 120, 1.05, 60


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Have each process go through as much as the goals are on, one after another."""
    ids, drawn, part = (SMALL_IDS, SMALL_DRAWN, SMALL_PART) if small else (IDS, DRAWN, 1)
    figures = {
        **_producers(servers, ids),
        "redis": _queued(servers, ids),
        "imported_megabytes": imported_bytes() / 1e6,
        "call_megabytes": Settings().max_batch_pictures * SIDE**2 * 3 / 1e6,
        "children": {},
    }
    served = catalog(servers, f"{NAME}_children", drawn, copy_answers=False)
    for signature, products in PRODUCTS.items():
        figures["children"][signature] = child(servers, served, signature, int(products * part))
    heavier = figures["children"][next(iter(PRODUCTS))]
    told = (("child", heavier, CHILD_MEGABYTES), *((name, figures[name], PRODUCER_MEGABYTES) for name in _PRODUCERS))
    goals = [
        goal
        for name, each, most in told
        for goal in (
            Goal(f"performance.{NAME}.{name}_megabytes", each["megabytes"], "<=", most),
            Goal(f"performance.{NAME}.{name}_growth", each["growth"], "<=", GROWTH),
        )
    ]
    return [
        *goals,
        Goal(f"performance.{NAME}.redis_bytes_a_product", figures["redis"]["bytes_a_product"], "<=", QUEUED_BYTES),
    ], figures


_PRODUCERS = ("watcher", "backfill")


def _producers(servers: Line, ids: int) -> Figures:
    """Insert listings while a watcher follows, and backfill the same ones."""
    settings = servers.settings(NAME)
    watched = watch(servers, settings, ids)
    filled = run(servers, settings, range(1, ids + 1))
    servers.drop(settings)
    return {name: _told(trace) for name, trace in zip(_PRODUCERS, (watched, filled), strict=True)}


def _told(trace: Trace) -> Figures:
    told = trace.figures()
    return {
        "products": told["enqueued"],
        "per_second": told["enqueued_per_second"],
        "megabytes": max(size for _, size in trace.samples) / 1e6,
        "growth": told["last_quarter_over_second"],
        "memory": told["memory"],
    }


def _queued(servers: Line, ids: int) -> Figures:
    """Put ids on the queue that nobody takes."""
    settings = servers.settings(f"{NAME}_queued")
    with redis.Redis.from_url(settings.redis_url) as client, closing(Pages(settings)) as pages:

        def used() -> int:
            while client.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.05)  # it has buffers of its own
            return int(client.info("memory")["used_memory"])

        sum(pages.send_all(range(settings.page_size), Queue.BACKFILL))  # connects
        client.delete(Queue.BACKFILL.value)
        before = used()
        sent = sum(pages.send_all(range(0, HIGHEST_ID, HIGHEST_ID // ids), Queue.BACKFILL))
        taken = used() - before
        queued = client.llen(Queue.BACKFILL.value)
        client.flushall()
    assert sent == ids
    return {"products": ids, "pages": queued, "bytes": taken, "bytes_a_product": taken / ids}


def section(figures: Figures) -> str:
    """Return what each process takes, in Markdown."""
    children, queued = figures["children"], figures["redis"]
    named = {f"worker child, {name}": each for name, each in children.items()}
    named |= {f"`{name}`": figures[name] for name in _PRODUCERS}
    head = ("process", "products", "a second", "MB at most", "last quarter over second")
    sampled, parts = (
        " and ".join(f"{each[what]:.0f}" for each in children.values())
        for what in ("sampled_megabytes", "shared_out_megabytes")
    )
    pixels, call = children["pixels"]["megabytes"] - children["jpeg"]["megabytes"], figures["call_megabytes"]
    return f"""## Memory

{table(head, map(_row, named, named.values()))}

MB (10⁶ bytes) in RAM, what is shared with other processes counted whole: of a child the most that the kernel ever saw,
amid a page, of the others the most of ten looks a second. Of two looks a second at the children it was {sampled} MB,
and {parts} with what they share counted in parts. A worker has {figures["imported_megabytes"]:.0f} MB before its first
page: Python and what it imports here. A child that sends pixels has {pixels:.0f} MB more at most than one that sends
JPEG, {pixels / call:.1f} times the {call:.1f} MB of pixels in a full call. Growth is of means, of the producers' of
medians.

In Redis {queued["products"]:,} products in {queued["pages"]:,} pages, with ids up to {HIGHEST_ID:,}, took
{queued["bytes_a_product"]:.1f} bytes each."""


def _row(name: str, each: Figures) -> tuple[str, ...]:
    numbers = (f"{each[what]:,.0f}" for what in ("products", "per_second", "megabytes"))
    return name, *numbers, f"{each['growth']:.3f}"


def draw(axes: Axes, figures: Figures) -> None:
    """Draw memory over what has gone through, all of it being 100%."""
    children = zip(figures["children"].items(), (BLUE, ORANGE), strict=True)
    curves = [(f"child, {name}", each, color, "-") for (name, each), color in children]
    curves += [(name, figures[name], GREY, style) for name, style in zip(_PRODUCERS, ("--", ":"), strict=True)]
    for name, each, color, style in curves:
        counts, megabytes = zip(*each["memory"], strict=True)
        label = f"{name} ({each['products']:,})"
        axes.plot([count / each["products"] for count in counts], megabytes, style, color=color, label=label)
    axes.set(title="Memory", xlabel="of the products", ylabel="megabytes", ylim=(0, None))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}%"))
    axes.legend(fontsize=8)
