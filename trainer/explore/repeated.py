"""Every occurrence of the pictures that occur more than once, and the labels they are under."""

from dataclasses import dataclass

import numpy as np

from trainer.explore.counts import Labels
from trainer.index import Index
from worker.contract.taxonomy import Taxonomy


@dataclass(frozen=True)
class Place:
    """One picture of one product."""

    #: its id
    product: int
    row: int
    #: among the product's pictures that are bytes
    picture: int


@dataclass(frozen=True)
class Repeated:
    """Every occurrence of the pictures that occur more than once, the same pictures together, in order of the dump."""

    #: int64[R], places among all pictures
    order: np.ndarray
    #: int32[R], the row of each one's product
    owner: np.ndarray
    #: int64[G], where the occurrences of each picture begin; and how many there are
    begins: np.ndarray
    sizes: np.ndarray
    #: int32[R], the picture of each occurrence
    group: np.ndarray

    def place(self, index: Index, occurrence: int) -> Place:
        """Return where one of the R occurrences is."""
        row = int(self.owner[occurrence])
        return Place(int(index.products["id"][row]), row, int(self.order[occurrence] - index.products["first"][row]))


def find_repeated(index: Index) -> tuple[Repeated, np.ndarray]:
    """Return the repeated pictures, and int64[D]: how often each different picture occurs."""
    order = np.argsort(index.pictures, kind="stable")
    hashes = index.pictures[order]
    begins = np.flatnonzero(np.concatenate([np.ones(min(len(hashes), 1), bool), hashes[1:] != hashes[:-1]]))
    sizes = np.diff(begins, append=len(hashes))
    order = order[np.repeat(sizes > 1, sizes)]
    counts = index.products["pictures"]
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
    kept = sizes[sizes > 1]
    group = np.repeat(np.arange(len(kept), dtype=np.int32), kept)
    return Repeated(order, owner, np.cumsum(kept) - kept, kept, group), sizes


def disagreement(repeated: Repeated, label: np.ndarray, labels: Labels, taxonomy: Taxonomy, level: int) -> np.ndarray:
    """Return int64[G]: the categories of a level that each repeated picture is under."""
    ids, ancestor = np.unique(labels.ancestors(taxonomy, level), return_inverse=True)
    groups, _ = combinations(repeated, ancestor[label], labels.known[label], len(ids))
    return np.bincount(groups, minlength=len(repeated.sizes))


def combinations(
    repeated: Repeated, label: np.ndarray, chosen: np.ndarray, labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each combination of picture and label once, in that order: int64[M] and int64[M]."""
    combined = np.unique(repeated.group[chosen].astype(np.int64) * labels + label[chosen])
    return combined // labels, combined % labels
