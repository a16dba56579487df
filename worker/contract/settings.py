"""Every setting of Shelver, in one class. Each is an environment variable: SHELVER_ and the field's name."""

import difflib
import os
import re
from collections.abc import Iterator
from itertools import permutations
from typing import Annotated, Any, Literal, Self

from bson import json_util
from bson.errors import BSONError
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.contract.address import checked
from worker.contract.certificates import OptionalAuthority, OptionalFile, mismatches
from worker.contract.errors import ShelverError
from worker.contract.fields import Fields
from worker.contract.signature import Signature
from worker.contract.urls import known_database, scheme

PREFIX = "SHELVER_"
#: between the soft time limit, at which a page goes back, and the hard one, at which its process is killed
HANDBACK_SECONDS = 5
#: a product that the model fails at is rejected after so many calls, plain pictures being answered after each
CALLS_FOR_ONE = 3
#: calls that may end at their deadline before a page that has waited goes back: those, and one for plain pictures each
LAST_CALLS = 2 * CALLS_FOR_ONE
#: of SHELVER_PREDICT_TIMEOUT_SECONDS: what a canary may take of a page, with all its calls
CANARY_SHARE = 0.25


#: names with dots between them, none of which MongoDB could take for an operator
PATH = r"^[^.$][^.]*(\.[^.$][^.]*)*$"


class SettingsError(ShelverError):
    """One or more variables are missing or wrong; the message names each with its remedy."""


