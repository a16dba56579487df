"""Pictures from files and addresses: any usual kind, within a time and a size; bad ones are told in a sentence."""

import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import draw, encode, huge_png, jpeg
from trainer.prediction.picture_source import MOST_BYTES, MOST_REDIRECTS, PictureSourceError, open_picture
from trainer.prediction.pixels import to_pixels
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.pictures import Stacker

SIDE = 96
PICTURE = jpeg(3)


class Handler(BaseHTTPRequestHandler):
    """Answers by the path; `/drip` and `/headers` never come to an end by themselves."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        name, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"answer_{name}", self.answer_missing)(rest)

    def answer_picture(self, _: str, data: bytes = PICTURE, kind: str = "image/jpeg") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer_text(self, _: str) -> None:
        self.answer_picture("", b"<html>please log in</html>")

    def answer_cut(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE[: len(PICTURE) // 2])

    def answer_endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        self._write_on(b"x" * 2**20, pause=0)

    def answer_drip(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        self._write_on(b"x", pause=0.05)

    def answer_headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        self._write_on(b"x", pause=0.05)

    def answer_silence(self, _: str) -> None:
        self.server.over.wait(30)

    def answer_nonsense(self, _: str) -> None:
        self.wfile.write(b"\x00\xff no http at all\r\n\r\n")

    def answer_hop(self, left: str) -> None:
        self._redirect(f"/hop/{int(left) - 1}" if int(left) else "/picture")

    def answer_circle(self, _: str) -> None:
        self._redirect("/circle")

    def answer_away(self, target: str) -> None:
        self._redirect(target)

    def answer_rude(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.0 500 \x1b[2Jwiped\r\n\r\n")

    def answer_missing(self, _: str) -> None:
        self.send_error(404)

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()

    def _write_on(self, data: bytes, pause: float) -> None:
        try:
            while not self.server.over.wait(pause):
                self.wfile.write(data)
        except OSError:
            pass  # whoever asked has had enough


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.over = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine's must not stand between the test and its server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetched(url: str, seconds: float = 10) -> bytes:
    with open_picture(url, seconds) as file:
        return file.read()


def test_an_address_gives_the_bytes(address: str) -> None:
    """As the server sends them, and after as many redirects as are allowed."""
    assert fetched(f"{address}/picture") == PICTURE
    assert fetched(f"{address}/picture/été & co.jpg?a=1#b") == PICTURE
    assert fetched(f"{address}/hop/{MOST_REDIRECTS - 1}") == PICTURE


@pytest.mark.parametrize("path", ["drip", "headers", "silence"])
def test_the_deadline_is_of_the_whole_transfer(address: str, path: str) -> None:
    """Neither a byte now and then nor endless headers nor silence keeps the command for longer."""
    begun = time.monotonic()
    with pytest.raises(PictureSourceError, match=f"/{path} took longer than 0.5 s: fetch it by other means"):
        fetched(f"{address}/{path}", seconds=0.5)
    assert time.monotonic() - begun < 5


def test_reading_ends_at_the_limit(address: str) -> None:
    """A body without end is not read to memory's."""
    with pytest.raises(PictureSourceError, match=f"has more than {MOST_BYTES:,} bytes"):
        fetched(f"{address}/endless")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("nowhere.jpg", "answers 404 Not Found: check the address"),
        ("circle", "redirects more than 5 times, in a circle"),
        (f"hop/{MOST_REDIRECTS}", "redirects more than 5 times"),
        ("away/file:///etc/passwd", "redirects .* to something else than http"),
        ("away/ftp://127.0.0.1/x.jpg", "cannot be fetched"),
        ("away/data:image/png;base64,AAAA", "redirects .* to something else than http"),
        ("nonsense", "cannot be fetched"),
        ("rude", "answers 500 .*wiped: check"),
    ],
)
def test_a_server_that_gives_none_is_told(address: str, path: str, told: str) -> None:
    """One sentence that names the address; no redirect leads to a file of this machine."""
    with pytest.raises(PictureSourceError, match=told) as caught:
        fetched(f"{address}/{path}")
    assert str(caught.value).startswith(f"{address}/{path} ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("file:///etc/passwd", "neither a file nor an http or https address"),
        ("ftp://127.0.0.1/x.jpg", "neither a file nor an http or https address"),
        ("http://", "cannot be fetched"),
        ("http://127.0.0.1:port/x", "cannot be fetched"),
        ("http://127.0.0.1:1/x y", "cannot be fetched"),
        ("http://[::1/x", "cannot be fetched"),
        ("http://\udcff/x", "cannot be fetched"),
        ("nowhere.jpg", "nowhere.jpg is not there"),
        ("/dev/zero", "/dev/zero is not a file"),
        (".", "is not a file"),
        ("", "is not a file"),
        ("a\0b", "cannot be read|is not there"),
        ("x" * 5000, "cannot be read|is not there"),
    ],
)
def test_a_source_that_is_none_is_told(source: str, told: str) -> None:
    """Whatever is typed: a sentence, no traceback, and nothing is read that has no end."""
    with pytest.raises(PictureSourceError, match=told):
        open_picture(source)


