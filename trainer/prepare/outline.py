"""What a preparation will write, known before a picture is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.index import Index
from trainer.prepare.selection import Recipe, Selection, select
from trainer.prepare.shards import Plan
from trainer.prepare.split import SPLITS, groups_of, split
from worker.contract.taxonomy import Taxonomy

#: of the dump's documents in one shard
SHARD_BYTES = 2**25
#: products whose pictures are gathered at a time
AT_A_TIME = 2**16


@dataclass(frozen=True)
class Outline:
    """What will be written: known before a picture is read."""

    selection: Selection
    #: int8[N], an index into SPLITS
    sides: np.ndarray
    recipe: Recipe
    index: Index
    taxonomy: Taxonomy
    #: the category file
    categories: Path

    def products(self, side: int) -> int:
        """Return the number of products on a side."""
        return int(np.count_nonzero(self.sides == side))

    @property
    def pictures(self) -> int:
        """Pictures to be written, undecodable ones included."""
        counts = self.index.products["pictures"][self.selection.rows]
        return len(counts) if self.recipe.pictures == "first" else int(counts.sum())

    def lines(self) -> Iterator[str]:
        """Yield what will be written, for a person."""
        size = int(self.index.products["length"][self.selection.rows].sum(dtype=np.int64))
        sides = ", ".join(f"{self.products(side):,} {name}" for side, name in enumerate(SPLITS))
        yield f"{len(self.selection.rows):,} products ({sides}), {self.pictures:,} pictures, about {size / 1e9:.2f} GB"
        yield f"{len(self.selection.classes):,} classes of level {self.recipe.level}"
        for reason, count in (*self.index.left_out.items(), *self.selection.left_out.items()):
            yield f"left out: {count:,}, {reason}"
        if self.selection.corrected:
            yield f"corrected by verdicts: {self.selection.corrected:,} labels"


def outline(index: Index, categories: Path, recipe: Recipe, verdicts: Mapping[int, int] | None = None) -> Outline:
    """Choose and split; raises SelectionError, TaxonomyError."""
    taxonomy = Taxonomy.from_csv(categories)
    selection = select(index, taxonomy, recipe, verdicts or {})
    owners, pictures = _used_pictures(index, selection.rows, recipe.pictures == "first")
    groups = groups_of(owners, pictures, len(selection.rows))
    sides = split(groups, selection.labels, recipe.validation, recipe.test, recipe.seed)
    index.release()
    return Outline(selection, sides, recipe, index, taxonomy, categories)


def _used_pictures(index: Index, rows: np.ndarray, first_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return int32[P] owners (places among the rows) and uint64[P] hashes of the pictures that are used."""
    firsts = index.products["first"][rows]
    if first_only:
        return np.arange(len(rows), dtype=np.int32), index.pictures[firsts]
    counts = index.products["pictures"][rows]
    owners = np.repeat(np.arange(len(rows), dtype=np.int32), counts)
    starts = np.append(0, np.cumsum(counts, dtype=np.int64))
    pictures = np.empty(len(owners), np.uint64)
    for start in range(0, len(rows), AT_A_TIME):  # the places of all at once would be several times the hashes
        stop = min(start + AT_A_TIME, len(rows))
        within = np.arange(starts[start], starts[stop]) - np.repeat(starts[start:stop], counts[start:stop])
        places = np.repeat(firsts[start:stop], counts[start:stop]) + within
        pictures[starts[start] : starts[stop]] = index.pictures[places]
    return owners, pictures


def plans(outlined: Outline, folder: Path) -> Iterator[Plan]:
    """Cut each side into shards: a stretch of the dump each, its products in random order."""
    rows, labels = outlined.selection.rows, outlined.selection.labels
    lengths = outlined.index.products["length"][rows].astype(np.int64)
    for side, name in enumerate(SPLITS):
        places = np.flatnonzero(outlined.sides == side)
        if not len(places):
            continue
        sizes = np.cumsum(lengths[places])
        count = -(-int(sizes[-1]) // SHARD_BYTES)
        cuts = np.searchsorted(sizes, np.arange(1, count) * sizes[-1] / count)
        for number, stretch in enumerate(np.split(places, cuts)):
            shuffled = np.random.default_rng((outlined.recipe.seed, side, number)).permutation(stretch)
            yield Plan(
                folder / f"{name}-{number:05}-of-{count:05}.tfrecord",
                outlined.index.dump,
                rows[shuffled],
                labels[shuffled],
                outlined.recipe.pictures == "first",
            )
