"""What docs/performance.md says of memory, and how it is drawn."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.benchmarks.performance.memory.measurement import HIGHEST_ID, PRODUCERS
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.producer.plot import BLUE, GREY, ORANGE
from tests.faults.report import table


def section(figures: Figures) -> str:
    """Return what each process takes, in Markdown."""
    children, queued = figures["children"], figures["redis"]
    named = {f"worker child, {name}": each for name, each in children.items()}
    named |= {f"`{name}`": figures[name] for name in PRODUCERS}
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
    curves += [(name, figures[name], GREY, style) for name, style in zip(PRODUCERS, ("--", ":"), strict=True)]
    for name, each, color, style in curves:
        counts, megabytes = zip(*each["memory"], strict=True)
        label = f"{name} ({each['products']:,})"
        axes.plot([count / each["products"] for count in counts], megabytes, style, color=color, label=label)
    axes.set(title="Memory", xlabel="of the products", ylabel="megabytes", ylim=(0, None))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}%"))
    axes.legend(fontsize=8)
