"""All that a look at a dump finds, and its main numbers as plain values for JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainer.explore.copies import Copies
from trainer.explore.counts import Counts
from trainer.explore.sheets import Sheet
from trainer.explore.statistics import FEW, Spread
from trainer.index import Index
from worker.contract.taxonomy import Taxonomy


@dataclass(frozen=True)
class Findings:
    """What the report tells."""

    index: Index
    counts: Counts
    spreads: Mapping[int, Spread]
    #: products by their number of pictures
    pictures_per_product: Mapping[int, int]
    #: products whose id an earlier one has
    repeated_ids: int
    copies: Copies
    sheets: list[Sheet]

    def warnings(self, damage: bool = True) -> list[str]:
        """Return what a person should know before the dump is used, a sentence each; `damage` can be told elsewhere."""
        told = []
        if unlisted := self.counts.unlisted:
            quoted = ", ".join(map(str, list(unlisted)[:5])) + (", …" if len(unlisted) > 5 else "")
            told.append(
                f"not in the CSV: {len(unlisted):,} categories of the dump ({quoted}), with {sum(unlisted.values()):,} "
                "products; add them to it, or these products are left out"
            )
        if self.index.damage and damage:
            told.append(str(self.index.damage))
        told += [f"left out: {count:,} documents, {reason}" for reason, count in self.index.left_out.items()]
        if self.repeated_ids:
            told.append(f"repeated ids: {self.repeated_ids:,} products have the id of an earlier one; each is counted")
        return told

    def lines(self) -> list[str]:
        """Return the main findings, a line each."""
        shelves, copies = self.spreads[3], self.copies
        share = (
            "" if shelves.head_share is None else f"; the fullest tenth holds {shelves.head_share:.0%} of the products"
        )
        return [
            f"{len(self.index.products):,} products, {copies.pictures:,} pictures; "
            f"{self.counts.unlabelled:,} products without a category",
            f"{shelves.categories - shelves.empty:,} of {shelves.categories:,} level-3 categories have products, "
            f"{shelves.single:,} have only one{share}",
            f"{copies.copies:,} pictures ({ratio(copies.copies, copies.pictures):.1%}) are copies of another; "
            f"{copies.conflicting[3]:,} different pictures are under several categories",
        ]

    def facts(self) -> dict[str, Any]:
        """Return the numbers of the report."""
        counts, level = self.counts, self.counts.levels[3]
        return {
            "dump": self.index.dump.name,
            "products": len(self.index.products),
            "pictures": self.copies.pictures,
            "products_without_category": counts.unlabelled,
            "products_with_listed_category": counts.labelled,
            "repeated_product_ids": self.repeated_ids,
            "damage": self.index.damage and str(self.index.damage),
            "left_out_documents": dict(self.index.left_out),
            "unlisted_categories": counts.unlisted,
            "levels": {str(number): asdict(each) for number, each in self.spreads.items()},
            "single_product_categories": [each.id for each in level.holding(1)],
            "categories_with_few_products": [each.id for each in level.holding(FEW)],
            "empty_categories": [each.id for each in level.holding(0, 0)],
            "pictures_per_product": self.pictures_per_product,
            "duplicates": {"copies": self.copies.copies, **asdict(self.copies)},
            "sheets": [
                {name: value for name, value in asdict(each).items() if name != "picture"} for each in self.sheets
            ],
            "categories": [
                {"id": each.id, "level": each.level, "name": each.name, "products": held[0], "pictures": held[1]}
                for each in counts.taxonomy.categories
                for held in (counts.by_id[each.id],)
            ],
        }


def ratio(part: int, whole: int) -> float:
    """Return part / whole, 0 for nothing of nothing."""
    return part / whole if whole else 0.0


def path_of(taxonomy: Taxonomy, identity: int) -> str:
    """Return a category's names from level 1 down; one that the tree lacks is told by its id."""
    if identity not in taxonomy.by_id:
        return f"category {identity}, not in the CSV"
    return taxonomy.path(identity)