def pixels(data: bytes, side: int = SIDE) -> np.ndarray:
    return to_pixels(io.BytesIO(data), "it", side)


def close(found: np.ndarray, expected: Image.Image, tolerance: int = 0) -> bool:
    wanted = np.asarray(expected.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.int16)
    return found.shape == (SIDE, SIDE, 3) and int(np.abs(found.astype(np.int16) - wanted).max()) <= tolerance


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA", "PCX"])
def test_kinds_without_loss_give_the_same_pixels(kind: str) -> None:
    """Whatever Pillow opens is decoded, not only what the catalog holds."""
    assert close(pixels(encode(draw(5), kind)), draw(5))


def test_webp_is_read() -> None:
    """Without loss it is the picture itself."""
    assert close(pixels(encode(draw(5), "WEBP", lossless=True)), draw(5))


def test_a_catalog_picture_is_what_the_worker_makes_of_it() -> None:
    """The same pixels as in production, resized or not."""
    for side in (180, 96, 224):
        stacked, _ = Stacker(Settings(), Signature.PIXELS, side).stack([Product(1, (PICTURE,))])
        assert np.array_equal(pixels(PICTURE, side), stacked.pictures[0])


def test_the_first_frame_of_an_animation_counts() -> None:
    """Later frames do not."""
    first, later = Image.new("RGB", (50, 50), "red"), Image.new("RGB", (50, 50), "blue")
    data = encode(first, "GIF", save_all=True, append_images=[later])
    assert (pixels(data) == (255, 0, 0)).all()


def test_transparency_is_put_on_white() -> None:
    """In colours of its own, in a palette, and in grey."""
    clear = Image.new("RGBA", (40, 40), (200, 0, 0, 0))
    assert (pixels(encode(clear, "PNG")) == 255).all()
    assert (pixels(encode(clear.convert("LA"), "PNG")) == 255).all()
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert (pixels(encode(palette, "PNG", transparency=0)) == 255).all()
    assert (pixels(encode(Image.new("RGBA", (40, 40), (200, 0, 0, 128)), "PNG"))[0, 0] == (227, 127, 127)).all()


def test_a_photo_is_turned_upright() -> None:
    """The camera's orientation is applied, and a damaged note of it ignored."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    picture = draw(9)
    turned = encode(picture, "PNG", exif=exif)
    assert close(pixels(turned), picture.transpose(Image.Transpose.ROTATE_270))
    assert close(pixels(encode(picture, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")), picture)


def test_cmyk_and_sixteen_bits_become_rgb() -> None:
    """Neither white nor black throughout."""
    cmyk = encode(draw(5).convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert close(pixels(cmyk), Image.open(io.BytesIO(cmyk)).convert("RGB"))
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    deep = encode(Image.fromarray(ramp), "PNG")
    grey = Image.fromarray((ramp // 257).astype(np.uint8)).convert("RGB")
    assert close(pixels(deep), grey)
    assert close(pixels(encode(Image.fromarray(ramp), "TIFF")), grey)
    assert pixels(encode(Image.fromarray(np.full((9, 9), 70_000, np.int32)), "TIFF")).min() == 255


def icon_of(data: bytes) -> bytes:
    """An icon file whose header says 16 x 16, whatever the picture within says."""
    entry = bytes([16, 16, 0, 0, 1, 0, 32, 0]) + len(data).to_bytes(4, "little") + (22).to_bytes(4, "little")
    return b"\0\0\1\0\1\0" + entry + data


@pytest.mark.parametrize("data", [huge_png(), icon_of(huge_png())])
def test_too_many_pixels_are_refused_before_decoding(data: bytes) -> None:
    """By the header, even that of a picture within a picture; Pillow's own limit is as it was afterwards."""
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(PictureSourceError, match="it has more than 25,000,000 pixels"):
        pixels(data)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is no picture"),
        (b"<html>", "it is no picture"),
        (PICTURE[:-200], "it is a damaged picture"),
        (PICTURE[:30], "it is "),
        (encode(draw(1), "PNG")[:200], "it is a damaged picture"),
        (encode(draw(1), "GIF")[:400], "it is a damaged picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "it is no picture"),
    ],
)
def test_what_is_no_picture_is_told(data: bytes, told: str) -> None:
    """Damaged, empty, text, or for another program to run: one sentence."""
    with pytest.raises(PictureSourceError, match=told):
        pixels(data)


@pytest.mark.parametrize("path", ["text", "cut"])
def test_text_and_half_a_picture_from_a_server_are_told(address: str, path: str) -> None:
    """Whatever the server calls them."""
    url = f"{address}/{path}"
    with open_picture(url) as file, pytest.raises(PictureSourceError, match=f"{url} is (no|a damaged) picture"):
        to_pixels(file, url, SIDE)


def test_a_file_is_read(tmp_path: Path) -> None:
    """By its name, whatever it is called."""
    path = tmp_path / "photo [1].dat"
    path.write_bytes(PICTURE)
    with open_picture(str(path)) as file:
        assert to_pixels(file, str(path), SIDE).shape == (SIDE, SIDE, 3)
