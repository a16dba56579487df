"""Plain JPEGs read past Pillow's parser: the same header, the same pixels, and a doubt wherever there is one."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from tests.pictures import draw, encode, jpeg
from worker import jpeg as plain

SOUND = jpeg(1)
#: length and all of the one frame of SOUND
FRAME = SOUND.index(b"\xff\xc0")
FRAME_END = FRAME + 2 + struct.unpack_from(">H", SOUND, FRAME + 2)[0]

KINDS = {
    "baseline": lambda: SOUND,
    "progressive": lambda: encode(draw(2), "JPEG", progressive=True),
    "grey": lambda: encode(draw(3).convert("L"), "JPEG"),
    "a comment": lambda: encode(draw(4), "JPEG", comment=b"\xff\xc0\x00\x11" * 50),
    "an orientation": lambda: encode(draw(5), "JPEG", exif=_turned()),
    "colours kept as they are": lambda: encode(draw(6), "JPEG", keep_rgb=True),
    "wide": lambda: encode(draw(7).resize((333, 21)), "JPEG"),
}

DOUBTFUL = {
    "nothing": b"",
    "its start alone": SOUND[:2],
    "cut in the header": SOUND[: FRAME + 6],
    "no scan": SOUND[: SOUND.index(b"\xff\xda")],
    "two frames": SOUND[:FRAME_END] + SOUND[FRAME:],
    "no frame": SOUND[:FRAME] + SOUND[FRAME_END:],
    "arithmetic coding": SOUND.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "12 bits a colour": SOUND[: FRAME + 4] + b"\x0c" + SOUND[FRAME + 5 :],
    "no height": SOUND[: FRAME + 5] + b"\0\0" + SOUND[FRAME + 7 :],
    "a field of no length": SOUND[:2] + b"\xff\xe0\0\0" + SOUND[2:],
    "filled up": SOUND[:2] + b"\xff" + SOUND[2:],
    "four colours": encode(draw(8).convert("CMYK"), "JPEG"),
    "PNG": encode(draw(9), "PNG"),
}


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_jpeg_is_what_pillow_sees(kind: str) -> None:
    """Size, mode and every pixel."""
    data = KINDS[kind]()
    opened = Image.open(io.BytesIO(data))
    header = plain.read(data)
    assert header == plain.Header(*opened.size, opened.mode)
    decoded = plain.decode(data, header)
    assert decoded is not None
    assert np.array_equal(np.asarray(decoded), np.asarray(opened))


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_a_doubt_is_left_to_pillow(kind: str) -> None:
    """Where the header is not that of a plain JPEG from start to scan, nothing is said of it."""
    assert plain.read(DOUBTFUL[kind]) is None


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_a_cut_picture_is_not_decoded(at: float) -> None:
    """Its header is sound, which is all that is read; decoding tells, as Pillow does."""
    data = SOUND[: int(at * len(SOUND))]
    header = plain.read(data)
    assert header is not None
    assert plain.decode(data, header) is None
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data)).load()


def test_a_note_that_nobody_can_read_does_not_matter() -> None:
    """Pillow would not open the picture for an application's note cut short; its pixels are sound all the same."""
    noted = SOUND[:2] + b"\xff\xee\x00\x07Adobe" + SOUND[2:]
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(noted))
    header = plain.read(noted)
    assert header is not None
    assert np.array_equal(np.asarray(plain.decode(noted, header)), np.asarray(Image.open(io.BytesIO(SOUND))))
