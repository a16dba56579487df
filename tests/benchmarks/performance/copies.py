"""What it brings to copy the answer of a product with the same pictures, where as many are copies as CDiscount has."""

from contextlib import ExitStack
from statistics import median

from tests.benchmarks.goals import Goal, ratio
from tests.benchmarks.performance.line import catalog, serve
from tests.benchmarks.performance.paces import GPUS
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.workers import Run, worker_apart
from tests.benchmarks.producer.line import Line
from tests.faults.report import table
from worker.app import DEFAULT_CHILDREN

NAME = "copies"
COPIED = 0.37
PRODUCTS, SMALL_PRODUCTS = 5000, 1500
ROUNDS, SMALL_ROUNDS = 3, 1
#: pictures a second; the goal is of the first
RATES = (2_500, 1_000)
TARGET = 1.3


def measure(servers: Line, small: bool) -> tuple[list[Goal], Figures]:
    """Empty one backlog with copied answers and without, in turns, at each pace of the model."""
    served = catalog(servers, NAME, SMALL_PRODUCTS if small else PRODUCTS, copied=COPIED, signature="jpeg")
    rounds, paces = SMALL_ROUNDS if small else ROUNDS, {}
    for rate in RATES:
        settings = serve(servers, served, pace=GPUS[rate])
        runs: dict[bool, list[Run]] = {True: [], False: []}
        with ExitStack() as started:
            workers = {
                copies: started.enter_context(
                    worker_apart(
                        servers, served, settings.model_copy(update={"copy_answers": copies}), number, DEFAULT_CHILDREN
                    )
                )
                for number, copies in enumerate(runs)
            }
            for turn in range(rounds):
                for copies in (True, False)[:: -1 if turn % 2 else 1]:
                    runs[copies].append(workers[copies].classify(served.ids))
        paces[f"{rate:,}"] = _figures(runs, GPUS[rate].picture_ms)
    goal = Goal(f"performance.{NAME}.on_over_off", paces["2,500"]["on_over_off"], ">=", TARGET)
    return [goal], {"products": len(served.ids), "copied": COPIED, "rounds": rounds, "paces": paces}


def _figures(runs: dict[bool, list[Run]], picture_ms: float) -> Figures:
    """Return rates, what was copied, and for what share of the time pictures kept the model busy."""
    sides: Figures = {}
    for copies, side in ((True, "on"), (False, "off")):
        sides[side] = {
            "products_per_second": [each.products / each.seconds for each in runs[copies]],
            "copied_share": median(each.copied / each.products for each in runs[copies]),
            "asked_share": median(each.asked / each.pictures for each in runs[copies]),
            "model_busy": median(each.asked * picture_ms / 1000 / each.seconds for each in runs[copies]),
            "worker_cores": median(each.cpu_seconds / each.seconds for each in runs[copies]),
        }
    return {**sides, "on_over_off": ratio(sides["on"]["products_per_second"], sides["off"]["products_per_second"])}


def section(figures: Figures) -> str:
    """Return the rates and what they are made of, in Markdown."""
    rows = []
    for name, pace in figures["paces"].items():
        for side in ("on", "off"):
            each = pace[side]
            shares = (f"{100 * each[what]:.0f}%" for what in ("copied_share", "asked_share", "model_busy"))
            gain = f"{pace['on_over_off']:.2f}" if side == "on" else ""
            rate = f"{median(each['products_per_second']):,.0f}"
            rows.append((name, side, rate, gain, *shares, f"{each['worker_cores']:.2f}"))
    head = (
        "model, pictures/s",
        "copies",
        "products/s",
        "on over off",
        "copied",
        "asked",
        "model busy",
        "worker's cores",
    )
    return f"""## Copies: products with the same pictures

{figures["products"]:,} products, of which {100 * figures["copied"]:.0f}% have the pictures of an earlier one; a worker
of {DEFAULT_CHILDREN} children that sends JPEG, with SHELVER_COPY_ANSWERS on and off; medians of {figures["rounds"]}
rounds.
*Copied* are the products that the worker logs as such, *asked* the pictures that the model saw; the model is *busy* for
that share of the time with pictures alone, what it takes for a request left out. All of it shares this machine's cores.

{table(head, rows)}

{_limit(figures["paces"]["2,500"])}"""


def _limit(pace: Figures) -> str:
    """Say what a model that is never idle would gain, next to what there is."""
    on, off = pace["on"], pace["off"]
    most = off["asked_share"] / on["asked_share"]
    return f"""Were the model the only limit, the gain would be {most:.2f}: it is asked about as many more pictures
without copies. At 2,500 pictures a second it was busy for {100 * off["model_busy"]:.0f}% of the time without them and
for {100 * on["model_busy"]:.0f}% with them; for the rest it waited for the line."""
