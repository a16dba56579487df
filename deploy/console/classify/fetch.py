"""Fetch a picture from the public internet: checked addresses, few redirects, so many bytes and seconds and no more."""

import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from urllib.parse import urljoin

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, parse_url

from deploy.console.classify.addresses import Address, is_public, look_up
from worker.contract.errors import ShelverError

DEADLINE_SECONDS = 10.0
MOST_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
PORTS = {"http": 80, "https": 443}
HEADERS = {
    "User-Agent": "Shelver",
    "Accept": "image/jpeg, image/png",
    "Accept-Encoding": "identity",
    "Connection": "close",
}
#: what a server, or the way to it, makes the client raise
FAILURES = (HTTPError, HTTPException, OSError)


class Unfetched(ShelverError):
    """The picture did not come; says why."""


def fetch(
    text: str,
    limit_bytes: int,
    is_allowed: Callable[[Address], bool] = is_public,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> bytes:
    """Return what a URL leads to, `limit_bytes` at most; raises Unfetched, after `deadline_seconds` at the latest.

    Every address that the host stands for must be allowed, and the connection goes to one that was checked: the name
    cannot get another meaning in between. Who sends byte by byte, or nothing at all, is cut off.
    """
    visit = _Visit(limit_bytes, is_allowed, deadline_seconds)
    executor = ThreadPoolExecutor(1)
    try:
        return executor.submit(visit.follow, text.strip()).result(deadline_seconds)
    except TimeoutError:
        raise Unfetched(f"{_quoted(text)} takes longer than {deadline_seconds:g} seconds") from None
    finally:
        visit.cut()
        executor.shutdown(wait=False)


class _Visit:
    """One fetch, on a thread of its own that ends when the connection is cut."""

    def __init__(self, limit_bytes: int, is_allowed: Callable[[Address], bool], deadline_seconds: float):
        self._limit_bytes = limit_bytes
        self._is_allowed = is_allowed
        self._ends_at = time.monotonic() + deadline_seconds
        self._connection: HTTPConnection | None = None

    def cut(self) -> None:
        """End whatever is still being sent or waited for."""
        opened = self._connection.sock if self._connection else None
        if opened is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # TLS's own would pull the rug from under its reader

    def follow(self, text: str) -> bytes:
        """Go where the URL leads, and return what is there."""
        for _ in range(1 + MOST_REDIRECTS):
            url = _checked(text)
            try:
                found = self._ask(url)
            except ssl.SSLCertVerificationError as error:
                raise Unfetched(
                    f"{_quoted(text)} shows a certificate that is no good: {error.verify_message}"
                ) from error
            except (*FAILURES, ValueError) as error:
                raise Unfetched(f"{_quoted(text)} does not answer as it should: {_cause(error)}") from error
            if isinstance(found, bytes):
                return found
            text = urljoin(text, found)
        raise Unfetched(f"after {MOST_REDIRECTS} redirects the address still leads on, to {_quoted(text)}")

    def _ask(self, url: Url) -> bytes | str:
        """Return the body, or where it is instead."""
        with closing(self._connected(url)) as connection:
            headers = {**HEADERS, "Host": url.netloc or ""}
            connection.request("GET", url.request_uri, headers=headers, preload_content=False, decode_content=False)
            response = connection.getresponse()
            if response.status in REDIRECTS:
                return response.headers.get("Location", "")
            return self._read(response, url)

    def _connected(self, url: Url) -> HTTPConnection:
        host, port = (url.host or "").strip("[]"), url.port or PORTS[url.scheme or ""]
        try:
            addresses = look_up(host, port, self._is_allowed)
        except (OSError, UnicodeError) as error:
            raise Unfetched(f"{_quoted(url.url)} cannot be found: nobody knows the host {host}") from error
        if not addresses:
            raise Unfetched(f"{_quoted(url.url)} is not on the public internet: nothing else is fetched")
        for address in addresses:
            self._connection = connection = self._to(str(address), port, host if url.scheme == "https" else None)
            try:
                connection.connect()
            except FAILURES:
                connection.close()
                if address == addresses[-1]:
                    raise
            else:
                break
        return connection

    def _to(self, address: str, port: int, secure_name: str | None) -> HTTPConnection:
        left_seconds = max(self._ends_at - time.monotonic(), 0.001)
        if secure_name is None:
            return HTTPConnection(address, port, timeout=left_seconds)
        return HTTPSConnection(
            address, port, timeout=left_seconds, server_hostname=secure_name, cert_reqs=ssl.CERT_REQUIRED
        )

    def _read(self, response: BaseHTTPResponse, url: Url) -> bytes:
        place, kind = _quoted(url.url), response.headers.get("Content-Type", "")
        if response.status != 200:
            raise Unfetched(f"{place} answers with status {response.status}, not with a picture")
        if kind.startswith("text/"):
            raise Unfetched(f"{place} is a page ({kind[:50]}): paste the address of the picture on it")
        is_too_large = (response.length_remaining or 0) > self._limit_bytes
        data = b"" if is_too_large else response.read(self._limit_bytes + 1)
        if is_too_large or len(data) > self._limit_bytes:
            raise Unfetched(f"{place} has more than {self._limit_bytes:,} bytes, the most that is taken")
        if response.length_remaining:
            raise Unfetched(f"{place} breaks off after {len(data):,} bytes")
        return data


def _checked(text: str) -> Url:
    try:
        url = parse_url(text)
    except HTTPError:
        raise Unfetched(f"{_quoted(text)} is no address: paste one that starts with http:// or https://") from None
    if url.scheme not in PORTS or not url.host:
        raise Unfetched(f"{_quoted(text)} is no address on the web: paste one that starts with http:// or https://")
    if url.auth is not None:
        raise Unfetched("the address has a user or a password in it: paste one without")
    return url


def _quoted(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _cause(error: Exception) -> str:
    return str(error).rpartition(": ")[2][:200] or type(error).__name__
