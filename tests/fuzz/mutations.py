"""Damage done to bytes: blind, and along the structure of PNG, JPEG and BSON, to get behind their checks."""

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = b"IHDR PLTE IDAT IEND tRNS tEXt zTXt iTXt iCCP eXIf gAMA cHRM sRGB pHYs acTL fcTL fdAT tIME".split()
#: at the edges of what a length, a count or a size may be
NUMBERS = (0, 1, 4, 5, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
#: how many changes; one alone gets farthest
COUNTS = (1, 1, 1, 2, 3, 4)
LONGEST = 2**20


def mutate(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return `data` with up to four changes; some of them splice in a part of one of `others`."""
    made = bytearray(data)
    for _ in range(chance.choice(COUNTS)):
        chance.choice(CHANGES)(made, others, chance)
        del made[LONGEST:]
    if made.startswith(PNG_MAGIC) and chance.random() < 0.8:
        _mend_checksums(made)
    return bytes(made)


def _flip_bits(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_bytes(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    size = chance.randint(1, 8)
    data[start : start + size] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))]) * size


def _truncate(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _cut(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    del data[start : start + chance.choice((1, 2, 4, 16, 256))]


def _repeat(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    part = bytes(data[start : start + chance.choice((1, 4, 16, 64, 256))])
    data[start:start] = part * chance.choice((1, 2, 50))


def _insert(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    data[start:start] = chance.randbytes(chance.choice((1, 4, 30)))


def _splice(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(others)
    data[_place(data, chance) :] = other[_place(other, chance) :]


def _number(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    """Write a number somewhere, or change the one that is there by one."""
    code = chance.choice(("<i", ">I", ">H", "<H", "<q"))
    _rewrite(data, _place(data, chance), code, chance)


def _length(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    """Change a length field of the format."""
    places = list(_png_lengths(data) or _jpeg_lengths(data) or _bson_lengths(data))
    if places:
        _rewrite(data, *chance.choice(places), chance)


def _size(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    """Claim another size, often a huge one."""
    values = (*NUMBERS[:9], 100, 1000, 5000, 30_000, chance.randrange(2**16))
    if data.startswith(PNG_MAGIC) and len(data) >= 33:
        struct.pack_into(">I", data, chance.choice((16, 20)), chance.choice((*values, *NUMBERS[9:])))
        data[24:29] = bytes(chance.choice((each, chance.randrange(17))) for each in data[24:29])
    frames = [place for place, _ in _jpeg_lengths(data) if data[place - 1] & 0xF0 == 0xC0 and place + 8 < len(data)]
    if frames:
        struct.pack_into(">H", data, chance.choice(frames) + chance.choice((3, 5)), chance.choice(values))


def _add_chunk(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    """Put a chunk into a PNG, a segment into a JPEG, an element into BSON: sound by its length, within as may be."""
    content = chance.choice(
        (
            chance.randbytes(chance.randrange(40)),
            b"name\0\0" + zlib.compress(bytes(chance.choice((10, 2 * 2**20)))),
            b"Exif\0\0MM\0*\0\0\0\x08" + chance.randbytes(60),
            struct.pack(">II", chance.choice(NUMBERS), chance.choice(NUMBERS)),
        )
    )
    if data.startswith(PNG_MAGIC):
        places = [place + 12 + int.from_bytes(data[place : place + 4], "big") for place, _ in _png_lengths(data)]
        chunk = chance.choice(PNG_CHUNKS) + content
        start = chance.choice(places or [33])
        data[start:start] = struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    elif data.startswith(b"\xff\xd8"):
        start = chance.choice([place - 2 for place, _ in _jpeg_lengths(data)] or [2])
        marker = chance.choice((0xDB, 0xC4, 0xC0, 0xC2, 0xDA, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xD9))
        data[start:start] = bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2 & 0xFFFF) + content
    else:
        start = _place(data, chance)
        data[start:start] = bytes((chance.randrange(256),)) + b"imgs\0" + struct.pack("<i", len(content)) + content


def _nest(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    """Put a document before a dump whose fields lie in each other, deeper than any reader recurses."""
    if data.startswith((PNG_MAGIC, b"\xff\xd8")):
        return
    inner = b"\x05\0\0\0\0"
    kind, name = chance.choice((b"\x03", b"\x04")), chance.choice((b"a\0", b"_id\0", b"imgs\0"))
    for _ in range(chance.choice((90, 200, 960, 990, 1100, 5000))):
        inner = struct.pack("<i", len(inner) + 6 + len(name)) + kind + name + inner + b"\0"
    data[:0] = inner


CHANGES: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    *(_flip_bits, _set_bytes, _truncate, _cut, _repeat, _insert, _splice),
    *(_number, _length, _length, _size, _add_chunk, _add_chunk, _nest),
)


def _place(data: bytes | bytearray, chance: random.Random) -> int:
    """Return a place, half the time within the first 64 bytes, where the headers are."""
    return chance.randrange(min(len(data), 64) + 1) if chance.random() < 0.5 else chance.randrange(len(data) + 1)


def _rewrite(data: bytearray, place: int, code: str, chance: random.Random) -> None:
    size = struct.calcsize(code)
    if place + size > len(data):
        return
    order = "little" if code[0] == "<" else "big"
    there = int.from_bytes(data[place : place + size], order)
    number = chance.choice((there + 1, there - 1, there * 2, -there, chance.choice(NUMBERS)))
    data[place : place + size] = (number % 2 ** (8 * size)).to_bytes(size, order)


def _png_lengths(data: bytes | bytearray) -> list[tuple[int, str]]:
    places: list[tuple[int, str]] = []
    place = len(PNG_MAGIC) if data.startswith(PNG_MAGIC) else len(data)
    while place + 12 <= len(data):
        places.append((place, ">I"))
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return places


def _jpeg_lengths(data: bytes | bytearray) -> list[tuple[int, str]]:
    places: list[tuple[int, str]] = []
    place = 2 if data.startswith(b"\xff\xd8") else len(data)
    while place + 4 <= len(data) and data[place] == 0xFF:
        places.append((place + 2, ">H"))
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return places


def _bson_lengths(data: bytes | bytearray) -> Iterator[tuple[int, str]]:
    """Yield where, within the first kilobytes, a number stands that could be a length."""
    for place in range(min(len(data) - 4, 4096)):
        if 4 < int.from_bytes(data[place : place + 4], "little") <= len(data) - place:
            yield place, "<i"


def _mend_checksums(data: bytearray) -> None:
    for place, _ in _png_lengths(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 <= len(data):
            data[end : end + 4] = struct.pack(">I", zlib.crc32(bytes(data[place + 4 : end])))
