"""Where an HTTP service listens, who can reach it there, and whom a client counts as."""

import socket
from ipaddress import IPv6Address, ip_address

from worker.contract.errors import ShelverError


class CannotServe(ShelverError):
    """The service cannot start here."""


def is_loopback(host: str) -> bool:
    """Tell whether this name or address is of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, remedy: str = "choose with --host and --port") -> socket.socket:
    """Return a socket that listens there; raises CannotServe, which ends with the remedy."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
        # asyncio does this for sockets of its own alone; without it many an answer waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]
        raise CannotServe(f"cannot listen on {host}, port {port}: {why}; {remedy}") from error
    return listener


def url(listener: socket.socket) -> str:
    """Return what to type into a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def network(host: str) -> str:
    """Return whom a client counts as: of IPv6 the 64 bits that a network is given, as it may use all the others."""
    try:
        address = ip_address(host)
    except ValueError:  # whatever a proxy wrote
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or f"{int(address) >> 64:x}::/64")
    return host
