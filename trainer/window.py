"""Some bytes of a dump, seen as integers at every place: a window of documents is checked and read at once."""

import os
from struct import Struct

import numpy as np
from xxhash import xxh3_64_intdigest

from worker.contract.dump import MAX_DOCUMENT_BYTES

#: one row a product; `first` is the place of its first picture among all pictures
PRODUCT = np.dtype(
    [("id", "<i8"), ("category", "<i8"), ("offset", "<i8"), ("length", "<i4"), ("pictures", "<i4"), ("first", "<i8")]
)
#: where a product has no category
NO_CATEGORY = -(2**63)
#: pictures of a product that are read in place; one with more goes to the bson library
MOST_PICTURES = 10

#: 64 bits of a picture's encoded bytes; the same bytes, the same picture
picture_hash = xxh3_64_intdigest


def _constant(text: bytes) -> int:
    return int.from_bytes(text, "little", signed=len(text) == 8)


def _mask(size: int) -> int:
    return 2 ** (8 * size) - 1


_LENGTH = Struct("<i")
_ID, _IMAGES = b"\x12_id\x00", b"\x04imgs\x00"
#: a name longer than eight bytes is compared as its first and its last eight
_CATEGORY = b"\x12category_id\x00"
_KEYS = [_constant(b"\x03%d\x00" % each) for each in range(MOST_PICTURES)]
_PICTURE = _constant(b"\x05picture")
#: of one picture, from its key to its first byte; and from its first byte's embedded document to its last
_HEADER_BYTES, _WRAPPING_BYTES = 21, 19


