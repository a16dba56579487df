"""Pictures as sellers upload them: sound ones become rows, unsound ones a reason, and nothing stops the page."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import draw, encode, huge_png, jpeg
from worker.contract.product import Product
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.pictures import Batch, Stacker, groups

SIDE = 180
SETTINGS = Settings()
BOTH = pytest.mark.parametrize("signature", list(Signature), ids=["pixels", "jpeg"])


def stacker(signature: Signature = Signature.PIXELS, side: int | None = SIDE, **changes: int) -> Stacker:
    return Stacker(Settings(**changes), signature, side)


def pixels(picture: bytes, side: int | None = SIDE) -> np.ndarray:
    """The row of a single picture, uint8[side, side, 3]."""
    batch, rejects = stacker(side=side).stack([Product(1, (picture,))])
    assert rejects == []
    return np.asarray(batch.pictures[0])


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def row_count(batch: Batch) -> int:
    return len(batch.pictures)


def palette_with_transparency() -> bytes:
    """A red square with a transparent hole, as design tools write small PNGs."""
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(0, (40, 40, 80, 80))
    return encode(image, "PNG", transparency=0)


def sixteen_bit(**options: int) -> bytes:
    """A scanner's grey PNG, 16 bits a pixel, dark to light from left to right."""
    ramp = np.linspace(0, 65535, SIDE).astype(np.uint16)
    return encode(Image.fromarray(np.tile(ramp, (SIDE, 1))), "PNG", **options)


def scans(count: int) -> bytes:
    """A progressive JPEG that goes over its picture this often: its last scan comes again and again."""
    picture = encode(draw(1), "JPEG", progressive=True)
    start = picture.rindex(b"\xff\xda")
    return picture[:start] + (count - picture.count(b"\xff\xda") + 1) * picture[start:-2] + picture[-2:]


UNSOUND: dict[str, tuple[bytes | None, Reason, str]] = {
    "not bytes": (None, Reason.NOT_BYTES, "is not binary data"),
    "empty": (b"", Reason.WRONG_FORMAT, "is neither JPEG nor PNG (is empty)"),
    "text": (b"http://shop/1.jpg", Reason.WRONG_FORMAT, "is neither JPEG nor PNG (starts with b'http://s')"),
    "GIF": (encode(draw(1), "GIF"), Reason.WRONG_FORMAT, "is neither JPEG nor PNG (starts with b'GIF8"),
    "BMP": (encode(draw(1), "BMP"), Reason.WRONG_FORMAT, "is neither JPEG nor PNG"),
    "WebP": (encode(draw(1), "WEBP"), Reason.WRONG_FORMAT, "is neither JPEG nor PNG"),
    "JPEG magic alone": (b"\xff\xd8\xff", Reason.UNDECODABLE, "is a damaged JPEG"),
    "PNG magic alone": (b"\x89PNG\r\n\x1a\n", Reason.UNDECODABLE, "is a damaged PNG"),
    "JPEG magic, then text": (b"\xff\xd8\xffhello", Reason.UNDECODABLE, "is a damaged JPEG"),
    "cut PNG": (encode(draw(1), "PNG")[:-100], Reason.UNDECODABLE, "is a damaged PNG"),
    "scan bomb": (scans(102), Reason.TOO_LARGE, "has 102 scans, more than 100"),
    "decompression bomb": (huge_png(), Reason.TOO_LARGE, "claims 30,000 x 30,000, more than 25,000,000 pixels"),
}
KINDS: dict[str, Callable[[], bytes]] = {
    "grey JPEG": lambda: encode(draw(1).convert("L"), "JPEG"),
    "CMYK JPEG": lambda: encode(draw(1).convert("CMYK"), "JPEG"),
    "progressive JPEG": lambda: encode(draw(1), "JPEG", progressive=True),
    "JPEG of many scans": lambda: scans(100),
    "PNG": lambda: encode(draw(1), "PNG"),
    "grey PNG": lambda: encode(draw(1).convert("L"), "PNG"),
    "black-and-white PNG": lambda: encode(draw(1).convert("1"), "PNG"),
    "palette PNG": lambda: encode(draw(1).convert("P"), "PNG"),
    "palette PNG with transparency": palette_with_transparency,
    "RGBA PNG": lambda: encode(draw(1).convert("RGBA"), "PNG"),
    "grey-and-alpha PNG": lambda: encode(draw(1).convert("LA"), "PNG"),
    "RGB PNG with a transparent colour": lambda: encode(draw(1), "PNG", transparency=(255, 255, 255)),
    "16-bit PNG": sixteen_bit,
}


