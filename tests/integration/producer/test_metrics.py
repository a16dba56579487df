"""The metrics of the two producers that run for long, as they serve them."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from deploy.local.processes import Processes, Started
from deploy.local.servers import free_port
from tests.conftest import command
from tests.integration.producer.conftest import Listings, Start, Watch
from tests.integration.producer.positions import position
from tests.integration.queues import queued, wait_for
from tests.pictures import listing
from tests.scrapes import Scrape, scrape
from worker.contract.settings import Settings


def until(port: int, holds: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape of which it holds."""
    found: list[Scrape] = []

    def look() -> bool:
        found.append(scrape(port))
        return holds(found[-1])

    wait_for(look)
    return found[-1]


def test_a_watcher_tells_what_it_enqueued_and_whether_it_works(
    settings: Settings, listings: Listings, watching: Watch, start: Start
) -> None:
    """It stands by for another, takes over, and its pages say when their products were listed."""
    stop_other = watching()
    wait_for(lambda: position(settings) is not None)
    port = free_port()
    start(SHELVER_METRICS_PORT=str(port)).wait_for("standing by to take over")
    told = scrape(port)
    assert told("shelver_watcher_active") == 0
    stop_other()
    until(port, lambda told: told("shelver_watcher_active") == 1)
    begun = time.time()
    listings.insert_many([listing(each) for each in range(1, 7)])
    told = until(port, lambda told: told.total("shelver_enqueued_products_total") == 6)
    pages = queued(settings)
    assert told("shelver_enqueued_products_total", queue="new", source="watch") == 6
    assert told("shelver_enqueued_pages_total", queue="new", source="watch") == len(pages)
    assert told("shelver_enqueue_lag_seconds_count") == len(pages)
    assert all(begun - 0.001 <= page.listed_at <= page.queued_at for page in pages)  # MongoDB tells milliseconds
    assert "_created" not in told.text


@pytest.fixture
def api(settings: Settings, tmp_path: Path) -> Iterator[tuple[Started, int]]:
    """The service as a process, and the port of its metrics."""
    port = free_port()
    own = settings.model_copy(update={"api_token": "a-token-for-tests-0123", "metrics_port": port})
    processes = Processes(tmp_path)
    arguments = [*command("shelver-producer"), "api", "--port", "0"]
    yield processes.start("api", arguments, {**os.environ, **own.environment()}), port
    processes.stop()


def test_the_service_tells_its_requests(api: tuple[Started, int]) -> None:
    """By endpoint and status; paths of strangers make no series of their own."""
    started, port = api
    address = started.wait_for(r"listening on (\S+),")[1]
    with requests.Session() as session:
        assert session.get(f"{address}/listings/1").status_code == 401
        session.headers["Authorization"] = "Bearer a-token-for-tests-0123"
        assert session.post(f"{address}/listings", json={"ids": [1, 2, 2], "queue": "backfill"}).status_code == 202
        assert session.get(f"{address}/listings/3").status_code == 404
        assert session.get(f"{address}/listings/3/prediction").status_code == 404
        assert session.get(f"{address}/health").status_code == 200
        assert session.get(f"{address}/docs").status_code == 200
        assert session.get(f"{address}/{'x' * 100}").status_code == 404
    told = scrape(port)
    counted = {
        (dict(labels)["endpoint"], dict(labels)["status"]): value
        for (name, labels), value in told.samples.items()
        if name == "shelver_api_requests_total"
    }
    assert counted == {
        ("enqueue", "202"): 1,
        ("status", "404"): 1,
        ("prediction", "404"): 1,
        ("health", "200"): 1,
        ("other", "401"): 1,
        ("other", "200"): 1,
        ("other", "404"): 1,
    }
    assert told("shelver_api_request_seconds_count", endpoint="other") == 3
    assert told("shelver_enqueued_products_total", queue="backfill", source="api") == 2
    assert told("shelver_enqueued_pages_total", queue="backfill", source="api") == 1
    assert told("shelver_watcher_active") is None
