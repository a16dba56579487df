"""What grows, to which sizes, and what a product takes at each."""

import random
from collections.abc import Callable
from dataclasses import dataclass

#: of each, its median and what its runs were
Microseconds = dict[str, list[float]]


@dataclass(frozen=True)
class Axis:
    """One thing that grows while all else stays."""

    unit: str
    #: size -> runs
    sizes: dict[int, int]
    #: products of a run, where they are not what grows
    products: int = 0

    def small(self) -> "Axis":
        """Return the same to be tried."""
        shrunk = {size // 20 if size > 512 else size: 1 for size in self.sizes}
        return Axis(self.unit, shrunk, self.products // 4)


AXES = {
    "products": Axis("products in the backlog, and in the store at its end", {1000: 5, 10_000: 3, 100_000: 2}),
    "pages": Axis("products in a page", dict.fromkeys((8, 16, 32, 64, 128, 256, 512), 3), 4096),
    "children": Axis("children of the worker", dict.fromkeys((1, 2, 3, 4), 3), 6144),
    "depth": Axis("products that wait behind", dict.fromkeys((0, 10_000, 100_000, 1_000_000), 3), 4096),
}


def in_turns(axis: Axis, seconds: Callable[[int], float], seed: int = 1) -> Microseconds:
    """Run each size so often, in rounds of which each has an order of its own; return the microseconds of a product."""
    chance, found = random.Random(seed), {str(size): [] for size in axis.sizes}
    for turn in range(max(axis.sizes.values())):
        sizes = [size for size, runs in axis.sizes.items() if runs > turn]
        for size in chance.sample(sizes, len(sizes)):
            found[str(size)].append(1e6 * seconds(size) / (axis.products or size))
    return found