def test_a_jpeg_becomes_its_pixels() -> None:
    """A picture of the model's size is sent as Pillow decodes it, bit for bit."""
    assert np.array_equal(pixels(jpeg(1)), opened(jpeg(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sound_picture_becomes_rgb(kind: str) -> None:
    """Whatever its colours are stored as, the row is uint8[180, 180, 3] and shows something."""
    row = pixels(KINDS[kind]())
    assert (row.shape, row.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert row.std() > 10


@BOTH
@pytest.mark.parametrize("side", [SIDE, 64, None])
@pytest.mark.parametrize("kind", KINDS)
def test_both_signatures_show_the_same_pixels(kind: str, side: int | None, signature: Signature) -> None:
    """What the graph could not read alike goes as a lossless PNG of exactly the pixels; a plain JPEG goes as it is."""
    batch, rejects = stacker(signature, side).stack([Product(1, (KINDS[kind](),))])
    assert (row_count(batch), rejects) == (1, [])
    if signature is Signature.JPEG:
        (sent,) = batch.pictures
        assert isinstance(sent, bytes)
        if kind in ("grey JPEG", "progressive JPEG", "JPEG of many scans"):
            assert sent == KINDS[kind]()
        else:
            assert np.array_equal(opened(sent), pixels(KINDS[kind](), side))


def test_a_jpeg_is_sent_as_the_bytes_it_is() -> None:
    """In jpeg mode a plain JPEG is neither decoded nor copied, whatever its size."""
    for side in (SIDE, 64):
        picture = jpeg(1, side)
        batch, _ = stacker(Signature.JPEG).stack([Product(1, (picture,))])
        assert batch.pictures == [picture]


def test_transparency_is_laid_on_white() -> None:
    """A cut-out shows its product on white, as the catalog's photos do, and half-transparent is half white."""
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 255, 0))
    image.paste((255, 0, 0, 255), (0, 0, 90, 90))
    image.paste((0, 0, 0, 128), (90, 90, 180, 180))
    row = pixels(encode(image, "PNG"))
    assert row[10, 10].tolist() == [255, 0, 0]
    assert row[10, 170].tolist() == [255, 255, 255]
    assert row[170, 170].tolist() == [127, 127, 127]


def test_a_palettes_transparency_is_laid_on_white() -> None:
    """A palette's transparent colour, black here, is white in the row."""
    row = pixels(palette_with_transparency())
    assert row[60, 60].tolist() == [255, 255, 255]
    assert row[10, 10].tolist() == [255, 0, 0]


@pytest.mark.parametrize("options", [{}, {"transparency": 0}], ids=["opaque", "with a transparent colour"])
def test_sixteen_bits_keep_their_greys(options: dict[str, int]) -> None:
    """A 16-bit grey picture keeps its shades: 65,535 is white, the middle is grey, 366 is almost black."""
    row = pixels(sixteen_bit(**options))[0, 1:, 0].astype(int)  # the first, 0, may be transparent
    assert np.abs(row - np.linspace(0, 255, SIDE)[1:]).max() <= 1


@pytest.mark.parametrize("size", [(64, 64), (400, 300), (1, 1), (181, 180)], ids=str)
def test_another_size_is_resized(size: tuple[int, int]) -> None:
    """A picture of any size fills the model's square."""
    row = pixels(encode(draw(1).resize(size), "PNG"))
    assert row.shape == (SIDE, SIDE, 3)
    expected = draw(1).resize(size).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    assert np.array_equal(row, np.asarray(expected))


@BOTH
@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_picture_is_a_reject(name: str, signature: Signature) -> None:
    """Its product alone is rejected, with the reason and what was found."""
    picture, reason, told = UNSOUND[name]
    batch, (reject,) = stacker(signature).stack([Product(7, (picture,))])
    assert (reject.product_id, reject.reason) == (7, reason)
    assert reject.detail.startswith("picture 0: ")
    assert told in reject.detail
    assert (batch.products, row_count(batch), batch.product.size) == ([], 0, 0)


def test_size_is_judged_by_the_header_alone() -> None:
    """A bomb is never decoded: its data, which would not decode, is looked at only when the size it claims may be."""
    bomb = huge_png()
    _, (reject,) = stacker(max_picture_pixels=30_000**2 - 1).stack([Product(1, (bomb,))])
    assert reject.reason is Reason.TOO_LARGE
    half = encode(draw(1), "PNG")[:300]
    for limit, reason in ((SIDE**2 - 1, Reason.TOO_LARGE), (SIDE**2, Reason.UNDECODABLE)):
        _, (reject,) = stacker(max_picture_pixels=limit).stack([Product(1, (half,))])
        assert reject.reason is reason


@BOTH
def test_limits_are_inclusive(signature: Signature) -> None:
    """A picture of just the largest size passes; one byte or one pixel more does not."""
    picture = jpeg(1)
    size, area = len(picture), SIDE * SIDE
    for bytes_limit, pixels_limit, refused in ((size, area, 0), (size - 1, area, 1), (size, area - 1, 1)):
        change = {"max_picture_bytes": bytes_limit, "max_picture_pixels": pixels_limit}
        _, rejects = stacker(signature, **change).stack([Product(1, (picture,))])
        assert [reject.reason for reject in rejects] == [Reason.TOO_LARGE] * refused


def test_too_many_bytes_are_told() -> None:
    """The reject says how many there are and how many may be."""
    _, (reject,) = stacker(max_picture_bytes=1000).stack([Product(1, (jpeg(1) + b"\0" * 5000,))])
    assert reject.detail == f"picture 0: has {len(jpeg(1)) + 5000:,} bytes, more than 1,000"


@BOTH
def test_memory_that_runs_out_is_not_the_pictures_fault(signature: Signature, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page goes back; the picture may well be read in a smaller process."""

    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    for name in ("frombytes", "convert"):  # a plain JPEG is decoded by the one, what else there is by the other
        monkeypatch.setattr(Image.Image, name, exhausted)
    for picture in (jpeg(1), encode(draw(1), "PNG")):
        with pytest.raises(MemoryError):
            stacker(signature).stack([Product(1, (picture,))], prove=True)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_jpeg_is_undecodable(kept: float) -> None:
    """Half a picture is not guessed at: it is found when pixels are made, or when it is to be proven."""
    picture = jpeg(1)[: int(len(jpeg(1)) * kept)]
    product = Product(1, (picture,))
    for attempt in (stacker().stack([product]), stacker(Signature.JPEG).stack([product], prove=True)):
        _, (reject,) = attempt
        assert reject.reason is Reason.UNDECODABLE
        assert "is a damaged JPEG" in reject.detail


def test_without_proof_a_jpeg_is_taken_by_its_header() -> None:
    """In jpeg mode a truncated picture first goes to the model: only pages it refuses are decoded here."""
    picture = jpeg(1)[: len(jpeg(1)) // 2]
    batch, rejects = stacker(Signature.JPEG).stack([Product(1, (picture,))])
    assert (batch.pictures, rejects) == ([picture], [])


def test_proof_sends_what_pillow_read() -> None:
    """The second attempt carries the same pixels, in a form that leaves the model no other reading."""
    product = Product(1, (jpeg(1), encode(draw(2), "PNG")))
    batch, _ = stacker(Signature.JPEG).stack([product], prove=True)
    for sent, original in zip(batch.pictures, product.pictures, strict=True):
        image = Image.open(io.BytesIO(sent), formats=["PNG"])
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(original)).convert("RGB")))


@BOTH
def test_one_bad_picture_does_not_cost_the_product(signature: Signature) -> None:
    """The sound ones stay, each with its own index in the listing."""
    products = [Product(5, (b"", jpeg(1), None, jpeg(2))), Product(9, (jpeg(3),))]
    batch, rejects = stacker(signature).stack(products)
    assert rejects == []
    assert batch.products == products
    assert batch.product.tolist() == [products[index].picture_key for index in (0, 0, 1)]
    assert batch.picture.tolist() == [1, 3, 0]
    assert row_count(batch) == 3


@BOTH
def test_all_bad_pictures_are_one_reject(signature: Signature) -> None:
    """The reject has the first picture's reason and names what is wrong with each."""
    products = [Product(5, (None, b"", huge_png())), Product(6, (jpeg(1),)), Product(7, (b"",))]
    batch, rejects = stacker(signature).stack(products)
    assert [(reject.product_id, reject.reason) for reject in rejects] == [
        (5, Reason.NOT_BYTES),
        (7, Reason.WRONG_FORMAT),
    ]
    assert [part.split(":")[0] for part in rejects[0].detail.split("; ")] == ["picture 0", "picture 1", "picture 2"]
    assert batch.products == [products[1]]
    assert batch.product.tolist() == [products[1].picture_key]


@BOTH
def test_only_the_first_pictures_are_used(signature: Signature) -> None:
    """Pictures past SHELVER_MAX_PICTURES are not even looked at."""
    product = Product(1, (jpeg(1), b"", jpeg(2), jpeg(3)))
    batch, _ = stacker(signature, max_pictures=3).stack([product])
    assert batch.picture.tolist() == [0, 2]
    _, (reject,) = stacker(signature, max_pictures=1).stack([Product(1, (b"", jpeg(1)))])
    assert reject.detail.count("picture") == 1


def test_a_batch_of_pixels_has_the_models_types() -> None:
    """uint8[N, side, side, 3], int64[N] and int32[N], one row a picture."""
    first, second = Product(2**63 - 1, (jpeg(1), jpeg(2))), Product(-5, (jpeg(3),))
    batch, _ = stacker(side=64).stack([first, second])
    rows = np.stack(list(batch.pictures))
    assert (rows.shape, rows.dtype) == ((3, 64, 64, 3), np.uint8)
    assert batch.product.tolist() == [first.picture_key, first.picture_key, second.picture_key]
    assert batch.product.dtype == np.int64
    assert (batch.picture.tolist(), batch.picture.dtype) == ([0, 1, 0], np.int32)


@BOTH
def test_a_batch_tells_pictures_apart_not_ids(signature: Signature) -> None:
    """The model server may merge two pages that hold one id with other pictures: they must not count as one product."""
    before, after = Product(7, (jpeg(1), jpeg(2))), Product(7, (jpeg(1), jpeg(3)))
    batch, _ = stacker(signature).stack([before, after])
    assert batch.product.tolist() == [before.picture_key] * 2 + [after.picture_key] * 2
    assert before.picture_key != after.picture_key
    assert all(-(2**63) <= key < 2**63 for key in batch.product.tolist())


@BOTH
def test_a_batchs_keys_do_not_depend_on_what_is_sound(signature: Signature) -> None:
    """The same listing has one key in every request, whichever of its pictures could be used."""
    products = [Product(7, (jpeg(1), b"")), Product(8, (jpeg(1),))]
    batch, _ = stacker(signature).stack(products)
    assert batch.product.tolist() == [each.picture_key for each in products]
    assert len(set(batch.product.tolist())) == 2


def test_a_batch_of_jpegs_has_the_models_types() -> None:
    """A list of bytes, int64[N] and int32[N]."""
    batch, _ = stacker(Signature.JPEG).stack([Product(4, (jpeg(1), jpeg(2)))])
    assert batch.pictures == [jpeg(1), jpeg(2)]
    assert (batch.product.dtype, batch.picture.dtype) == (np.int64, np.int32)


@BOTH
def test_no_products_are_an_empty_batch(signature: Signature) -> None:
    """Nothing in, nothing out."""
    batch, rejects = stacker(signature).stack([])
    assert (batch.products, row_count(batch), batch.product.size, batch.picture.size, rejects) == ([], 0, 0, 0, [])


@hypothesis_settings(deadline=None)
@given(
    st.lists(st.one_of(st.integers(1, 9), st.integers(1, 40)), max_size=30),
    st.integers(1, 8),
    st.integers(8, 20),
)
def test_groups_fit_one_call_and_cut_no_product(counts: list[int], max_pictures: int, max_batch: int) -> None:
    """Every product is in exactly one group, in order, and no group sends more pictures than one call takes."""
    settings = Settings(max_pictures=max_pictures, max_batch_pictures=max_batch)
    products = [Product(identity, (b"x",) * count) for identity, count in enumerate(counts)]
    made = list(groups(iter(products), settings))
    assert [product for group in made for product in group] == products
    sizes = [sum(min(len(product.pictures), max_pictures) for product in group) for group in made]
    assert all(0 < size <= max_batch for size in sizes)
    # No group could have taken the first product of the next.
    firsts = [min(len(group[0].pictures), max_pictures) for group in made[1:]]
    assert all(size + first > max_batch for size, first in zip(sizes, firsts, strict=False))


SOUND = [jpeg(1, 24), encode(draw(2, 24), "PNG"), encode(draw(3, 24).convert("P"), "PNG", transparency=0)]


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=4)), max_size=4),
    st.one_of(st.just(0), st.integers(1, 3000)),
    st.sampled_from(list(Signature)),
    st.booleans(),
)
def test_no_bytes_stop_the_page(
    picture: bytes, changes: list[tuple[int, bytes]], cut: int, signature: Signature, prove: bool
) -> None:
    """However a picture is damaged, its product is in the batch or in the rejects, and the one beside it is kept."""
    data = bytearray(picture)
    for place, value in changes:
        data[place : place + len(value)] = value
    damaged = bytes(data[: max(len(data) - cut, 0)])
    beside = Product(2, (picture,))
    batch, rejects = stacker(signature, side=24).stack([Product(1, (damaged,)), beside], prove)
    assert sorted([product.id for product in batch.products] + [reject.product_id for reject in rejects]) == [1, 2]
    assert batch.products[-1] is beside
    assert row_count(batch) == len(batch.products)
