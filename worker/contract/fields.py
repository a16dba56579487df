"""Where a listing keeps what: the names of its fields in MongoDB, which each catalog chooses for itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fields:
    """Paths with dots, as MongoDB writes them."""

    #: of the product id
    id: str = "_id"
    #: of the pictures: LIST.FIELD, the list and the field that holds the bytes in each of its elements; without a dot,
    #: a list of bytes
    pictures: str = "imgs.picture"
    #: of the seller's category
    category: str = "category_id"

    @property
    def picture_list(self) -> str:
        """The path of the list of pictures."""
        return self.pictures.rpartition(".")[0] or self.pictures

    @property
    def picture_field(self) -> str | None:
        """The field in each element of the list; None when the elements are the bytes themselves."""
        return self.pictures.rpartition(".")[2] if "." in self.pictures else None


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """Return what stands at `path`, None where nothing does."""
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def touches(path: str) -> str:
    """Return a regular expression for the paths whose change changes what stands at `path`: it, below it, above it.

    Where an array is on the way, MongoDB names its elements by number.
    """
    names = [_quoted(name) for name in path.split(".")]
    parts = [r"(\.\d+)*\.".join(names[:count]) for count in range(1, len(names) + 1)]
    above = [rf"{part}(\.\d+)*" for part in parts[:-1]]
    return "^(" + "|".join([*above, rf"{parts[-1]}(\..*)?"]) + ")$"


def _quoted(name: str) -> str:
    """Quote for PCRE, which MongoDB uses; re.escape would quote blanks and more in Python's way."""
    return "".join(f"\\{each}" if each in r"\^$.|?*+()[]{}" else each for each in name)
