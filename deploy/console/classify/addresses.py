"""Which addresses are on the public internet, and which would let a person look into the console's own network."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

#: all that is given to hosts of the internet; the rest is loopback, link-local, site-local, multicast or reserved
GLOBAL_UNICAST = IPv6Network("2000::/3")
#: translators (NAT64) lead from here to the IPv4 address in the last 32 bits
TRANSLATED = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Return whether anyone on the internet could reach it; of one that wraps an IPv4 address, whether that one is."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    wrapped = _wrapped(address)
    return is_public(wrapped) if wrapped else address.is_global and address in GLOBAL_UNICAST


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def look_up(host: str, port: int, is_allowed: Callable[[Address], bool]) -> list[Address]:
    """Return all that a host stands for, in the order to try; empty when a single one of them is not allowed.

    Raises OSError or UnicodeError for a name that is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(place[0]) for *_, place in found]
    return addresses if all(map(is_allowed, addresses)) else []