class Window:
    """Some bytes of a dump, seen as integers at every place."""

    def __init__(self, size: int):
        self._make(size)

    def _make(self, size: int) -> None:
        self.buffer = bytearray(size + 8)
        self.size = size
        self.filled = 0
        self._bytes = np.frombuffer(self.buffer, np.uint8)
        # Unaligned, every byte the start of an integer: numpy gathers from such a view in one call.
        self._int32 = np.ndarray((size,), "<i4", self.buffer, strides=(1,))
        self._int64 = np.ndarray((size,), "<i8", self.buffer, strides=(1,))

    def read(self, descriptor: int, offset: int) -> int:
        """Fill the window from `offset` on, wide enough for a whole document; return the bytes there are."""
        self._fill(descriptor, offset)
        if self.filled == self.size:
            length = _LENGTH.unpack_from(self.buffer)[0]
            if self.size < length <= MAX_DOCUMENT_BYTES:
                self._make(length)
                self._fill(descriptor, offset)
        return self.filled

    def _fill(self, descriptor: int, offset: int) -> None:
        view = memoryview(self.buffer)[: self.size]
        self.filled = 0
        while self.filled < self.size:
            got = os.preadv(descriptor, [view[self.filled :]], offset + self.filled)
            if not got:
                break
            self.filled += got

    def first_document(self) -> int | None:
        """Return the place of the first thing that looks like a document followed by another one, or by nothing."""
        place = self.buffer.find(_ID[1:], 5, self.filled)
        while place != -1:
            start = place - 5
            length = _LENGTH.unpack_from(self.buffer, start)[0]
            after = start + length
            whole = length >= 5 and after <= self.filled and not self.buffer[after - 1]
            if whole and (after == self.filled or self.buffer.startswith(_ID[1:], after + 5)):
                return start
            place = self.buffer.find(_ID[1:], place + 1, self.filled)
        return None

    def documents(self, limit: int) -> tuple[np.ndarray, np.ndarray, str | None]:
        """Return int64[N] starts and ends of the whole documents that begin before `limit`, and what is wrong after."""
        bounds, place, damage = [0], 0, None
        append, length_at, last = bounds.append, _LENGTH.unpack_from, min(limit, self.filled)
        while place < last:
            if place + 4 > self.filled:
                break
            length = length_at(self.buffer, place)[0]
            if not 5 <= length <= MAX_DOCUMENT_BYTES:
                damage = f"a document of {length:,} bytes cannot be"
                break
            if place + length > self.filled:
                break
            place += length
            append(place)
        if not damage and place < last and self.filled < self.size:
            damage = "the file ends within a document"
        return np.array(bounds[:-1], np.int64), np.array(bounds[1:], np.int64), damage

    def fields(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return PRODUCT[N], uint64[P] picture hashes, and bool[N]: whether a document has the shape that is read here.

        {_id: Int64, category_id?: Int64, imgs: [{picture: Binary}, …]}, the category before or after the pictures. A
        row of any other document is left empty but for offset and length.
        """
        products = np.zeros(len(starts), PRODUCT)
        products["offset"], products["length"] = starts, ends - starts
        place = starts + 4
        sound = self._matches(place, _ID)
        products["id"] = self._long(place + 5)
        place += 13
        place, early, labelled = self._category(place)
        sound &= self._matches(place, _IMAGES)
        place += 6
        array_ends = place + self._int(place)
        sound &= (array_ends > place) & (array_ends < ends)
        place, begins, sizes, owners = self._pictures(place + 4, array_ends, sound)
        place, late, twice = self._category(array_ends)
        sound &= (place == ends - 1) & (self._byte(place) == 0) & ~(labelled & twice)
        products["category"] = np.where(labelled, early, late)
        chosen = np.flatnonzero(sound[owners])
        chosen = chosen[np.argsort(owners[chosen], kind="stable")]
        products["pictures"] = np.bincount(owners[chosen], minlength=len(starts))
        view, begins = memoryview(self.buffer), begins[chosen]
        places = zip(begins.tolist(), (begins + sizes[chosen]).tolist(), strict=True)
        hashes = [xxh3_64_intdigest(view[begin:end]) for begin, end in places]
        return products, np.array(hashes, np.uint64), sound

    def _category(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the place after the category, the category, and whether there is one."""
        there = (self._long(place) == _constant(_CATEGORY[:8])) & (self._long(place + 5) == _constant(_CATEGORY[-8:]))
        return place + 21 * there, np.where(there, self._long(place + 13), NO_CATEGORY), there

    def _pictures(
        self, place: np.ndarray, array_ends: np.ndarray, sound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return where pictures begin, their sizes and documents, int64[P]; clear `sound` where an array is strange."""
        begins, sizes, owners = [], [], []
        rows = np.flatnonzero(sound)
        for key in _KEYS:
            at, stop = place[rows], array_ends[rows]
            header = self._long(at)
            size = self._int(at + 16)
            fits = (
                (header & _mask(3) == key)
                & (self._long(at + 7) == _PICTURE)
                & (self._byte(at + 15) == 0)
                & (self._byte(at + 20) == 0)
                & (self._int(at + 3) == size + _WRAPPING_BYTES)
                & (size >= 0)
                & (at + _HEADER_BYTES + size + 1 < stop)
                & (self._byte(at + _HEADER_BYTES + size) == 0)
            )
            sound[rows[~fits]] = False
            rows, at, size, stop = rows[fits], at[fits], size[fits], stop[fits]
            begins.append(at + _HEADER_BYTES)
            sizes.append(size)
            owners.append(rows)
            after = at + _HEADER_BYTES + size + 1
            place[rows] = after
            rows = rows[after < stop - 1]
            if not rows.size:
                break
        sound[rows] = False  # more pictures than are read here
        sound &= (place == array_ends - 1) & (self._byte(place) == 0)
        return place, np.concatenate(begins), np.concatenate(sizes), np.concatenate(owners)

    def _matches(self, place: np.ndarray, text: bytes) -> np.ndarray:
        return self._long(place) & _mask(len(text)) == _constant(text)

    def _byte(self, place: np.ndarray) -> np.ndarray:
        return self._bytes[self._within(place)]

    def _int(self, place: np.ndarray) -> np.ndarray:
        return self._int32[self._within(place)].astype(np.int64)

    def _long(self, place: np.ndarray) -> np.ndarray:
        return self._int64[self._within(place)]

    def _within(self, place: np.ndarray) -> np.ndarray:
        """Clip: a length that points outside fails a comparison, nothing else. Below zero is far above, unsigned."""
        return np.minimum(place.view(np.uint64), np.uint64(self.size - 1)).view(np.int64)
