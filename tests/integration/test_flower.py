"""Flower on our application, started as docs/operations.md says."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
import redis
from pymongo.collection import Collection

from deploy.local.processes import Processes
from tests.conftest import command
from tests.integration.queues import wait_for
from tests.integration.secured import GRANTS
from tests.pictures import listing
from worker.contract.messages import Page
from worker.contract.sender import Pages
from worker.contract.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PASSWORD = "geheim-1234"  # noqa: S105 - of a server that ends with the tests


@pytest.fixture
def settings(line: Settings, redis_url: str, tmp_path: Path) -> Iterator[Settings]:
    """The line on an empty Redis, with a password and no more rights than deploy grants."""
    _, name, *rights = (GRANTS / "redis.acl").read_text().splitlines()[1].replace("PASSWORD", PASSWORD).split()
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        client.execute_command("ACL", "SETUSER", name, "reset", *rights)
        url = f"redis://{name}:{PASSWORD}@{redis_url.rpartition('@')[2].removeprefix('redis://')}"
        yield line.model_copy(update={"redis_url": url, "state_folder": str(tmp_path / "state")})
        client.acl_deluser(name)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Processes]:
    own = Processes(tmp_path / "logs")
    yield own
    own.stop()


def ask(port: str, path: str, user: str = "analyst:lets-see") -> str:
    """What Flower answers to a user."""
    shown = base64.b64encode(user.encode()).decode()
    with closing(HTTPConnection("127.0.0.1", int(port), timeout=30)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Basic {shown}"})
        return connection.getresponse().read().decode()


def test_flower_shows_workers_queues_and_pages(
    settings: Settings, own: Processes, listings: "Collection[dict[str, object]]", redis_url: str
) -> None:
    """To who has the password, and no secret to anybody; what it asks of workers leaves nothing behind in Redis."""
    environment = {**os.environ, **settings.environment(), "FLOWER_BASIC_AUTH": "analyst:lets-see"}
    worker = own.start("worker", [*command("shelver-worker"), "run", "--concurrency", "2"], environment)
    worker.wait_for(r"@\S+ ready")
    options = ["--address=127.0.0.1", "--port=0", "--read-only=true"]
    flower = own.start("flower", [*command("celery"), "--app", "worker.tasks", "flower", *options], environment)
    port = flower.wait_for(r"http://127.0.0.1:(\d+)")[1]
    worker.wait_for("Events of group {task} enabled")
    listings.insert_one(listing(12345))
    with closing(Pages(settings)) as pages:
        pages.send(Page((12345,)))
    wait_for(lambda: "SUCCESS" in ask(port, "/api/tasks"))

    (page,) = json.loads(ask(port, "/api/tasks")).values()
    assert "12345" in page["args"]
    ((name, shown),) = json.loads(ask(port, "/api/workers?refresh=true")).items()
    assert name in ask(port, "/workers")
    assert {each["name"] for each in shown["active_queues"]} == {"new", "backfill"}
    assert shown["stats"]["pool"]["max-concurrency"] == 2
    assert shown["stats"]["total"] == {"shelver.classify_page": 1}
    lengths = json.loads(ask(port, "/api/queues/length"))["active_queues"]
    assert sorted((each["name"], each["messages"]) for each in lengths) == [("backfill", 0), ("new", 0)]
    with redis.Redis.from_url(redis_url) as client:
        assert client.hlen("unacked") == 0

    assert ask(port, "/workers", "analyst:guess") == "Access denied"
    everything = [ask(port, path) for path in ("/workers", f"/worker/{name}", "/broker", f"/task/{page['uuid']}")]
    everything += [json.dumps(shown), flower.log.read_text(), worker.log.read_text()]
    everything += psutil.Process(flower.process.pid).cmdline()
    assert not [each for each in everything if PASSWORD in each or "lets-see" in each]
