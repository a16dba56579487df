"""A real Prometheus that scrapes what our own code serves, as deploy/monitoring tells it to, but faster."""

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import yaml
from billiard.process import current_process
from prometheus_client import CollectorRegistry

from deploy.local.processes import Processes
from producer import metrics as producer_metrics
from producer.cursors import Cursor
from tests.packages import installed
from worker.contract.errors import QueueUnavailable
from worker.contract.exposition import Exposition
from worker.contract.messages import Page, Queue
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.exporter import Line
from worker.metrics import definitions, observe
from worker.outcome import Outcome, Prediction, Side

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
#: until a query finds something; long, since two cores may be busy with other things
DEADLINE_SECONDS = 60
STAGES = ("catalog", "model", "known", "stack", "predict", "save")


def quickened(text: str) -> str:
    """Return rules or a query in which a day ago is three seconds ago."""
    return re.sub(r"offset 1d\b", "offset 3s", text)


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    #: host:port
    address: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the series that an instant query finds; fails when it is none."""
        asked = f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': quickened(query)})}"
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}\n{error.read().decode()}") from error
        assert data["resultType"] == "vector", query
        return list(data["result"])

    def finds(self, query: str) -> bool:
        """Whether there is a number in the answer."""
        return any(series["value"][1] != "NaN" for series in self.ask(query))

    def wait_for(self, query: str, meanwhile: Any = None) -> None:
        """Return as soon as the query finds something, doing something twice a second."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.finds(query):
            assert time.monotonic() < deadline, query
            if meanwhile:
                meanwhile()
            time.sleep(0.5)


@contextmanager
def watched(settings: Settings, folder: Path) -> Iterator[Prometheus]:
    """Serve the metrics of a worker, a producer and the exporter, and have Prometheus watch them for some seconds."""
    with ExitStack() as held:
        worker, producer, line = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
        observe.turn_on(definitions.Metrics(worker))
        held.callback(observe._told.clear)
        producer_metrics._told[:] = [producer_metrics.Metrics(producer)]
        held.callback(producer_metrics._told.clear)
        line.register(Line(settings))
        held.enter_context(_something_waits(settings))
        ports = {}
        for job, registry in {"worker": worker, "producer": producer, "exporter": line}.items():
            exposition = held.enter_context(closing(Exposition("127.0.0.1", 0)))
            exposition.start(registry)
            ports[job] = exposition.server_port
        _tell()
        processes = Processes(folder / "logs")
        held.callback(processes.stop)
        prometheus = _started(processes, _configuration(folder, ports), folder)
        prometheus.wait_for(f"count(up == 1) == {len(ports)}")
        prometheus.wait_for("model_version:shelver_score:psi1d", meanwhile=_tell)
        yield prometheus


def _configuration(folder: Path, ports: dict[str, int]) -> Path:
    """Write ours, with these ports in place of the names of services, and with seconds for minutes."""
    configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    configuration["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for job, port in ports.items()
        if jobs.pop(job)
    ]
    (folder / "rules").mkdir()
    for path in (MONITORING / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(
            re.sub(r"interval: 5m\b", "interval: 1s", quickened(path.read_text()))
        )
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    return folder / "prometheus.yml"


def _started(processes: Processes, configuration: Path, folder: Path) -> Prometheus:
    command = [
        installed("prometheus", "prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    started = processes.start("prometheus", command)
    started.wait_for("Server is ready to receive web requests")
    return Prometheus(started.wait_for(r"Listening on.* address=(127.0.0.1:[1-9][0-9]*)")[1])


@contextmanager
def _something_waits(settings: Settings) -> Iterator[None]:
    """Put a page on each queue, and have a watcher hold its cursor."""
    with (
        redis.Redis.from_url(settings.redis_url) as client,
        closing(Pages(settings)) as pages,
        closing(Cursor(settings, "watch:shelver.products")) as cursor,
    ):
        client.flushdb()
        for queue in Queue:
            pages.send(Page((1,), queue))
        assert cursor.take()
        yield
        cursor.release()
        client.flushdb()


def _tell() -> None:
    """Do what a worker and a producer do when they tell their metrics: a few pages, some of them late."""
    for queue in Queue:
        page = Page((1, 2, 3, 4, 5), queue, queued_at=time.time() - 7, listed_at=time.time() - 8)
        outcome = _outcome(page, Side.STABLE)
        outcome.rejects = [Reject(4, Reason.NOT_FOUND, "")]
        outcome.known = [5]
        outcome.beside = _outcome(page, Side.CANARY)
        outcome.beside.fallbacks = {definitions.Cause.SERVING: 1}
        observe.page_done(page, outcome)
        observe.page_left(queue, definitions.PageResult.RETURNED)
        for source in producer_metrics.Source:
            producer_metrics.enqueued(page, source)
    for version, side in ((1, Side.STABLE), (2, Side.CANARY)):
        observe.answered(version, 5, 0.02, side)
    for cause in definitions.Cause:
        observe.retried(cause)
    observe.looked(is_unfit=False)
    observe.worker_started()
    current_process().index = 0  # as in a child
    observe.child_started()
    observe.child_memory()
    del current_process().index
    producer_metrics.watches(is_active=True)
    producer_metrics.retried(QueueUnavailable("away"))
    for status in (202, 503):
        producer_metrics.answered("enqueue", status, 0.01)


def _outcome(page: Page, side: Side) -> Outcome:
    scores = [0.05, 0.35, 0.95]
    predictions = [
        Prediction(
            Product(1, (b"",)), 1 if side is Side.STABLE else 2, [(1, score)], (1, 1), (1, 1), 1, {3: [(1, score)]}
        )
        for score in scores
    ]
    return Outcome(
        page, side=side, predictions=predictions, pictures=5, stored_at=time.time(), seconds=dict.fromkeys(STAGES, 0.01)
    )