class Settings(BaseSettings):
    """Where everything is and how much of it is taken at a time. The defaults suit one machine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    mongo_url: Annotated[str, scheme("mongodb", "mongodb+srv")] = Field(
        "mongodb://127.0.0.1:27017/", repr=False, description="MongoDB with the listings; a replica set for `watch`"
    )
    mongo_database: str = Field("shelver", min_length=1, description="MongoDB database of the listings")
    mongo_collection: str = Field("products", min_length=1, description="MongoDB collection of the listings")
    mongo_id_field: str = Field(
        "_id", pattern=PATH, description="field of a listing that holds the product id, an integer; indexed, and unique"
    )
    mongo_picture_path: str = Field(
        "imgs.picture",
        pattern=PATH,
        description="LIST.FIELD: a listing's list of pictures, and the field with the bytes in each",
    )
    mongo_order_field: str = Field(
        "_id",
        pattern=PATH,
        description="indexed field that only grows from listing to listing: where there is no change stream it tells "
        "what is new, and if it is a date, --since and --until go by it",
    )
    mongo_filter: str = Field(
        "{}", description='listings that count, as a MongoDB filter in JSON, e.g. {"status": "live"}'
    )
    redis_url: Annotated[str, scheme("redis", "rediss")] = Field(
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
    serving_ca_file: OptionalAuthority = Field(
        "",
        description="PEM file with the CA of TensorFlow Serving's certificate; with it, and only then, TLS is spoken",
    )
    serving_certificate_file: OptionalFile = Field(
        "", description="PEM file with the certificate to show TensorFlow Serving, where it asks for one"
    )
    serving_key_file: OptionalFile = Field("", description="PEM file with that certificate's key, without a passphrase")
    model_name: str = Field(
        "shelver", min_length=1, max_length=100, description="model to ask, as TensorFlow Serving names it"
    )
    model_label: str = Field(
        "",
        pattern=r"^\S*$",
        description="version label to ask for, e.g. stable; without one the newest version served answers",
    )
    signature: Literal["pixels", "jpeg"] = Field(
        "pixels", description="send decoded pixels, or JPEG bytes that the model host decodes"
    )
    page_size: int = Field(64, ge=1, le=1000, description="products a page, the unit of work")
    page_linger_seconds: float = Field(
        0.1,
        gt=0,
        le=60,
        description="how long `watch` lets a page fill; it sends one as soon as nothing more came for a fifth of that",
    )
    backfill_depth: int = Field(
        1000, ge=1, description="pages that may wait on the queue of backfills before a backfill waits itself"
    )
    max_batch_pictures: int = Field(
        128, ge=1, le=4096, description="pictures in one Predict call; at most TensorFlow Serving's max_batch_size"
    )
    max_picture_bytes: int = Field(8 * 2**20, ge=1, description="larger pictures are left out, in bytes as stored")
    max_picture_pixels: int = Field(25_000_000, ge=1, description="larger pictures are left out, width times height")
    max_pictures: int = Field(16, ge=1, le=4096, description="pictures of a product that are used, from its first on")
    copy_answers: bool = Field(
        True,
        description="a product whose pictures, byte for byte, the model has seen under another id gets that answer; "
        "false: the model is asked about every product",
    )
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
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="where a worker, `watch` and `api` each serve Prometheus' /metrics; 0 for nowhere",
    )
    metrics_host: str = Field("127.0.0.1", min_length=1, description="address of that port; 0.0.0.0 or :: for any")
    api_token: str = Field(
        "",
        repr=False,
        description="what callers of `shelver-producer api` must show, as Authorization: Bearer TOKEN; without one it "
        "serves this machine alone",
    )
    api_rate: int = Field(600, ge=1, description="requests a minute that `shelver-producer api` takes from one address")

    console_password: str = Field(
        "",
        repr=False,
        description="what analysts must type to enter the console; without one it serves this machine alone",
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        return known_database(url)

    @field_validator("serving_address")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        return checked(address)

    @field_validator("api_token")
    @classmethod
    def _token(cls, token: str) -> str:
        if token and not re.fullmatch(r"[!-~]{16,}", token):
            raise ValueError(
                "must be 16 or more printable ASCII characters without blanks; openssl rand -hex 32 makes one"
            )
        return token

    @field_validator("console_password")
    @classmethod
    def _password(cls, password: str) -> str:
        if password and len(password) < 8:
            raise ValueError("must have 8 characters or more, since everyone who reaches the console may try")
        return password

    @field_validator("mongo_filter")
    @classmethod
    def _filter(cls, text: str) -> str:
        parse_filter(text)
        return text

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        files = (self.serving_ca_file, self.serving_certificate_file, self.serving_key_file)
        problems = list(mismatches(*files, self.serving_address))
        calls = LAST_CALLS + CANARY_SHARE
        last_calls_seconds = calls * self.predict_timeout_seconds + CALLS_FOR_ONE * self.connect_timeout_seconds
        if self.wait_limit_seconds + last_calls_seconds >= self.page_soft_limit_seconds:
            problems.append(
                f"{PREFIX}WAIT_LIMIT_SECONDS plus {calls} x {PREFIX}PREDICT_TIMEOUT_SECONDS plus "
                f"{CALLS_FOR_ONE} x {PREFIX}CONNECT_TIMEOUT_SECONDS must stay below {PREFIX}PAGE_TIME_LIMIT_SECONDS "
                f"less {HANDBACK_SECONDS}, or a waiting page is stopped before it can go back: lower the first or "
                "raise the last"
            )
        if self.max_pictures > self.max_batch_pictures:
            problems.append(
                f"{PREFIX}MAX_PICTURES must not exceed {PREFIX}MAX_BATCH_PICTURES: a product travels in one call"
            )
        for one, other in permutations([self.mongo_id_field, self.fields.picture_list, self.fields.category], 2):
            if f"{one}.".startswith(f"{other}."):
                problems.append(
                    f"the id, the pictures and {self.fields.category} of a listing cannot be one in another"
                )
        if problems:
            raise ValueError("\n  ".join(problems))
        return self

    @property
    def fields(self) -> Fields:
        """Where a listing keeps what."""
        return Fields(self.mongo_id_field, self.mongo_picture_path)

    @property
    def listing_filter(self) -> dict[str, Any]:
        """MongoDB filter of the listings that count."""
        return parse_filter(self.mongo_filter)

    @property
    def page_soft_limit_seconds(self) -> int:
        """After this long a page is told to stop, and goes back by itself; at the limit its process is killed."""
        return self.page_time_limit_seconds - HANDBACK_SECONDS

    @property
    def canary_seconds(self) -> float:
        """How long a page goes without what is asked of a canary; the stable model answers for what is left then."""
        return CANARY_SHARE * self.predict_timeout_seconds

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


def parse_filter(text: str) -> dict[str, Any]:
    """Read a MongoDB filter from (extended) JSON; raises ValueError that says what is wrong with it."""
    try:
        parsed = json_util.loads(text)
        problem = None if isinstance(parsed, dict) else f"{text[:100]} is no object"
    except (ValueError, TypeError, BSONError, RecursionError) as error:
        problem = str(error)[:200]
    if problem:
        raise ValueError(f'must be a MongoDB filter in JSON, e.g. {{"status": "live"}}; {problem}')
    return dict(parsed)


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + name.upper()


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
    value = f" is {problem['input']!r}" if field.repr else ""  # what no repr shows may hold a password
    if problem["input"] == "":
        value, message = " is set but empty", "give it a value or unset it"
    example = f"; e.g. {field.default}" if field.default != "" else ""
    return f"{variable(name)}{value}: {message[0].lower() + message[1:]} ({field.description}{example})"
