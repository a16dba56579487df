"""Which products are trained on, under which category: seeded, and the same for the same dump, tree and recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.index import Index
from trainer.window import NO_CATEGORY
from worker.contract.errors import ShelverError
from worker.contract.taxonomy import Taxonomy

#: of every category so many products come before the rest of a sample is drawn: one to learn from, one to judge by
COVERED = 2
QUOTED = 10
WITHOUT = "category left out"


class SelectionError(ShelverError):
    """The dump, the categories and the recipe do not make training data."""


class Recipe(BaseModel):
    """What `prepare` takes from a dump."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal[2, 3] = Field(3, description="level of the classes")
    sample: int | None = Field(None, ge=2, description="products drawn from the whole dump; all when left out")
    minimum: int = Field(2, ge=1, description="products that a category needs to become a class")
    cap: int | None = Field(None, ge=1, description="products that a category has at most")
    pictures: Literal["all", "first"] = Field("all", description="pictures of a product that are used")
    validation: float = Field(0.1, ge=0, lt=1, description="share of the products that decides when training stops")
    test: float = Field(0.1, ge=0, lt=1, description="share of the products that the model is scored on, and no more")
    seed: int = Field(1, ge=0, description="decides sample, cap, split and order")
    without: tuple[int, ...] = Field((), description="categories to leave out, by id")

    @model_validator(mode="after")
    def _something_trains(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave nothing to train on")
        return self


def recipe_of(base: Recipe | None, options: Mapping[str, object]) -> Recipe:
    """Return `base` with the options that are set; raises SelectionError that names each one that is wrong."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Recipe.model_validate({**(base.model_dump() if base else {}), **given})
    except ValidationError as error:
        problems = "; ".join(
            f"--{each['loc'][0]} {each['input']!r}: {each['msg']}" if each["loc"] else each["msg"]
            for each in error.errors()
        )
        raise SelectionError(f"these options make no recipe: {problems}") from error


@dataclass(frozen=True)
class Selection:
    """The chosen products, in order of the dump."""

    #: int32[N]: rows of the index
    rows: np.ndarray
    #: int32[N]: place of each one's category among the classes
    labels: np.ndarray
    #: category ids in order
    classes: list[int]
    #: products that are not in it, by reason
    left_out: dict[str, int]
    #: products whose label a verdict changed
    corrected: int


def select(index: Index, taxonomy: Taxonomy, recipe: Recipe, verdicts: Mapping[int, int]) -> Selection:
    """Choose by `recipe`; `verdicts` (product id -> level-3 category id) correct the sellers' labels.

    First the sample is drawn, then categories with too few products go, then full ones are cut. Raises
    SelectionError when fewer than two classes remain, or a category is not in the tree.
    """
    left_out: dict[str, int] = {}

    def keep(rows: np.ndarray, kept: np.ndarray, reason: str) -> np.ndarray:
        if gone := len(rows) - int(np.count_nonzero(kept)):
            left_out[reason] = left_out.get(reason, 0) + gone
        return rows[kept]

    categories = np.array(index.products["category"])
    corrected = _correct(categories, index, verdicts)
    rows = np.arange(len(categories))
    rows = keep(rows, _first_of_each(index.products["id"]), "id seen before")
    rows = keep(rows, categories[rows] != NO_CATEGORY, "no category")
    rows = keep(rows, ~np.isin(categories[rows], recipe.without), WITHOUT)
    labels = np.zeros(len(categories), np.int64)
    labels[rows] = _at_level(categories[rows], taxonomy, recipe.level)
    rows = keep(rows, ~np.isin(labels[rows], recipe.without), WITHOUT)
    # Every product has its place in one random order; sample and cap take the first ones.
    order = np.random.default_rng(recipe.seed).permutation(len(categories))
    if recipe.sample:
        rows = keep(rows, _covering(labels[rows], order[rows], recipe.sample), "not in the sample")
    rows = keep(rows, _counts_of(labels[rows]) >= recipe.minimum, "category below the minimum")
    if recipe.cap:
        rows = keep(rows, _ranks(labels[rows], order[rows]) < recipe.cap, "above the cap")
    classes, places = np.unique(labels[rows], return_inverse=True)
    if len(classes) < 2:
        raise SelectionError(
            f"{index.dump} has training products of {len(classes)} categories, and at least 2 are needed: lower "
            "--minimum, or give a training dump"
        )
    return Selection(rows.astype(np.int32), places.astype(np.int32), classes.tolist(), left_out, corrected)


def _correct(categories: np.ndarray, index: Index, verdicts: Mapping[int, int]) -> int:
    if not verdicts:
        return 0
    rows = index.rows(verdicts)
    decided = np.fromiter(verdicts.values(), np.int64)[rows >= 0]
    rows = rows[rows >= 0]
    changed = int(np.count_nonzero(categories[rows] != decided))
    categories[rows] = decided
    return changed


def _first_of_each(ids: np.ndarray) -> np.ndarray:
    first = np.zeros(len(ids), bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first


def _at_level(categories: np.ndarray, taxonomy: Taxonomy, level: int) -> np.ndarray:
    """Return the ancestor of each level-3 category, int64[N]."""
    known = {category.id for category in taxonomy.level(3)}
    distinct, place = np.unique(categories, return_inverse=True)
    strange = [each for each in distinct.tolist() if each not in known]
    if strange:
        more = f" and {len(strange) - QUOTED} more" if len(strange) > QUOTED else ""
        raise SelectionError(
            "there are products or verdicts of categories that the category file lacks: "
            f"{', '.join(map(str, strange[:QUOTED]))}{more}; add their lines to it, or leave them out with --without"
        )
    return np.array([taxonomy.ancestor(each, level) for each in distinct.tolist()], np.int64)[place]


def _ranks(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the place of each product within its category in random order, int64[N], from 0."""
    sorting = np.lexsort((order, labels))
    starts = np.flatnonzero(np.diff(labels[sorting], prepend=labels[sorting[:1]] - 1))
    sizes = np.diff(np.append(starts, len(labels)))
    ranks = np.empty(len(labels), np.int64)
    ranks[sorting] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return ranks


def _covering(labels: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Return bool[N]: a uniform sample, but for COVERED products of each category that come first."""
    urgency = np.minimum(_ranks(labels, order), COVERED)
    chosen = np.zeros(len(labels), bool)
    chosen[np.lexsort((order, urgency))[:size]] = True
    return chosen


def _counts_of(labels: np.ndarray) -> np.ndarray:
    """Return the size of each product's category, int64[N]."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[place]
