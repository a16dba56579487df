"""Pictures that occur more than once, byte for byte by their hash, and those among them whose labels disagree.

Two different pictures with one 64-bit hash are to be expected once in 250,000 dumps of 12 million pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.explore.counts import Labels
from trainer.explore.repeated import Place, Repeated, combinations, disagreement, find_repeated
from trainer.index import Index
from worker.contract.taxonomy import LEVELS, Taxonomy

#: largest groups and most frequent pairs that are told
MOST_GROUPS, MOST_PAIRS = 12, 20
#: A picture under more categories than this is a stand-in ("no photo"), which says nothing of any two of them; and
#: the pairs within a picture's categories stay bounded.
STAND_IN_CATEGORIES = 20


@dataclass(frozen=True)
class Group:
    """All occurrences of one picture."""

    occurrences: int
    products: int
    categories: int
    example: Place


@dataclass(frozen=True)
class Pair:
    """Two categories under which the same pictures are listed."""

    first: int
    second: int
    #: different pictures that both have
    pictures: int
    example: Place


@dataclass(frozen=True)
class Copies:
    """What occurs more than once."""

    pictures: int
    #: different pictures
    distinct: int
    #: pictures, each occurrence counted, that occur more than once
    shared: int
    #: copies within one product
    within_product: int
    #: different pictures by how often they occur
    occurrences: Mapping[int, int]
    largest: list[Group]
    #: different pictures under more than one category of a level, by level
    conflicting: dict[int, int]
    #: their occurrences and products, at level 3
    conflicting_occurrences: int
    conflicting_products: int
    #: different pictures under more than STAND_IN_CATEGORIES categories: in no pair
    stand_ins: int
    pairs: list[Pair]

    @property
    def copies(self) -> int:
        """Pictures that an earlier one equals."""
        return self.pictures - self.distinct


def find(index: Index, labels: Labels, taxonomy: Taxonomy) -> Copies:
    """Compare all pictures of a dump with each other; memory is a few numbers a picture."""
    repeated, sizes = find_repeated(index)
    label = labels.places[repeated.owner]
    same = (np.diff(repeated.group) == 0) & (np.diff(repeated.owner) == 0)
    disagreeing = {level: disagreement(repeated, label, labels, taxonomy, level) for level in LEVELS}
    conflicting = disagreeing[3][repeated.group] > 1
    conflicting &= labels.known[label]
    counts, pictures = np.unique(sizes, return_counts=True)
    return Copies(
        pictures=len(index.pictures),
        distinct=len(sizes),
        shared=len(repeated.order),
        within_product=int(np.count_nonzero(same)),
        occurrences=dict(zip(counts.tolist(), pictures.tolist(), strict=True)),
        largest=_largest(index, repeated, disagreeing[3]),
        conflicting={level: int(np.count_nonzero(found > 1)) for level, found in disagreeing.items()},
        conflicting_occurrences=int(np.count_nonzero(conflicting)),
        conflicting_products=len(np.unique(repeated.owner[conflicting])),
        stand_ins=int(np.count_nonzero(disagreeing[3] > STAND_IN_CATEGORIES)),
        pairs=_pairs(index, repeated, label, labels, disagreeing[3]),
    )


def _largest(index: Index, repeated: Repeated, categories: np.ndarray) -> list[Group]:
    groups = np.argsort(-repeated.sizes, kind="stable")[:MOST_GROUPS]
    found = []
    for group in groups.tolist():
        begin, size = int(repeated.begins[group]), int(repeated.sizes[group])
        products = len(np.unique(repeated.owner[begin : begin + size]))
        found.append(Group(size, products, int(categories[group]), repeated.place(index, begin)))
    return found


def _pairs(index: Index, repeated: Repeated, label: np.ndarray, labels: Labels, categories: np.ndarray) -> list[Pair]:
    """Return the most frequent pairs of categories that share pictures."""
    chosen = (categories > 1) & (categories <= STAND_IN_CATEGORIES)
    count = len(labels.ids)
    groups, places = combinations(repeated, label, chosen[repeated.group] & labels.known[label], count)
    pairs, pictures, examples = [], [], []
    for step in range(1, STAND_IN_CATEGORIES):
        together = np.flatnonzero(groups[step:] == groups[:-step])
        codes, first, number = np.unique(
            places[together] * count + places[together + step], return_index=True, return_counts=True
        )
        pairs.append(codes)
        pictures.append(number)
        examples.append(groups[together[first]])
    codes, place = np.unique(np.concatenate(pairs), return_inverse=True)
    numbers = np.bincount(place, np.concatenate(pictures), len(codes)).astype(np.int64)
    example = np.zeros(len(codes), np.int64)
    example[place[::-1]] = np.concatenate(examples)[::-1]  # the first one stays
    found = []
    for each in np.argsort(-numbers, kind="stable")[:MOST_PAIRS].tolist():
        one, other = (int(labels.ids[code]) for code in divmod(int(codes[each]), count))
        where = repeated.place(index, int(repeated.begins[example[each]]))
        found.append(Pair(one, other, int(numbers[each]), where))
    return found
