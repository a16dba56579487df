"""Which products train, which decide when to stop, which judge: by groups of shared pictures, or validation lies.

37 % of the real dump's pictures are copies. Products that share a picture, directly or through others, form a group,
and a group is on one side as a whole. Within each category the groups are spread evenly over the sides.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)


def groups_of(owners: np.ndarray, pictures: np.ndarray, products: int) -> np.ndarray:
    """Return the group of each product, int32[products], from the pictures (uint64[P] hashes) and owners."""
    ordered = np.sort(pictures)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not len(repeated):
        return np.arange(products, dtype=np.int32)
    # Only pictures that are there more than once join anything.
    place = np.minimum(np.searchsorted(repeated, pictures), len(repeated) - 1).astype(np.int32)
    joining = np.flatnonzero(repeated[place] == pictures)
    nodes = products + len(repeated)
    edges = coo_array(
        (np.ones(len(joining), np.bool_), (owners[joining], products + place[joining])), shape=(nodes, nodes)
    )
    _, component = connected_components(edges, directed=False)
    return np.unique(component[:products], return_inverse=True)[1].astype(np.int32)


def split(groups: np.ndarray, labels: np.ndarray, validation: float, test: float, seed: int) -> np.ndarray:
    """Return the side of each product, int8[N], an index into SPLITS.

    Systematic sampling: the groups of a category lie in random order along a line, and the sides are stretches of it,
    moved by a random amount. So each side has its share of every category, rounded, and of small ones on the average.
    Groups larger than a side's share train, and every category keeps a product to train on.
    """
    chance = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    sizes = np.bincount(groups)
    category = np.empty(count, labels.dtype)
    category[groups[::-1]] = labels[::-1]  # a group of several categories counts as its first product's
    order = np.lexsort((chance.permutation(count), category))
    sides = np.empty(count, np.int8)
    sides[order] = _sides(category[order], sizes[order], validation, test, chance)
    return _with_training(sides, groups, labels)[groups]


def _sides(
    category: np.ndarray, sizes: np.ndarray, validation: float, test: float, chance: np.random.Generator
) -> np.ndarray:
    """Return the side of each group, int8[G], groups being sorted by category."""
    starts = np.flatnonzero(np.diff(category, prepend=category[:1] - 1))
    stretch = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(category))))
    ends = np.cumsum(sizes)
    before = np.append(0, ends)[starts]
    totals = np.add.reduceat(sizes, starts)
    middle = (ends - sizes / 2 - before[stretch]) / totals[stretch]
    place = (middle + chance.random(len(starts))[stretch]) % 1
    drawn = np.where(place < test, TEST, np.where(place < test + validation, VALIDATION, TRAIN)).astype(np.int8)
    # A group of more than a side's share, such as all that show one placeholder, would take the side over.
    share = np.array([1, validation, test])[drawn]
    return np.where(sizes > np.maximum(1, share * totals[stretch]), TRAIN, drawn).astype(np.int8)


def _with_training(sides: np.ndarray, groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Move a group of every category that has no product to train on."""
    trained = np.unique(labels[sides[groups] == TRAIN])
    for label in np.setdiff1d(labels, trained):
        sides[groups[np.argmax(labels == label)]] = TRAIN
    return sides
