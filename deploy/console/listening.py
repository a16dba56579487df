"""Where the console listens, and who can reach it there."""

import socket
from ipaddress import ip_address

from worker.contract.errors import ShelverError


class CannotServe(ShelverError):
    """The console cannot start here."""


def is_loopback(host: str) -> bool:
    """Tell whether this name or address is of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; raises CannotServe."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise CannotServe(f"cannot listen on {host}, port {port}: {why}; choose with --host and --port") from error


def url(listener: socket.socket) -> str:
    """Return what to type into a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"
