"""python -m deploy.compose.replica_set: make MongoDB a replica set of one, with the user that SHELVER_MONGO_URL names.

`watch` follows a change stream, which only a replica set has. Run as often as you like: what is there stays, and the
user gets the password of the URL.
"""

import os
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from worker.contract import settings as configuration
from worker.contract.command import run
from worker.contract.errors import ShelverError

ADMIN, PASSWORD = "admin", "MONGO_ADMIN_PASSWORD"
POLL_SECONDS = 0.5
ROLE = "readWrite"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Client = MongoClient[Mapping[str, Any]]


class NotMade(ShelverError):
    """The replica set or its user could not be made."""


@app.command()
def replica_set(
    wait_seconds: Annotated[float, typer.Option(min=0, help="how long MongoDB may take to answer and elect")] = 60,
) -> None:
    """Make MongoDB a replica set of one, and the user that SHELVER_MONGO_URL names. MONGO_ADMIN_PASSWORD is admin's."""
    settings, password = configuration.load(), os.environ.get(PASSWORD)
    url = parse_uri(settings.mongo_url)
    name, user = url["options"].get("replicaSet"), url["username"]
    if not (password and name and user):
        raise NotMade(f"set {PASSWORD}, and SHELVER_MONGO_URL to mongodb://USER:PASSWORD@HOST:PORT/?replicaSet=NAME")
    host, port = url["nodelist"][0]
    waiting = {"serverSelectionTimeoutMS": int(wait_seconds * 1000), "directConnection": True}
    try:
        with Client(host, port, username=ADMIN, password=password, **waiting) as client:
            _initiate(client, name, f"{host}:{port}")
            _await_primary(client, time.monotonic() + wait_seconds)
            _allow(client, settings.mongo_database, user, url["password"])
    except PyMongoError as error:
        raise NotMade(f"MongoDB at {host}:{port} was not set up: {error}") from error
    typer.echo(f"{host}:{port} is a replica set, and {user} may use the database {settings.mongo_database}")


def _initiate(client: Client, name: str, member: str) -> None:
    if "setName" not in client.admin.command("hello"):
        client.admin.command("replSetInitiate", {"_id": name, "members": [{"_id": 0, "host": member}]})


def _await_primary(client: Client, deadline: float) -> None:
    while not client.admin.command("hello")["isWritablePrimary"]:
        if time.monotonic() > deadline:
            raise NotMade("MongoDB has elected no primary: its log says why")
        time.sleep(POLL_SECONDS)


def _allow(client: Client, database: str, user: str, password: str) -> None:
    roles = [{"role": ROLE, "db": database}]
    there = client.admin.command("usersInfo", {"user": user, "db": ADMIN})["users"]
    client.admin.command("updateUser" if there else "createUser", user, pwd=password, roles=roles)


if __name__ == "__main__":
    run(app)
