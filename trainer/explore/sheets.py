"""Contact sheets: pictures of one category side by side. They and the examples are all that is read from the dump."""

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainer.explore.counts import Counts, Labels
from trainer.explore.repeated import Place
from trainer.index import Index
from trainer.pictures import PictureFault, opened

#: pixels of a tile's side and of the gap around it
TILE, GAP = 120, 4
COLUMNS = 8
MOST_TILES = 24
GREY, WHITE = (176, 182, 187), (255, 255, 255)


@dataclass(frozen=True)
class Sheet:
    """Some products of a category."""

    category_id: int
    products: int
    #: ids of the products shown, row by row
    shown: list[int]
    undecodable: int
    #: data URI of a JPEG; empty without products
    picture: str


def usual_choice(counts: Counts) -> list[int]:
    """Return the ids of a handful of level-3 categories: from the fullest over the median to one of the emptiest."""
    level = counts.levels[3]
    ranked = level.ranked[level.products[level.ranked] > 0]
    places = np.linspace(0, len(ranked) - 1, min(len(ranked), 5)).round().astype(int)
    return [level.categories[place].id for place in ranked[places].tolist()]


def draw(index: Index, labels: Labels, counts: Counts, identity: int) -> Sheet:
    """Draw the first pictures of products spread evenly over the dump.

    `identity` is a category of any level, or one that the dump names and the tree lacks. Raises DumpIndexError when the
    dump has changed.
    """
    under = labels.ids == identity
    known = counts.taxonomy.by_id.get(identity)
    if known and known.level < 3:
        shelves = [each.id for each in counts.taxonomy.level(3)]
        under = (labels.ancestors(counts.taxonomy, known.level) == identity) & np.isin(labels.ids, shelves)
    rows = np.flatnonzero(under[labels.places])
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_TILES)).round().astype(int)]
    tiles, undecodable = [], 0
    for product in index.read(chosen.tolist()):
        tile = decode(next(each for each in product.pictures if each is not None))
        undecodable += tile is None
        tiles.append(tile)
    shown = index.products["id"][chosen].tolist()
    return Sheet(identity, len(rows), shown, undecodable, _to_uri(_arrange(tiles)) if tiles else "")


def example(index: Index, place: Place) -> str:
    """Return a single picture as a data URI; raises DumpIndexError when the dump has changed."""
    (product,) = index.read([place.row])
    pictures = [each for each in product.pictures if each is not None]
    return _to_uri(decode(pictures[place.picture]) or _blank())


def decode(picture: bytes) -> Image.Image | None:
    """Return a picture in the middle of a white tile of TILE x TILE; None for what is no sound JPEG or PNG."""
    try:
        # Warnings are about oddities of the file that do no harm.
        with warnings.catch_warnings(action="ignore"), opened(picture) as image:
            image.load()
            small = _eight_bits(image).convert("RGBA")
    except PictureFault:
        return None
    small.thumbnail((TILE, TILE))
    tile = Image.new("RGB", (TILE, TILE), WHITE)
    tile.paste(small, ((TILE - small.width) // 2, (TILE - small.height) // 2), small)
    return tile


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 16 bits of grey as 8; convert alone would turn all but the darkest white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 2**16 - 1) // 257).astype(np.uint8))
    return image


def _blank() -> Image.Image:
    return Image.new("RGB", (TILE, TILE), GREY)


def _arrange(tiles: Sequence[Image.Image | None]) -> Image.Image:
    columns = min(len(tiles), COLUMNS)
    step = TILE + GAP
    sheet = Image.new("RGB", (columns * step - GAP, -(-len(tiles) // COLUMNS) * step - GAP), WHITE)
    for place, tile in enumerate(tiles):
        sheet.paste(tile or _blank(), (place % COLUMNS * step, place // COLUMNS * step))
    return sheet


def _to_uri(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
