"""Where the model server's replicas are: one name that stands for all of them, or a list of addresses."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
FORM = "must be HOST:PORT, or IP:PORT,IP:PORT for several replicas"
ONE_NAME = "use one DNS name that stands for all replicas"


def checked(text: str) -> str:
    """Return HOST:PORT, or IP:PORT,IP:PORT, without spaces; raises ValueError with the remedy."""
    places = [place.strip() for place in text.split(",")]
    hosts = [_host(place) for place in places]
    if len(hosts) > 1:
        names = [host for host in hosts if isinstance(host, str)]
        if names:
            raise ValueError(f"{FORM}, and {names[0]} is a name: list IP addresses, or {ONE_NAME}")
        if len({type(host) for host in hosts}) > 1:
            raise ValueError(f"mixes IPv4 and IPv6, which gRPC does not: list one kind, or {ONE_NAME}")
    return ",".join(places)


def target(address: str) -> str:
    """Return what gRPC calls such an address: it looks up all that a name stands for, or takes the list as it is."""
    if "," not in address:
        return f"dns:///{address}"
    return f"{'ipv6' if address.startswith('[') else 'ipv4'}:{address}"


def _host(place: str) -> str | IPv4Address | IPv6Address:
    host, _, port = place.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise ValueError(FORM)
    try:
        if host.startswith("[") and host.endswith("]") and "%" not in host:
            return IPv6Address(host[1:-1])
        if host.replace(".", "").isdecimal():
            return IPv4Address(host)
    except AddressValueError:
        raise ValueError(f"{FORM}; {host} is no IP address") from None
    if ":" in host and "[" not in host and "/" not in host:
        raise ValueError(f"{FORM}; an IPv6 address goes in brackets, as in [::1]:8500")
    if not NAME.fullmatch(host):
        raise ValueError(FORM)
    return host
