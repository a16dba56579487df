"""A picture's bytes, from a file or from an http(s) address, within a time and a size."""

import io
import time
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from trainer.deadline import within
from worker.contract.errors import ShelverError

#: for the whole of a transfer, from the look-up of the name to the last byte
TRANSFER_SECONDS = 10.0
MOST_BYTES = 8 * 2**20
MOST_REDIRECTS = 5
CHUNK_BYTES = 2**16
SCHEMES = ("http", "https")


class PictureSourceError(ShelverError):
    """There is no picture to be had there."""


def open_picture(source: str, seconds: float = TRANSFER_SECONDS) -> BinaryIO:
    """Open a file or fetch an address; raises PictureSourceError for what cannot be had, naming it."""
    scheme, separator, _ = source.partition("://")
    if not separator:
        return _open_file(Path(source))
    if scheme.lower() not in SCHEMES:
        raise PictureSourceError(f"{source} is neither a file nor an http or https address")
    return io.BytesIO(_fetch(source, seconds))


def _open_file(path: Path) -> BinaryIO:
    try:
        if not path.is_file():  # a pipe or a device would be read without end
            raise PictureSourceError(f"{path} is not {'a file' if path.exists() else 'there'}: name a picture's file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise PictureSourceError(f"{path} cannot be read ({error})") from error


def _fetch(url: str, seconds: float) -> bytes:
    try:
        # In a thread: a timeout of the socket's starts again with every byte that drips in.
        return within(seconds, lambda: _download(url, seconds))
    except TimeoutError as error:
        raise PictureSourceError(
            f"{url} took longer than {seconds:g} s: fetch it by other means and name the file"
        ) from error
    except HTTPError as error:
        error.close()
        raise PictureSourceError(f"{url} {_say(error)}: check the address") from error
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        raise PictureSourceError(f"{url} cannot be fetched ({_printable(cause)}): check the address") from error


def _say(error: HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"redirects more than {MOST_REDIRECTS} times, in a circle, or to something else than http"
    return f"answers {error.code} {_printable(error.reason)}".rstrip()


def _printable(said: object) -> str:
    """Return what a server said on one line, without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in str(said))[:200].strip()


def _download(url: str, seconds: float) -> bytes:
    end = time.monotonic() + seconds
    # Letters beyond ASCII are for people; on the wire they are quoted, and what is quoted stays so.
    request = Request(quote(url, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "shelver", "Accept": "image/*"})  # noqa: S310
    data = bytearray()
    with _opener().open(request, timeout=seconds) as response:
        while chunk := response.read1(CHUNK_BYTES):
            data += chunk
            if len(data) > MOST_BYTES:
                raise PictureSourceError(f"{url} has more than {MOST_BYTES:,} bytes: make the picture smaller")
            if time.monotonic() > end:
                raise TimeoutError
    return bytes(data)


class _Redirects(HTTPRedirectHandler):
    max_redirections = MOST_REDIRECTS


HANDLERS = (
    ProxyHandler,
    HTTPHandler,
    HTTPSHandler,
    _Redirects,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    UnknownHandler,
)


def _opener() -> OpenerDirector:
    """Return an opener that knows http and https alone: no file:, ftp: or data:, not by a redirect either."""
    opener = OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    return opener
