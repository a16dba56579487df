"""How unevenly products are spread over categories."""

import math
from dataclasses import dataclass

import numpy as np

#: of the categories that have products: the fullest, whose part of all products is told
HEAD = 0.1
#: of the products: how many of the fullest categories hold so many
COVERED = (0.5, 0.8, 0.95)
#: products of a category that is hard to learn from
FEW = 5


@dataclass(frozen=True)
class Spread:
    """Products of the categories of one level; all but `empty` is about the categories that have any."""

    categories: int
    empty: int
    #: with one product; and with 1 to FEW
    single: int
    few: int
    smallest: int
    median: float
    mean: float
    largest: int
    #: None where no category has a product, as are those below
    gini: float | None
    #: part of the products that the fullest tenth of the categories holds
    head_share: float | None
    #: part of the products that the emptier half of the categories holds
    tail_share: float | None
    #: the fewest categories that hold a part of the products, by that part
    needed: dict[float, int]


def spread(products: np.ndarray) -> Spread:
    """Describe int64[C], the products of every category."""
    held = np.sort(products[products > 0])[::-1]
    some = len(held) > 0
    return Spread(
        categories=len(products),
        empty=len(products) - len(held),
        single=int(np.count_nonzero(held == 1)),
        few=int(np.count_nonzero(held <= FEW)),
        smallest=int(held[-1]) if some else 0,
        median=float(np.median(held)) if some else 0.0,
        mean=float(held.mean()) if some else 0.0,
        largest=int(held[0]) if some else 0,
        gini=gini(held) if some else None,
        head_share=float(held[: head_size(len(held))].sum() / held.sum()) if some else None,
        tail_share=float(held[len(held) - len(held) // 2 :].sum() / held.sum()) if some else None,
        needed={share: needed_for(held, share) for share in COVERED} if some else {},
    )


def head_size(categories: int) -> int:
    """Return how many categories the fullest tenth is, at least one."""
    return math.ceil(categories * HEAD - 1e-9)


def gini(values: np.ndarray) -> float:
    """Return the Gini coefficient of int64[C]: 0 when all are equal, (C - 1) / C when one has everything.

    Half the relative mean difference (Gini, Variabilità e mutabilità, 1912), by the sorted form
    2 Σ i·x_i / (n Σ x) - (n + 1) / n.
    """
    ascending = np.sort(values).astype(np.float64)
    size = len(ascending)
    return float(2 * np.dot(np.arange(1, size + 1), ascending) / (size * ascending.sum()) - (size + 1) / size)


def needed_for(descending: np.ndarray, share: float) -> int:
    """Return how many of the fullest categories hold `share` of the products; `descending` is int64[C]."""
    reached = np.cumsum(descending)
    # Less a hair: 0.95 of 20 products is 19, which the product of floats may exceed.
    return int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))) + 1


def pictures_per_product(pictures: np.ndarray) -> dict[int, int]:
    """Return the number of products by their number of pictures, from int32[N]."""
    sizes, products = np.unique(pictures, return_counts=True)
    return dict(zip(sizes.tolist(), products.tolist(), strict=True))


def repeated_ids(ids: np.ndarray) -> int:
    """Return how many products of int64[N] have an id that an earlier one has."""
    return len(ids) - len(np.unique(ids))
