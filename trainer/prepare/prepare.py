"""Write training data, in parallel and resumable: the same dump, tree, verdicts and recipe give the same bytes."""

import csv
import hashlib
import json
import logging
import multiprocessing
import os
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data import CATEGORIES, FORMAT, MANIFEST, Data
from trainer.index import Index
from trainer.prepare.selection import QUOTED, Recipe, Selection, SelectionError, select
from trainer.prepare.shards import DONE, Plan, ShardError, Written, write
from trainer.prepare.split import SPLITS, groups_of, split
from worker.contract.taxonomy import Taxonomy

logger = logging.getLogger("trainer")

#: of the dump's documents in one shard
SHARD_BYTES = 2**25
PLAN, UNDECODABLE = "plan.json", "undecodable.csv"


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
    return Outline(selection, sides, recipe, index, taxonomy, categories)


def _used_pictures(index: Index, rows: np.ndarray, first_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return int64[P] owners (places among the rows) and uint64[P] hashes of the pictures that are used."""
    counts = index.products["pictures"][rows].astype(np.int64)
    firsts = index.products["first"][rows]
    if first_only:
        return np.arange(len(rows)), index.pictures[firsts]
    owners = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owners, index.pictures[firsts[owners] + within]


def prepare(
    outlined: Outline, folder: Path, advance: Callable[[int], None] = lambda _: None, processes: int | None = None
) -> Data:
    """Write the shards and their manifest to `folder`, which appears when all is done; `advance` is told pictures.

    What is unfinished stands in FOLDER.part, and the same call goes on from the shards that are whole. Raises
    SelectionError when the folder is taken, or a class has no picture that decodes; ShardError.
    """
    if folder.exists():
        raise SelectionError(f"{folder} exists: choose another --output, or remove it")
    draft = folder.with_name(f"{folder.name}.part")
    plans = list(_plans(outlined, draft))
    facts = _facts(outlined, plans)
    try:
        _begin(draft, facts)
        shutil.copyfile(outlined.categories, draft / CATEGORIES)
        try:
            written = _write_all(plans, advance, processes or os.cpu_count() or 1)
        finally:  # of the processes that were stopped in the middle, by us or by whatever killed the last attempt
            for half in draft.glob("*.part"):
                half.unlink()
        manifest = _manifest(facts, written, len(outlined.selection.classes))
        _check_classes(outlined, manifest, draft)
        _list_undecodable(draft / UNDECODABLE, written)
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=1))
    except OSError as error:
        raise ShardError(
            f"{draft} cannot be written ({error.strerror}): free some room and run the same command again"
        ) from error
    for path in (*draft.glob(f"*{DONE}"), draft / PLAN):
        path.unlink()
    draft.rename(folder)
    return Data.open(folder)


def _plans(outlined: Outline, draft: Path) -> Iterator[Plan]:
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
                draft / f"{name}-{number:05}-of-{count:05}.tfrecord",
                outlined.index.dump,
                rows[shuffled],
                labels[shuffled],
                outlined.recipe.pictures == "first",
            )


def _facts(outlined: Outline, plans: list[Plan]) -> dict[str, Any]:
    """Return what is known beforehand; two preparations with the same facts write the same bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for plan in plans:
        digest.update(outlined.index.products[plan.rows].tobytes() + plan.labels.tobytes())
    return {
        "format": FORMAT,
        "dump": {"name": outlined.index.dump.name, "bytes": outlined.index.dump.stat().st_size},
        "recipe": outlined.recipe.model_dump(mode="json"),
        "plan": digest.hexdigest(),
        "left_out": outlined.selection.left_out,
        "documents_left_out": dict(sorted(outlined.index.left_out.items())),
        "labels_corrected": outlined.selection.corrected,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("shelver", "numpy", "pillow", "scipy", "xxhash")},
        },
        "classes": outlined.selection.classes,
    }


def _begin(draft: Path, facts: dict[str, Any]) -> None:
    plan = draft / PLAN
    if draft.exists() and (not plan.exists() or json.loads(plan.read_text()) != facts):
        raise SelectionError(f"{draft} holds another unfinished preparation: remove it, or choose another --output")
    draft.mkdir(parents=True, exist_ok=True)
    plan.write_text(json.dumps(facts))


def _write_all(plans: list[Plan], advance: Callable[[int], None], processes: int) -> dict[str, Written]:
    """Write the shards that are not there yet; return what became of each, by file name."""
    done = sum(plan.done.exists() for plan in plans)
    if done:
        logger.info("going on: %d of %d shards are written", done, len(plans))
    written = {}
    with multiprocessing.get_context("spawn").Pool(min(processes, len(plans))) as pool:
        for plan, result in zip(plans, pool.imap(write, plans), strict=True):
            written[plan.path.name] = result
            advance(result.pictures + len(result.undecodable))
    return written


def _manifest(facts: dict[str, Any], written: Mapping[str, Written], classes: int) -> dict[str, Any]:
    splits = {}
    for name in SPLITS:
        shards = {each: result for each, result in written.items() if each.startswith(f"{name}-")}
        counts = sum((Counter(result.counts) for result in shards.values()), Counter())
        splits[name] = {
            "products": sum(result.products for result in shards.values()),
            "pictures": sum(result.pictures for result in shards.values()),
            "shards": sorted(shards),
            "counts": [counts[str(place)] for place in range(classes)],
        }
    return {
        **facts,
        "undecodable_pictures": sum(len(result.undecodable) for result in written.values()),
        "products_without_picture": sum(result.without_picture for result in written.values()),
        "splits": splits,
        "shards": {name: {"bytes": each.bytes, "blake2b": each.digest} for name, each in sorted(written.items())},
    }


def _check_classes(outlined: Outline, manifest: dict[str, Any], draft: Path) -> None:
    empty = [place for place, count in enumerate(manifest["splits"]["train"]["counts"]) if not count]
    if not empty:
        return
    shutil.rmtree(draft)
    categories = [outlined.taxonomy.by_id[outlined.selection.classes[place]] for place in empty]
    named = ", ".join(f"{each.id} ({each.name})" for each in categories[:QUOTED])
    raise SelectionError(
        f"{len(empty)} categories have no picture to train on that decodes: {named}; leave them out with "
        + " ".join(f"--without {each.id}" for each in categories[:QUOTED])
    )


def _list_undecodable(path: Path, written: Mapping[str, Written]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", "picture", "problem"))
        for result in written.values():
            writer.writerows(result.undecodable)
