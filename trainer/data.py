"""Prepared data: the folder that `prepare` makes and `fit` and `evaluate` read. Its manifest says what is in it."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from worker.contract.errors import ShelverError
from worker.contract.taxonomy import Taxonomy

MANIFEST, CATEGORIES = "manifest.json", "category_names.csv"
FORMAT = 1


class DataError(ShelverError):
    """The folder holds no prepared data, or not whole."""


@dataclass(frozen=True)
class Split:
    """One side of the data: train, validation or test."""

    #: TFRecord files in order
    shards: list[Path]
    products: int
    pictures: int
    #: products of each class
    counts: list[int]


@dataclass(frozen=True)
class Data:
    """Shards of products with their pictures and classes."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a manifest; raises DataError when there is none or a shard is missing or cut."""
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            if manifest["format"] != FORMAT:
                raise ValueError(f"it is of format {manifest['format']}, not {FORMAT}")
            for name, shard in manifest["shards"].items():
                if (folder / name).stat().st_size != shard["bytes"]:
                    raise ValueError(f"{name} is cut")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} is no prepared data ({error}): make it with shelver-trainer prepare") from error
        return cls(folder, manifest)

    @property
    def classes(self) -> list[int]:
        """Category ids, all of one level, in the order of the labels."""
        return self.manifest["classes"]

    @property
    def level(self) -> int:
        """Level of the classes."""
        return self.manifest["recipe"]["level"]

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The tree it was prepared with."""
        return Taxonomy.from_csv(self.folder / CATEGORIES)

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Return the sides by name."""
        return {name: self._split(name) for name in self.manifest["splits"]}

    def _split(self, name: str) -> Split:
        facts = self.manifest["splits"][name]
        shards = [self.folder / shard for shard in facts["shards"]]
        return Split(shards, facts["products"], facts["pictures"], facts["counts"])

    def describe(self) -> str:
        """Return one line on what it is."""
        train = self.splits["train"]
        pictures = "first pictures" if self.manifest["recipe"]["pictures"] == "first" else "pictures"
        return f"{train.products:,} products, {train.pictures:,} {pictures} of {self.manifest['dump']['name']}"
