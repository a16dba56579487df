"""A URL that an analyst pastes: a picture of the public internet comes, everything else is one sentence."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from deploy.console.classify.addresses import Address, is_public
from deploy.console.classify.fetch import Unfetched, fetch

PICTURE = b"\xff\xd8\xff picture"
LIMIT_BYTES = 1000


def here_alone(address: Address) -> bool:
    """What the tests allow in place of the internet."""
    return str(address) == "127.0.0.1"


class Site(BaseHTTPRequestHandler):
    """Answers well or badly, as the path says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        with suppress(OSError):  # the visitor has left
            getattr(self, f"get_{self.path.strip('/').partition('/')[0]}")()

    def answer(self, body: bytes = PICTURE, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def get_picture(self) -> None:
        self.answer(Content_Type="image/jpeg")

    def get_host(self) -> None:
        self.answer(self.headers["Host"].encode())

    def get_hop(self) -> None:
        """Lead on as often as the path says, then to the picture."""
        left = int(self.path.rpartition("/")[2])
        self.answer(b"", 302, Location=f"/hop/{left - 1}" if left > 1 else "/picture")

    def get_inside(self) -> None:
        self.answer(b"", 301, Location=f"http://127.0.0.2:{self.server.server_address[1]}/picture")

    def get_disk(self) -> None:
        self.answer(b"", 307, Location="file:///etc/passwd")

    def get_nowhere(self) -> None:
        self.answer(b"", 302)

    def get_missing(self) -> None:
        self.answer(b"no such page", 404)

    def get_page(self) -> None:
        self.answer(b"<html>", Content_Type="text/html; charset=utf-8")

    def get_vast(self) -> None:
        self.answer(Content_Length=10 * 2**30)

    def get_endless(self) -> None:
        self.answer(Content_Length=None, Connection="close")
        while True:
            self.wfile.write(bytes(2**16))

    def get_chunks(self) -> None:
        self.answer(b"", Content_Length=None, Transfer_Encoding="chunked")
        while True:
            self.wfile.write(b"a\r\n0123456789\r\n")

    def get_cut(self) -> None:
        self.answer(PICTURE, Content_Length=len(PICTURE) + 1)
        self.close_connection = True

    def get_noise(self) -> None:
        self.wfile.write(b"\0\1\2 no HTTP\r\n\r\n")
        self.close_connection = True

    def get_drip(self) -> None:
        self.answer(b"", Content_Length=900)
        self.drip(b"x")

    def get_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.drip(b"x")

    def drip(self, byte: bytes) -> None:
        while not self.server.is_over.wait(0.02):  # type: ignore[attr-defined]
            self.wfile.write(byte)


class Server(ThreadingHTTPServer):
    """On 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.is_over = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Be silent about visitors who do not like the certificate."""


def serve(server: Server) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.is_over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A web server on 127.0.0.1."""
    yield from serve(Server())


def get(port: int, path: str, deadline_seconds: float = 30, host: str = "127.0.0.1") -> bytes:
    return fetch(f"http://{host}:{port}{path}", LIMIT_BYTES, here_alone, deadline_seconds)


@pytest.mark.parametrize("path", ["/picture", "/picture/with space?q=é#part", "/hop/1", "/hop/3"])
def test_a_picture_comes(port: int, path: str) -> None:
    """Straight, or over three redirects at most."""
    assert get(port, path) == PICTURE


def test_the_name_is_asked_for_at_the_checked_address(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up once, so that it cannot mean another machine by the time of the connection."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def once(host: str, *args: object, **options: object) -> object:
        asked.append(host)
        return look_up("127.0.0.1" if asked.count("shop.example") == 1 else "127.0.0.2", *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", once)
    assert get(port, "/host", host="shop.example") == f"shop.example:{port}".encode()
    assert asked == ["shop.example", "127.0.0.1"]


def test_one_forbidden_address_of_several_is_enough(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands for a public and a private address is not half trusted."""
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(Unfetched, match="not on the public internet"):
        get(port, "/picture", host="shop.example")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/inside", r"^http://127\.0\.0\.2:\d+/picture is not on the public internet: nothing else is fetched$"),
        ("/disk", r"^file:///etc/passwd is no address on the web: paste one that starts with http:// or https://$"),
        ("/hop/4", r"^after 3 redirects the address still leads on, to http://127\.0\.0\.1:\d+/picture$"),
        ("/nowhere", "still leads on"),
        ("/missing", "answers with status 404, not with a picture$"),
        ("/page", r"is a page \(text/html; charset=utf-8\): paste the address of the picture on it$"),
        ("/vast", "has more than 1,000 bytes, the most that is taken$"),
        ("/endless", "has more than 1,000 bytes"),
        ("/chunks", "has more than 1,000 bytes"),
        ("/cut", f"breaks off after {len(PICTURE)} bytes$"),
        ("/noise", "does not answer as it should: "),
    ],
)
def test_what_is_no_picture_is_told(port: int, path: str, told: str) -> None:
    """One sentence names the address and what is wrong with what it leads to."""
    with pytest.raises(Unfetched, match=told):
        get(port, path)


