"""Which products are held out: decided by picture hash, or validation lies.

37 % of the real dump's pictures are copies. Products that share a picture, directly or through others, form a
group, and a group is held out as a whole.
"""

import hashlib
from collections.abc import Iterable, Sequence


def picture_hash(picture: bytes) -> int:
    """Return 64 bits of BLAKE2b over the encoded bytes."""
    return int.from_bytes(hashlib.blake2b(picture, digest_size=8).digest(), "big")


class Groups:
    """Union-find over picture hashes (Tarjan, 1975, with path halving)."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def join(self, pictures: Sequence[int]) -> None:
        """Put the pictures of one product into one group; the smallest hash stands for it."""
        roots = sorted({self.root(picture) for picture in pictures})
        for other in roots[1:]:
            self._parent[other] = roots[0]

    def root(self, picture: int) -> int:
        """Return the hash that stands for the picture's group."""
        parent = self._parent
        parent.setdefault(picture, picture)
        while parent[picture] != picture:
            parent[picture] = parent[parent[picture]]
            picture = parent[picture]
        return picture


def held_out(products: Iterable[tuple[int, Sequence[int]]], fraction: float, seed: int) -> set[int]:
    """Return the ids to hold out of (product id, picture hashes): about `fraction` of the groups, by seeded hash."""
    products = list(products)
    groups = Groups()
    for _, pictures in products:
        groups.join(pictures)
    return {identity for identity, pictures in products if _draw(groups.root(pictures[0]), seed) < fraction}


def _draw(group: int, seed: int) -> float:
    """Return a number in 0..1 that depends on the group and the seed alone."""
    digest = hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
