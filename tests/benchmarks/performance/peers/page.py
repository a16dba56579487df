"""What docs/performance.md says of what a user would pick instead."""

from statistics import median

from tests.benchmarks.goals import ratio
from tests.benchmarks.peers.peer import PEERS
from tests.benchmarks.peers.running import CHILDREN
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.performance.peers.measurement import PACE, rates, runs_of
from tests.faults.report import table
from worker.app import DEFAULT_CHILDREN

#: products in a call of all but one peer, and in a page
BATCH = 64


def section(figures: Figures) -> str:
    """Return what the page says of it."""
    head = ("", "what it is", "products", "products a second", "Shelver", "over it", "by round", "CPU ms a product")
    short = [name for name, peer in PEERS.items() if ratio(*rates(figures, name)) < peer.target]
    limits = "\n".join(f"- {_named(name)}: {_limit(figures, name)}" for name in short)
    installed = ", ".join(f"{_named(name)} {seconds:.0f} s" for name, seconds in figures["installed_seconds"].items())
    return f"""## Against what a user would pick instead

The same listings from MongoDB, decoded, asked of the same model server and stored as the same rows in PostgreSQL, each
program written as its own documentation has it (tests/benchmarks/peers/). Each has two processes or threads to work
with, a core each, and Shelver its {DEFAULT_CHILDREN} children; all are warm and take turns. The model is paced at
{PACE.request_ms:g} ms a call and {PACE.picture_ms:g} ms a picture, which allows {_allowed(figures, BATCH):,.0f}
products a second to calls of {BATCH} and {_allowed(figures, 1):,.0f} to calls of one. What they store was compared with
what Shelver stores, row by row, with a model that computes its answers.
CPU is all of the machine's, the servers' as well, with it / with Shelver on the same listings.
Rounds: {figures["rounds"]}.

{table(head, (_row(figures, name) for name in PEERS))}

{table(("", "what it lacks"), ((_named(name), peer.lacks) for name, peer in PEERS.items()))}

{_ray_start(figures)} Installing them took: {installed} (0 where they were there).

Those that are short of their goal, and what the same runs say of it:

{limits or "- none"}"""


def _ray_start(figures: Figures) -> str:
    """Say what a longer job would have less of."""
    ours, theirs = runs_of(figures, "ray_data")
    start, whole = median(figures["ray_data_start_seconds"]), median(each["seconds"] for each in theirs)
    told = f"Ray Data starts its actors with every job: {start:.1f} s with {CHILDREN} products, {whole:.1f} s here."
    if start >= whole:  # of a trial, on too few products
        return told
    rate = median(each["products_per_second"] for each in ours)
    return (
        f"{told} Less that, Shelver's rate would be {rate * (whole - start) / theirs[0]['products']:.2f} times its own."
    )


def _row(figures: Figures, name: str) -> tuple[object, ...]:
    ours, theirs = rates(figures, name)
    spent = (1e3 * median(each["cpu_seconds_a_product"] for each in runs) for runs in runs_of(figures, name)[::-1])
    return (
        _named(name),
        PEERS[name].what,
        f"{runs_of(figures, name)[0][0]['products']:,}",
        f"{median(theirs):,.0f}",
        f"{median(ours):,.0f}",
        f"**{ratio(ours, theirs):.2f}**",
        ", ".join(f"{one / other:.2f}" for one, other in zip(ours, theirs, strict=True)),
        " / ".join(f"{each:.2f}" for each in spent),
    )


def _allowed(figures: Figures, products: int) -> float:
    """Return the products a second that the pace allows to calls of so many products, one after another."""
    return products / PACE.seconds(round(products * figures["pictures_a_product"]))


def _limit(figures: Figures, name: str) -> str:
    """Say what the cores allow: they do all of the work, the servers' too, but for the model's."""
    ours, theirs = (median(each["cpu_seconds_a_product"] for each in runs) for runs in runs_of(figures, name))
    busy = [median(each["cores_busy"] for each in runs) for runs in runs_of(figures, name)]
    return (
        f"a product takes {1e3 * ours:.2f} ms of the machine's CPU time with Shelver and {1e3 * theirs:.2f} ms with "
        f"it, so that cores which are all busy allow {theirs / ours:.2f}; of {figures['cores']} cores {busy[0]:.2f} "
        f"were busy with Shelver, {busy[1]:.2f} with it. The model's pace allows "
        f"{_allowed(figures, BATCH) / median(rates(figures, name)[1]):.2f}."
    )


def _named(name: str) -> str:
    return f"`{name}`"