@pytest.mark.parametrize("path", ["/drip", "/headers"])
def test_who_sends_byte_by_byte_is_cut_off(port: int, path: str) -> None:
    """The deadline holds for all of it, not for each byte, and nothing is left running."""
    before = set(threading.enumerate())
    with pytest.raises(Unfetched, match=f"{path} takes longer than 0.3 seconds$"):
        get(port, path, deadline_seconds=0.3)
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


def test_a_server_that_says_nothing_is_left(port: int) -> None:
    """Whether it takes the connection or not."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(Unfetched, match="takes longer than|timed out"),
    ):
        get(silent.getsockname()[1], "/picture", deadline_seconds=0.3)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = closed.getsockname()[1]
    with pytest.raises(Unfetched, match=r"does not answer as it should: \[Errno 111\] Connection refused"):
        get(gone, "/picture")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]", "[::]"]
)
def test_this_machine_is_not_looked_at(port: int, host: str) -> None:
    """However its address is written, when nothing else is allowed by hand."""
    with pytest.raises(Unfetched, match="is not on the public internet|nobody knows the host"):
        fetch(f"http://{host}:{port}/picture", LIMIT_BYTES)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "is no address on the web: paste one that starts with http:// or https://"),
        ("ftp://shop.example/1.jpg", "is no address on the web"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "is no address on the web"),
        ("shop.example/1.jpg", "is no address on the web"),
        ("", "is no address"),
        ("http://", "is no address"),
        ("http://[::1/", "is no address: paste one"),
        ("http://shop.example:99999/", "is no address: paste one"),
        ("https://me:secret@shop.example/1.jpg", "^the address has a user or a password in it: paste one without$"),
        ("http://shop.invalid/1.jpg", "http://shop.invalid/1.jpg cannot be found: nobody knows the host shop.invalid"),
        (f"http://{'x' * 64}.example/", "cannot be found"),
        (f"ftp://{'x' * 1000}", f"^ftp://{'x' * 194}… is no address on the web"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(url: str, told: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(Unfetched, match=told):
        fetch(url, LIMIT_BYTES)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For shop.example, and its own authority."""
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    named = ["-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example"]
    subprocess.run([*made, *named, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture(scope="module")
def secure(certificate: Path) -> Iterator[tuple[int, list[str | None]]]:
    """The same web server over TLS, and the names it was asked for before it showed its certificate."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = Server()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    for port in serve(server):
        yield port, names


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give 127.0.0.1 a name."""
    look_up = socket.getaddrinfo

    def call(name: str) -> None:
        def found(host: str, *args: object, **options: object) -> object:
            return look_up("127.0.0.1" if host == name else host, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return call


def test_a_certificate_is_for_the_name(
    secure: tuple[int, list[str | None]], certificate: Path, called, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the connection goes to an address, the server is asked for, and must prove, the name."""
    port, names = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    called("shop.example")
    assert fetch(f"https://shop.example:{port}/host", LIMIT_BYTES, here_alone) == f"shop.example:{port}".encode()
    assert names[-1] == "shop.example"
    called("other.example")
    with pytest.raises(Unfetched, match="shows a certificate that is no good: Hostname mismatch"):
        fetch(f"https://other.example:{port}/host", LIMIT_BYTES, here_alone)


def test_a_certificate_of_ones_own_is_no_good(secure: tuple[int, list[str | None]], called) -> None:
    """Nobody else vouches for it."""
    called("shop.example")
    with pytest.raises(Unfetched, match="shows a certificate that is no good: self-signed certificate"):
        fetch(f"https://shop.example:{secure[0]}/picture", LIMIT_BYTES, here_alone)


PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = [
    "0.0.0.0",  # noqa: S104 - nothing listens there
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "2001:db8::1",
    "2001:0:808:808::1",
    "2002:a00:1::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    """Also where IPv6 wraps an IPv4 address."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_everything_else_is_not(address: str) -> None:
    """Loopback, private, shared, link-local with the clouds' metadata, multicast, reserved, however it is wrapped."""
    assert not is_public(ip_address(address))
