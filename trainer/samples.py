"""Labelled pictures from a dump."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainer.split import held_out, picture_hash
from worker.contract import dump
from worker.contract.errors import ShelverError
from worker.contract.product import DocumentError, Product
from worker.contract.rejects import Reason
from worker.contract.taxonomy import Taxonomy

logger = logging.getLogger("trainer")

QUOTED = 10


class SamplesError(ShelverError):
    """The dump and the categories do not make a training set."""


@dataclass
class Reading:
    """What reading a dump came upon beside products."""

    #: documents that are no labelled product, by reason
    left_out: Counter[str] = field(default_factory=Counter)
    #: where the dump ended before its time
    damage: dump.DumpError | None = None


@dataclass
class Census:
    """What one pass over a dump found."""

    #: ids of the held-out products
    held_out: set[int]
    #: ids of the categories that training products have, in order: the classes
    classes: list[int]
    products: int
    pictures: int
    reading: Reading

    def undecodable(self, _product: int) -> None:
        """Count a picture that does not decode."""
        self.reading.left_out["undecodable pictures"] += 1


def labelled(path: Path, reading: Reading) -> Iterator[tuple[Product, int, list[bytes]]]:
    """Yield (product, category id, its pictures), noting in `reading` what is left out and where damage begins."""
    try:
        for record in dump.read(path):
            try:
                product = Product.from_document(record.document)
            except DocumentError as error:
                reading.left_out[error.reason] += 1
                continue
            pictures = [each for each in product.pictures if each is not None]
            if product.category_id is None or not pictures:
                reading.left_out["no category" if pictures else Reason.NOT_BYTES] += 1
                continue
            yield product, product.category_id, pictures
    except dump.DumpError as error:
        reading.damage = error


def take_census(path: Path, taxonomy: Taxonomy, fraction: float, seed: int) -> Census:
    """Read the dump once, by hashes alone, and split it; raises SamplesError when nothing can be trained."""
    reading = Reading()
    hashes: list[tuple[int, list[int]]] = []
    labels: dict[int, int] = {}
    for product, category, pictures in labelled(path, reading):
        hashes.append((product.id, [picture_hash(each) for each in pictures]))
        labels[product.id] = category
    if reading.damage:
        logger.warning("%s", reading.damage)
    _check_labels(path, labels, taxonomy)
    held = held_out(hashes, fraction, seed)
    classes = sorted({category for identity, category in labels.items() if identity not in held})
    if len(classes) < 2:
        raise SamplesError(
            f"{path} has training products of {len(classes)} categories, and at least 2 are needed: "
            "is it a training dump?"
        )
    return Census(held, classes, len(hashes), sum(len(each) for _, each in hashes), reading)


def _check_labels(path: Path, labels: dict[int, int], taxonomy: Taxonomy) -> None:
    known = {category.id for category in taxonomy.level(3)}
    strange = sorted(set(labels.values()) - known)
    if strange:
        named = ", ".join(map(str, strange[:QUOTED])) + (
            f" and {len(strange) - QUOTED} more" if len(strange) > QUOTED else ""
        )
        raise SamplesError(
            f"{path} has products of categories that the category file lacks: {named}; add their lines to it"
        )
