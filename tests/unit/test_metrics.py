"""Metrics without a process around them: what is told of what, and that the page about them says what they are."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bson.timestamp import Timestamp
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from deploy.local.servers import free_port
from producer import metrics as producer_metrics
from producer.listings import open_listings
from producer.watching.changes import changed_at
from tests.scrapes import Scrape
from worker.contract.database import Database
from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.exporter import GAUGES
from worker.metrics import observe
from worker.metrics.definitions import Cause, Metrics, PageResult
from worker.outcome import Outcome, Prediction, Side
from worker.patience import Patience

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(shelver_\w+)` \| (\w+) \|(.*?)\| (.*) \|$", re.MULTILINE)
LABEL = re.compile(r"`(\w+)`(?: \(([^)]*)\))?")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def told(registry: CollectorRegistry) -> Iterator[CollectorRegistry]:
    """What the worker's functions tell, in memory."""
    observe.turn_on(Metrics(registry))
    yield registry
    observe._told.clear()


def read(registry: CollectorRegistry) -> Scrape:
    return Scrape(generate_latest(registry).decode())


def defined() -> dict[str, tuple[str, str, set[str], dict[str, set[str]]]]:
    """Name -> type, meaning, labels, and of some labels values, of every metric in the code."""
    found = {name: ("gauge", meaning, set(labels), {}) for name, (meaning, labels) in GAUGES.items()}
    for kind in (Metrics, producer_metrics.Metrics):
        for each in vars(kind(CollectorRegistry())).values():
            assert isinstance(each, MetricWrapperBase)
            (family,) = each.collect()
            name = family.name + ("_total" if family.type == "counter" else "")
            values: dict[str, set[str]] = {}
            for sample in family.samples:
                for label in each._labelnames:
                    values.setdefault(label, set()).add(sample.labels[label])
            found[name] = (family.type, family.documentation, set(each._labelnames), values)
    return found


def test_the_page_has_every_metric_as_the_code_has_it() -> None:
    """Name, type, labels, the values they may have, and the meaning; and it has no other."""
    rows = {
        name: (kind, meaning, dict(LABEL.findall(labels)))
        for name, kind, labels, meaning in ROW.findall(PAGE.read_text())
    }
    code = defined()
    assert set(rows) == set(code)
    for name, (kind, meaning, labels, values) in code.items():
        assert (rows[name][0], set(rows[name][2])) == (kind, labels), name
        assert rows[name][1].startswith(meaning), name
        for label, some in values.items():
            assert some <= set(re.split(r"[,; ]+", rows[name][2][label])), name


def test_names_are_as_prometheus_has_them() -> None:
    """A counter ends with _total and nothing else does; units are whole ones, at the end."""
    for name, (kind, meaning, _, _) in defined().items():
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"milli|_ms|_count$|_sum$|_bucket$|kilo|mega", name)
        if "_seconds" in name:
            assert "Seconds" in meaning


def test_what_two_models_make_of_a_page_is_told_by_side(told: CollectorRegistry) -> None:
    """The canary's products on its side, the stable model's on the other, and what the canary left to it, by cause."""
    product = Product(1, (b"x",))
    new = Prediction(product, 7, [(5, 0.45), (6, 0.2)], (2, 0.5), (1, 0.6), 1, {3: [(5, 0.45)]})
    copied = Prediction(product, 7, [(5, 0.95)], (2, 0.5), (1, 0.6), 1)
    page = Page((1, 2, 3, 4), Queue.BACKFILL, queued_at=2e9)  # by a clock that is ahead
    outcome = Outcome(
        page, rejects=[Reject(4, Reason.POISON, "")], known=[3], seconds={"save": 1.0}, stored_at=time.time()
    )
    outcome.beside = Outcome(
        page, side=Side.CANARY, predictions=[new, copied], copied=1, pictures=1, seconds={"save": 1.0}
    )
    outcome.beside.fallbacks = {Cause.REFUSED: 2}
    observe.page_done(page, outcome)
    found = read(told)
    for result, side in (("known", "stable"), ("rejected", "stable"), ("predicted", "canary"), ("copied", "canary")):
        assert found("shelver_products_total", queue="backfill", result=result, side=side) == 1
    assert found.total("shelver_products_total") == 4
    assert found("shelver_score_bucket", model_version=7, side="canary", queue="backfill", le="0.4") == 0
    assert found("shelver_score_bucket", model_version=7, side="canary", queue="backfill", le="0.5") == 1
    assert found.total("shelver_score_count") == 1
    assert found("shelver_canary_fallbacks_total", cause="refused") == 2
    assert found("shelver_stage_seconds_count", stage="save") == 1
    assert found("shelver_stage_seconds_sum", stage="save") == 2
    assert found("shelver_lag_seconds_sum", queue="backfill", since="enqueued") == 0


def test_what_alerts_count_begins_at_zero(told: CollectorRegistry) -> None:
    """Of a series that begins with its first event Prometheus sees no increase."""
    found = read(told)
    for queue in Queue:
        assert found("shelver_pages_total", queue=queue, result="done") == 0
        assert found("shelver_products_total", queue=queue, result="rejected", side="stable") == 0
        assert found("shelver_lag_seconds_count", queue=queue, since="enqueued") == 0
        assert found("shelver_lag_seconds_bucket", queue=queue, since="enqueued", le="5.0") == 0
    assert found("shelver_retries_total", cause="killed") == 0
    assert found("shelver_canary_fallbacks_total", cause="model") == 0


