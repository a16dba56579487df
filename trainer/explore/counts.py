"""Products and pictures of every category, at each level; and the labels that the tree does not know."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trainer.index import Index
from trainer.window import NO_CATEGORY
from worker.contract.taxonomy import LEVELS, Category, Taxonomy


@dataclass(frozen=True)
class Labels:
    """The category of every product, as a place in the list of those that the dump names."""

    #: int64[K], ascending; NO_CATEGORY is the first where products without a category exist
    ids: np.ndarray
    #: int32[N], a place in `ids`, in order of the dump
    places: np.ndarray

    @cached_property
    def known(self) -> np.ndarray:
        """bool[K]: False for NO_CATEGORY."""
        return self.ids != NO_CATEGORY

    def ancestors(self, taxonomy: Taxonomy, level: int) -> np.ndarray:
        """Return int64[K]: the id of each label's category at `level`; a label that the tree lacks stays as it is."""
        nodes = taxonomy.by_id
        return np.array([taxonomy.ancestor(each, level) if each in nodes else each for each in self.ids.tolist()], int)


def labels_of(index: Index) -> Labels:
    """Return the labels of a dump's products."""
    ids, places = np.unique(index.products["category"], return_inverse=True)
    return Labels(ids, places.astype(np.int32))


@dataclass(frozen=True)
class Level:
    """All categories of one level, in order of id, with what they hold."""

    level: int
    categories: Sequence[Category]
    #: int64[C]
    products: np.ndarray
    #: int64[C]
    pictures: np.ndarray

    @cached_property
    def ranked(self) -> np.ndarray:
        """int64[C]: places from the fullest category to the emptiest; among equals the lower id first."""
        return np.argsort(-self.products, kind="stable")

    def holding(self, most: int, least: int = 1) -> list[Category]:
        """Return the categories that have between `least` and `most` products, fullest first."""
        chosen = self.ranked[(self.products[self.ranked] >= least) & (self.products[self.ranked] <= most)]
        return [self.categories[place] for place in chosen.tolist()]


@dataclass(frozen=True)
class Counts:
    """What the categories hold."""

    taxonomy: Taxonomy
    levels: dict[int, Level]
    #: products without a category
    unlabelled: int
    #: products by category id of the dump that is not a level-3 category of the tree, most first
    unlisted: dict[int, int]

    @property
    def labelled(self) -> int:
        """Products whose category is in the tree."""
        return int(self.levels[3].products.sum())

    @cached_property
    def by_id(self) -> dict[int, tuple[int, int]]:
        """Products and pictures by category id, of all levels."""
        return {
            category.id: (products, pictures)
            for level in self.levels.values()
            for category, products, pictures in zip(
                level.categories, level.products.tolist(), level.pictures.tolist(), strict=True
            )
        }


def count(index: Index, labels: Labels, taxonomy: Taxonomy) -> Counts:
    """Count the products and pictures of every category of the tree."""
    products = np.bincount(labels.places, minlength=len(labels.ids))
    # As floats, which are exact up to 2**53.
    pictures = np.bincount(labels.places, index.products["pictures"], len(labels.ids)).astype(np.int64)
    shelves = np.array([category.id for category in taxonomy.level(3)])
    listed = np.isin(labels.ids, shelves)
    levels = {}
    for level in LEVELS:
        categories = taxonomy.level(level)
        ids = np.array([category.id for category in categories])
        places = np.searchsorted(ids, labels.ancestors(taxonomy, level)[listed])
        levels[level] = Level(
            level, categories, _sums(places, products[listed], len(ids)), _sums(places, pictures[listed], len(ids))
        )
    strange = np.flatnonzero(~listed & labels.known)
    strange = strange[np.argsort(-products[strange], kind="stable")]
    unlisted = dict(zip(labels.ids[strange].tolist(), products[strange].tolist(), strict=True))
    return Counts(taxonomy, levels, int(products[~labels.known].sum()), unlisted)


def _sums(places: np.ndarray, values: np.ndarray, length: int) -> np.ndarray:
    sums = np.zeros(length, np.int64)
    np.add.at(sums, places, values)
    return sums
