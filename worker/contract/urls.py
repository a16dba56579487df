"""URLs of servers: which are accepted, and what of them may be shown."""

from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from worker.contract.certificates import authority, readable

DRIVERS = ("sqlite", "postgresql", "postgresql+psycopg")
#: options of MongoDB, Redis and PostgreSQL that name a file, in small letters, and what is asked of it
FILES = {
    **dict.fromkeys(("tlscafile", "ssl_ca_certs", "sslrootcert"), authority),
    **dict.fromkeys(("tlscertificatekeyfile", "ssl_certfile", "ssl_keyfile", "sslcert", "sslkey"), readable),
    **dict.fromkeys(("tlscrlfile", "sslcrl"), readable),
}
#: PostgreSQL's word for the CAs that this machine trusts
SYSTEM = "system"
#: those that redis-py and kombu both take, and mean the same by
REDIS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
#: of which some they read each in its own way, but for these values
REDIS_VALUES = {"ssl_cert_reqs": ("required", "optional", "none"), "ssl_check_hostname": ("true", "false")}


def scheme(*schemes: str) -> AfterValidator:
    """Return a check that a URL begins with one of `schemes` and is whole; it tells nothing of a password."""

    def check(url: str) -> str:
        found, _, rest = url.partition("://")
        if found not in schemes:
            raise ValueError(f"must start with {' or '.join(f'{each}://' for each in schemes)}")
        if set("/?#[]@") & set(rest.rpartition("@")[0]):
            raise ValueError("has a user or password with one of / ? # [ ] @ in it: percent-encode that")
        address = rest.rpartition("@")[2]
        options = parse_qs(address.partition("?")[2].partition("#")[0])
        _check_files((name, values[0]) for name, values in options.items())
        _check_address(found, address)
        if found.startswith("redis"):
            _check_redis_options(found, options)
        return url

    return AfterValidator(check)


def _check_address(scheme: str, address: str) -> None:
    """Raise ValueError, with nothing of a password in it, for what the clients would only refuse later on."""
    if scheme == "mongodb":
        try:
            parse_uri(f"{scheme}://{address}")
        except (PyMongoError, ValueError):
            raise ValueError("must be mongodb://USER:PASSWORD@HOST:PORT/") from None
    if scheme.startswith("redis"):
        parts = urlsplit(f"{scheme}://{address}")
        try:
            sound = parts.port != 0 and (parts.path.strip("/") or "0").isdecimal()
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(f"must be {scheme}://:PASSWORD@HOST:PORT/DB with numbers for PORT and DB")


def _check_files(options: Iterable[tuple[str, str]]) -> None:
    for name, path in options:
        if name.lower() in FILES and path != SYSTEM:
            try:
                FILES[name.lower()](path)
            except ValueError as error:
                raise ValueError(f"names a file in {name} that {error}") from None


def _check_redis_options(scheme: str, options: dict[str, list[str]]) -> None:
    known = REDIS_OPTIONS if scheme == "rediss" else ()
    if not options.keys() <= set(known):
        raise ValueError(f"may have {'no options but ' + ', '.join(known) if known else 'no options'}")
    for name, values in REDIS_VALUES.items():
        if name in options and options[name][0] not in values:
            raise ValueError(f"must have one of {', '.join(values)} in {name}")


def known_database(url: str) -> str:
    """Return the URL of a SQL store with its driver named, so that plain postgresql:// works.

    Raises ValueError, with nothing of a password in it, for any other kind of store.
    """
    url = "postgresql" + url.removeprefix("postgres") if url.startswith("postgres://") else url
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE") from None
    if parsed.drivername not in DRIVERS:
        raise ValueError(f"must be sqlite or postgresql, not {parsed.drivername}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError("must name a file: what is in memory, no other process sees")
    _check_files((name, value) for name, value in parsed.query.items() if isinstance(value, str))
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def redact(url: str) -> str:
    """Return a URL that may be shown: user and password, and options that could hold a secret, left out."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.rpartition("@")[2]
    place, _, options = rest.partition("?")
    if "@" in options:  # a password that is not percent-encoded: no telling where it ends
        return f"{scheme}://***"
    _, at, host = place.rpartition("@")
    return f"{scheme}://{'***@' if at else ''}{host.partition('#')[0]}"
