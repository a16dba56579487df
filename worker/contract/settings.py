"""Every setting of Shelver, in one class. Each is an environment variable: SHELVER_ and the field's name."""

import difflib
import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from worker.contract.address import checked
from worker.contract.errors import ShelverError
from worker.contract.signature import Signature

PREFIX = "SHELVER_"
#: between the soft time limit, at which a page goes back, and the hard one, at which its process is killed
HANDBACK_SECONDS = 5
#: a product that the model fails at is rejected after so many calls, plain pictures being answered after each
CALLS_FOR_ONE = 3
#: calls that may end at their deadline before a page that has waited goes back: those, and one for plain pictures each
LAST_CALLS = 2 * CALLS_FOR_ONE
DRIVERS = ("sqlite", "postgresql", "postgresql+psycopg")


class SettingsError(ShelverError):
    """One or more variables are missing or wrong; the message names each with its remedy."""


def _scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        scheme, _, rest = url.partition("://")
        if scheme not in schemes:
            raise ValueError(f"must start with {' or '.join(f'{each}://' for each in schemes)}")
        if set("/?#[]@") & set(rest.rpartition("@")[0]):
            raise ValueError("has a user or password with one of / ? # [ ] @ in it: percent-encode that")
        _check_address(scheme, rest.rpartition("@")[2])
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
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


class Settings(BaseSettings):
    """Where everything is and how much of it is taken at a time. The defaults suit one machine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    mongo_url: Annotated[str, _scheme("mongodb", "mongodb+srv")] = Field(
        "mongodb://127.0.0.1:27017/", repr=False, description="MongoDB with the listings; a replica set for `watch`"
    )
    mongo_database: str = Field("shelver", min_length=1, description="MongoDB database of the listings")
    mongo_collection: str = Field("products", min_length=1, description="MongoDB collection of the listings")
    redis_url: Annotated[str, _scheme("redis", "rediss")] = Field(
        "redis://127.0.0.1:6379/0", repr=False, description="Redis that holds the queues, in a db of its own"
    )
    database_url: str = Field(
        "sqlite:///shelver.db",
        repr=False,
        description="SQL store: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DB",
    )
    serving_address: str = Field(
        "127.0.0.1:8500",
        min_length=1,
        description="TensorFlow Serving's gRPC HOST:PORT; of replicas, a DNS name of all or IP:PORT,IP:PORT",
    )
    model_name: str = Field(
        "shelver", min_length=1, max_length=100, description="model to ask, as TensorFlow Serving names it"
    )
    signature: Literal["pixels", "jpeg"] = Field(
        "pixels", description="send decoded pixels, or JPEG bytes that the model host decodes"
    )
    page_size: int = Field(64, ge=1, le=1000, description="products a page, the unit of work")
    page_linger_seconds: float = Field(
        0.1, gt=0, le=60, description="how long `watch` waits for a page to fill before it sends what there is"
    )
    max_batch_pictures: int = Field(
        128, ge=1, le=4096, description="pictures in one Predict call; at most TensorFlow Serving's max_batch_size"
    )
    max_picture_bytes: int = Field(8 * 2**20, ge=1, description="larger pictures are left out, in bytes as stored")
    max_picture_pixels: int = Field(25_000_000, ge=1, description="larger pictures are left out, width times height")
    max_pictures: int = Field(16, ge=1, le=4096, description="pictures of a product that are used, from its first on")
    predict_timeout_seconds: float = Field(20, gt=0, le=600, description="deadline of one Predict call")
    connect_timeout_seconds: float = Field(
        5, gt=0, le=60, description="how long MongoDB, Redis or the model server may take to answer at all"
    )
    wait_limit_seconds: float = Field(
        60,
        gt=0,
        description="how long a page waits in its worker for servers that are away, before it goes back to the queue",
    )
    page_time_limit_seconds: int = Field(
        300,
        ge=10,
        description="a page that takes longer is stopped and cut in two; a worker that falls silent loses its page "
        "after three times as long",
    )
    shutdown_seconds: int = Field(
        20,
        ge=1,
        description="how long a worker that is told to stop may go on with its pages, before it gives them back",
    )
    pages_per_child: int = Field(1000, ge=1, description="pages after which a worker's child process is replaced")
    child_memory_megabytes: int = Field(
        1024, ge=128, description="memory above which a child process is replaced after its page"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="how the worker logs: for a person, or a line of JSON each"
    )
    state_folder: str = Field(
        "/tmp/shelver",  # noqa: S108 - a folder of ours; what is in it is not trusted with anything
        min_length=1,
        description="where workers say how they are, for shelver-worker live",
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        return known_database(url)

    @field_validator("serving_address")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        return checked(address)

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        problems = []
        last_calls_seconds = LAST_CALLS * self.predict_timeout_seconds + CALLS_FOR_ONE * self.connect_timeout_seconds
        if self.wait_limit_seconds + last_calls_seconds >= self.page_soft_limit_seconds:
            problems.append(
                f"{PREFIX}WAIT_LIMIT_SECONDS plus {LAST_CALLS} x {PREFIX}PREDICT_TIMEOUT_SECONDS plus "
                f"{CALLS_FOR_ONE} x {PREFIX}CONNECT_TIMEOUT_SECONDS must stay below {PREFIX}PAGE_TIME_LIMIT_SECONDS "
                f"less {HANDBACK_SECONDS}, or a waiting page is stopped before it can go back: lower the first or "
                "raise the last"
            )
        if self.max_pictures > self.max_batch_pictures:
            problems.append(
                f"{PREFIX}MAX_PICTURES must not exceed {PREFIX}MAX_BATCH_PICTURES: a product travels in one call"
            )
        if problems:
            raise ValueError("\n  ".join(problems))
        return self

    @property
    def page_soft_limit_seconds(self) -> int:
        """After this long a page is told to stop, and goes back by itself; at the limit its process is killed."""
        return self.page_time_limit_seconds - HANDBACK_SECONDS

    @property
    def visibility_timeout_seconds(self) -> int:
        """After this long an unacknowledged page is taken from a silent worker and given to another."""
        return 3 * self.page_time_limit_seconds + 10

    @property
    def model_signature(self) -> Signature:
        """The model's signature to call."""
        return Signature.JPEG if self.signature == "jpeg" else Signature.PIXELS

    def environment(self) -> dict[str, str]:
        """Return all settings as variables, for a process that shall have the same."""
        return {variable(name): str(getattr(self, name)) for name in type(self).model_fields}


def load() -> Settings:
    """Read the settings from the environment; raises SettingsError that names all problems at once."""
    problems = list(_unknown_variables())
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_tell(problem) for problem in error.errors()]
    if problems:
        raise SettingsError("the settings need a change:\n  " + "\n  ".join(problems))
    return settings


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + name.upper()


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


def _unknown_variables() -> Iterator[str]:
    known = [variable(name) for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            yield f"{name} is no setting: " + (f"did you mean {close[0]}?" if close else "unset it")


def _tell(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(message)
    name = problem["loc"][0]
    field = Settings.model_fields[name]
    secret = name.endswith("_url")  # may hold a password
    value = "" if secret else f" is {problem['input']!r}"
    if problem["input"] == "":
        value, message = " is set but empty", "give it a value or unset it"
    return f"{variable(name)}{value}: {message[0].lower() + message[1:]} ({field.description}; e.g. {field.default})"