def test_each_wait_is_told_with_its_cause(told: CollectorRegistry) -> None:
    """As it happens, by the server that is away; what no wait can mend is left to the page that goes back."""
    attempts = []

    def fail(error: Exception) -> None:
        attempts.append(error)
        raise error

    with pytest.raises(Unavailable):
        Patience(0.3, {})("catalog", fail, Unavailable("away"))
    assert read(told)("shelver_retries_total", cause="mongodb") == len(attempts) > 1
    with pytest.raises(ModelUnfit):
        Patience(0.3, {})("model", fail, ModelUnfit("none"))
    assert read(told).total("shelver_retries_total") == len(attempts) - 1


@pytest.mark.parametrize(
    "given", [None, {}, {"routing_key": ["new"]}, {"routing_key": "elsewhere"}, {"routing_key": None}]
)
def test_no_message_makes_a_series_of_its_own(given: object) -> None:
    """Whatever a stranger writes where the queue belongs, it is one of three."""
    assert observe.queue_of(given) == "unknown"
    assert observe.queue_of({"routing_key": "new"}) == "new"


def test_without_a_port_nothing_is_loaded_counted_or_written() -> None:
    """Not even prometheus_client, in a worker or a producer that nobody scrapes."""
    statements = """
import sys
import worker.tasks, worker.metrics.slots, producer.metrics, producer.cli, producer.watching.watcher
from worker.contract.settings import Settings
from worker.metrics import observe, slots
slots.start(Settings())
slots.begin_child()
producer.metrics.start(Settings(), is_watcher=True)
assert not observe.is_on()
assert "prometheus_client" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", statements], check=True)


def test_a_full_disk_ends_metrics_and_nothing_else(tmp_path: Path) -> None:
    """At the start, where series have become too many, and in a child that needs files of its own; said once."""
    statements = f"""
import resource
from urllib.error import URLError
from urllib.request import urlopen
from billiard.process import current_process
from deploy.local.servers import free_port
from worker.contract.settings import Settings
from worker.metrics import observe, slots

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def start():
    port = free_port()
    slots.start(Settings(state_folder={str(tmp_path)!r}, metrics_port=port))
    return port

limit(100_000)
start()
assert not observe.is_on()
limit(2 * slots.FILE_BYTES)
start()
assert observe.is_on()
for version in range(1000):
    observe.answered(version, 1, 0.1, "stable")
assert not observe.is_on()
port = start()
assert b"shelver_pages_total" in urlopen(f"http://127.0.0.1:{{port}}/metrics").read()
limit(100_000)
current_process().index = 0  # as in a child
slots.begin_child()
observe.turn_off(OSError("and in another one"))
observe.page_left("new", "cut")
assert urlopen(f"http://127.0.0.1:{{port}}/metrics").read() == b""
try:
    urlopen(f"http://127.0.0.1:{{port}}/metrics")
except URLError:
    print("nobody answers")
"""
    done = subprocess.run([sys.executable, "-c", statements], capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("nobody answers")) == (0, 1), done.stderr
    assert (done.stdout + done.stderr).count("no metrics: ") == 3


def test_a_change_tells_when_it_was_made() -> None:
    """To the millisecond where MongoDB says so, else to the second, else not at all."""
    moment = datetime(2026, 11, 26, 12, 0, 0, 250_000, UTC)
    seconds = moment.timestamp()
    cluster = Timestamp(int(seconds), 5)
    assert changed_at({"wallTime": moment, "clusterTime": cluster}) == seconds
    assert changed_at({"wallTime": moment.replace(tzinfo=None)}) == seconds
    assert changed_at({"clusterTime": cluster}) == int(seconds)
    assert changed_at({}) is None


def test_a_watcher_tells_which_server_it_waits_for(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As each server's own error has it."""
    monkeypatch.setattr(producer_metrics, "_told", [producer_metrics.Metrics(registry)])
    nobody = f"127.0.0.1:{free_port()}"
    settings = Settings(
        mongo_url=f"mongodb://{nobody}/",
        redis_url=f"redis://{nobody}/0",
        database_url=f"postgresql://{nobody}/none",
        connect_timeout_seconds=0.2,
    )

    def ask_mongodb() -> None:
        with open_listings(settings) as listings:
            listings.find_one()

    def ask_store() -> None:
        with Database(settings.database_url).begin():
            pass

    for ask in (ask_mongodb, ask_store, lambda: Pages(settings).send(Page((1,)))):
        with pytest.raises(Unavailable) as caught:
            ask()
        producer_metrics.retried(caught.value)
    found = read(registry)
    assert [found("shelver_producer_retries_total", cause=each) for each in producer_metrics.Cause] == [1, 1, 1]


def test_every_page_result_is_told_by_its_queue(told: CollectorRegistry) -> None:
    """A page that is not done is counted alone."""
    for result in PageResult:
        observe.page_left("unknown", result)
    assert read(told).total("shelver_pages_total", queue="unknown") == len(PageResult)
    assert read(told).total("shelver_lag_seconds_count") == 0
