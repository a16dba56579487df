"""The header of a plain JPEG, as nearly every picture of a catalog is one, and its pixels.

Pillow's own reading of a header, field by field in Python, is a good part of what decoding takes. What is not plain is
left to it, and so is the last word on what cannot be decoded. It would also refuse a picture for notes in its header
that it cannot read, which nobody needs to see the picture.
"""

import struct
from dataclasses import dataclass

from PIL import Image

#: start of frame, Huffman-coded: baseline, extended, progressive
FRAMES = (0xC0, 0xC1, 0xC2)
#: those of other codings, of which there must be none
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
SCAN = 0xDA
#: what stands alone, without a length
BARE = (0x00, 0x01, 0xFF, *range(0xD0, 0xDA))
#: number of colours -> as Pillow names it
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class Header:
    """What its one frame says."""

    width: int
    height: int
    #: L or RGB
    mode: str


def read(data: bytes) -> Header | None:
    """Return the header of a JPEG of 8 bits a colour, grey or in three colours; None for whatever else it may be."""
    found, at = None, 2
    try:
        while True:
            mark, kind, length = struct.unpack_from(">BBH", data, at)
            if mark != 0xFF or kind in BARE or length < 2 or kind in OTHER_FRAMES:
                return None
            if kind == SCAN:
                return found
            if kind in FRAMES:
                depth, height, width, colours = struct.unpack_from(">BHHB", data, at + 4)
                if found or depth != 8 or not height or not width or colours not in MODES:
                    return None
                found = Header(width, height, MODES[colours])
            at += 2 + length
    except struct.error:  # it ends before its first scan
        return None


def decode(data: bytes, header: Header) -> Image.Image | None:
    """Return the picture, bit for bit as Pillow opens it where it does; None where it cannot be decoded whole."""
    try:
        return Image.frombytes(header.mode, (header.width, header.height), data, "jpeg", header.mode, "")
    except (ValueError, OSError):
        return None
