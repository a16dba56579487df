"""A new model tried out beside the stable one, on a share of the products and without harm to any page."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import grpc
import keras
import pytest
import redis
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery
from google.protobuf import text_format
from keras import layers
from pymongo.collection import Collection
from sqlalchemy import delete, select
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
from typer.testing import CliRunner, Result

from deploy.local.processes import Processes, Started
from tests.conftest import command
from tests.faults.proxies import PREDICT, Fault, ModelProxy
from tests.integration.conftest import register, tiny_classifier
from tests.pictures import jpeg, listing
from trainer.graph import Classifier
from trainer.publishing.publish import publish
from trainer.run import Run
from trainer.serve.server import ModelServer
from worker import schema
from worker.canary import Canary
from worker.catalog import Catalog
from worker.cli import app
from worker.contract import views
from worker.contract.database import Database
from worker.contract.errors import ModelUnfit, ShelverError, Unavailable
from worker.contract.messages import TASK, Page
from worker.contract.rejects import Reason
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions, rejects
from worker.control import ROLLOUT, Control
from worker.latency import measure
from worker.outcome import Side
from worker.pipeline import Pipeline
from worker.rollout import CANARY, OFF, Answered, Rollout
from worker.serving import REPLICAS_ASKED, Serving
from worker.store import Store

Listings = Collection[dict[str, object]]
Label = Callable[..., None]
Build = Callable[..., Pipeline]
#: one kind of store is enough for what SQL has no part in
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

STABLE_VERSION, CANARY_VERSION, SMALL_VERSION = 1, 2, 3
#: of version 3, in pixels
SMALL_SIDE = 60
IDS = range(1, 41)
HALF = Rollout(Side.CANARY, 0.5)
TRIED = {each for each in IDS if HALF.includes(each)}
SHADOW = Rollout(Side.SHADOW, 0.5)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MODELS with two versions that differ in what they say, and a third that takes smaller pictures."""
    folder = tmp_path_factory.mktemp("models")
    url = f"sqlite:///{folder / 'registry.db'}"
    schema.migrate(Settings(database_url=url))
    for version in (STABLE_VERSION, CANARY_VERSION):
        publish(run, tiny_classifier(run, seed=version), folder, "shelver", version, url)
    inputs = keras.Input((SMALL_SIDE, SMALL_SIDE, 3))
    small = layers.Rescaling(1 / 64, offset=-2)(layers.AveragePooling2D(10)(inputs))
    network = keras.Model(inputs, layers.Dense(len(run.classes))(layers.Flatten()(small)))
    classifier = Classifier(network, run.classes, run.taxonomy, SMALL_SIDE)
    publish(replace(run, picture_side=SMALL_SIDE), classifier, folder, "shelver", SMALL_VERSION, url)
    _write(folder, stable=STABLE_VERSION)
    return folder


def _write(folder: Path, file: str = "models.config", **labels: int) -> None:
    """Have all versions served, and these labelled."""
    config = ModelServerConfig()
    model = config.model_config_list.config.add(name="shelver", base_path=str(folder / "shelver"))
    model.model_platform = "tensorflow"
    model.model_version_policy.specific.versions.extend([STABLE_VERSION, CANARY_VERSION, SMALL_VERSION])
    for label, version in labels.items():
        model.version_labels[label] = version
    draft = folder / ".models.config"
    draft.write_bytes(text_format.MessageToBytes(config))
    draft.replace(folder / file)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ModelServer]:
    with ModelServer(folder, port=0, poll_seconds=0.05, config_file=folder / "models.config") as server:
        yield server


def version_of(settings: Settings, label: str) -> int | None:
    try:
        with closing(Serving(settings, label)) as serving:
            return serving.model().version
    except ModelUnfit:
        return None


@pytest.fixture
def settings(line: Settings, server: ModelServer, run: Run) -> Settings:
    """The line, asking for what is labelled stable; all versions are registered."""
    for version in (CANARY_VERSION, SMALL_VERSION):
        register(run, line, version)
    return line.model_copy(update={"serving_address": server.address, "model_label": "stable"})


@pytest.fixture
def label(folder: Path, settings: Settings) -> Label:
    """Put the labels stable and canary on versions, or on none, and wait until the server has it so."""

    def make(stable: int | None = STABLE_VERSION, canary: int | None = CANARY_VERSION) -> None:
        wanted = {"stable": stable, "canary": canary}
        _write(folder, **{name: version for name, version in wanted.items() if version})
        deadline = time.monotonic() + 60
        while any(version_of(settings, name) != version for name, version in wanted.items()):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    make()
    return make


@pytest.fixture
def build(settings: Settings, label: Label) -> Iterator[Build]:
    """Pipelines on these settings, some of them changed."""
    with ExitStack() as stack:

        def make(**changes: object) -> Pipeline:
            changed = settings.model_copy(update=changes)
            clients = Catalog(changed), Serving(changed), Store(changed)
            for client in clients:
                stack.enter_context(closing(client))
            return Pipeline(changed, *clients)

        yield make


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings.database_url)) as database:
        yield database


@pytest.fixture
def proxy(server: ModelServer) -> Iterator[ModelProxy]:
    """A way to the model server that can be disturbed."""
    proxy = ModelProxy(server.address)
    yield proxy
    proxy.close()


def at_canary(fault: Fault, calls: list[str] | None = None) -> Fault:
    """Disturb what is asked of the canary alone; keep the methods that it was asked by."""

    def disturb(method: str, request: bytes) -> grpc.StatusCode | None:
        kind = (
            predict_pb2.PredictRequest if method.endswith(PREDICT) else get_model_metadata_pb2.GetModelMetadataRequest
        )
        if kind.FromString(request).model_spec.version_label != CANARY:
            return None
        if calls is not None:
            calls.append(method.rpartition("/")[2])
        return fault(method, request)

    return disturb


def stored(database: Database, latest: bool = True) -> dict[int, int]:
    """Product -> the version of its latest prediction, or of its other one."""
    query = select(predictions.c.product_id, models.c.version).join(models).where(predictions.c.is_latest == latest)
    with database.begin() as connection:
        rows = connection.execute(query).all()
    assert len(rows) == len(dict(map(tuple, rows)))
    return dict(map(tuple, rows))


def rejected(database: Database) -> dict[int, Reason]:
    with database.begin() as connection:
        return dict(map(tuple, connection.execute(select(rejects.c.product_id, rejects.c.reason))))


def assigned(database: Database) -> dict[int, tuple[object, ...]]:
    view = views.assignments.c
    with database.begin() as connection:
        rows = connection.execute(select(view.product_id, view.version, view.assignment, view.category_id))
        return {row[0]: tuple(row[1:]) for row in rows}


@one_store
def test_a_label_chooses_the_version(settings: Settings, build: Build, label: Label, listings: Listings) -> None:
    """For all that a worker asks; whatever else is served, and newer, has no part in it."""
    listings.insert_many([listing(each) for each in (1, 2)])
    pipeline = build()
    assert pipeline.classify(Page((1,))).model_version == STABLE_VERSION
    label(stable=CANARY_VERSION, canary=None)
    with closing(Serving(settings)) as serving:
        assert serving.model().version == CANARY_VERSION
    outcome = build().classify(Page((1, 2)))
    assert {each.model_version for each in outcome.predictions} == {CANARY_VERSION}
    assert build(model_label="").classify(Page((1,))).model_version == SMALL_VERSION  # the newest


@one_store
def test_a_label_that_is_taken_away_rejects_no_product(
    build: Build, label: Label, listings: Listings, database: Database
) -> None:
    """A label that is on nothing is INVALID_ARGUMENT, as are pictures that the model refuses: the page goes back."""
    listings.insert_many([listing(each) for each in IDS])
    pipeline = build(wait_limit_seconds=10_000)
    pipeline.check_model()
    label(stable=None)
    told = r"does not serve shelver \(SHELVER_MODEL_NAME\) under the label stable \(SHELVER_MODEL_LABEL\): INVALID_ARG"
    for ask in (lambda: pipeline.classify(Page(tuple(IDS))), pipeline.check_model):
        with pytest.raises(ModelUnfit, match=f"{told}.*shelver-trainer promote"):
            ask()
    assert not rejected(database)
    label()
    assert pipeline.classify(Page(tuple(IDS))).model_version == STABLE_VERSION


@pytest.mark.parametrize("turns", [2, 3])
@one_store
def test_a_replica_without_the_label_rejects_no_product(
    turns: int, build: Build, listings: Listings, database: Database, proxy: ModelProxy
) -> None:
    """Replicas read the labels each in its time: one of several refuses everything until it has."""
    listings.insert_many([listing(each) for each in IDS])
    calls = count()
    proxy.fault = lambda method, request: None if next(calls) % turns else grpc.StatusCode.INVALID_ARGUMENT
    pipeline = build(serving_address=proxy.address, wait_limit_seconds=10_000)
    for identity in IDS:  # alone, so that the last word on it is soon spoken
        with suppress(ModelUnfit):
            pipeline.classify(Page((identity,)))
    assert not rejected(database)
    proxy.heal()
    pipeline.classify(Page(tuple(IDS)))
    assert set(stored(database)) == set(IDS)


@one_store
def test_a_label_that_moves_amid_a_page_ends_right(
    build: Build, label: Label, listings: Listings, database: Database, proxy: ModelProxy
) -> None:
    """Asked as version 1, answered by 3, which takes other pictures: it is asked again, and credited."""
    listings.insert_many([listing(each) for each in IDS])
    moved = []

    def move(method: str, request: bytes) -> None:
        if method.endswith(PREDICT) and not moved:
            moved.append(label(stable=SMALL_VERSION))

    pipeline = build(serving_address=proxy.address)
    proxy.fault = move
    outcome = pipeline.classify(Page(tuple(IDS)))
    assert {each.model_version for each in outcome.predictions} == {SMALL_VERSION}
    assert stored(database) == dict.fromkeys(IDS, SMALL_VERSION)
    assert not rejected(database)


@pytest.mark.parametrize("signature", ["pixels", "jpeg"])
@pytest.mark.parametrize("version", [CANARY_VERSION, SMALL_VERSION])
@one_store
def test_a_canary_answers_for_its_share(
    build: Build, label: Label, listings: Listings, database: Database, version: int, signature: str
) -> None:
    """Products in the share are its own, whatever pictures it takes; a second time all are known to their own model."""
    label(canary=version)
    listings.insert_many([listing(each) for each in IDS])
    pipeline = build(signature=signature)
    outcome = pipeline.classify(Page(tuple(IDS)), HALF)
    assert outcome.beside is not None
    assert (outcome.beside.side, outcome.beside.answered, outcome.beside.fallbacks) == (Side.CANARY, TRIED, {})
    assert (outcome.side, outcome.answered) == (Side.STABLE, set(IDS) - TRIED)
    assert stored(database) == {each: version if each in TRIED else STABLE_VERSION for each in IDS}
    again = pipeline.classify(Page(tuple(IDS)), HALF)
    assert again.beside is not None
    assert (set(again.beside.known), set(again.known), again.predictions) == (TRIED, set(IDS) - TRIED, [])


@one_store
def test_the_share_may_be_all_and_the_way_back_is_open(build: Build, listings: Listings, database: Database) -> None:
    """Whoever is enqueued again after the end of it has the stable model's answer again."""
    listings.insert_many([listing(each) for each in IDS])
    pipeline = build()
    pipeline.classify(Page(tuple(IDS)), Rollout(Side.CANARY, 1.0))
    assert stored(database) == dict.fromkeys(IDS, CANARY_VERSION)
    pipeline.classify(Page(tuple(IDS)))
    assert stored(database) == dict.fromkeys(IDS, STABLE_VERSION)
    assert stored(database, latest=False) == dict.fromkeys(IDS, CANARY_VERSION)


@one_store
def test_products_are_rejected_once_and_by_the_stable_side(
    build: Build, listings: Listings, database: Database
) -> None:
    """Whichever side they are on; the page goes on."""
    listings.insert_many([listing(each, b"broken") if each % 2 else listing(each) for each in IDS])
    broken = {each for each in IDS if each % 2}
    assert broken & TRIED
    outcome = build().classify(Page((*IDS, 404)), HALF)
    assert outcome.beside is not None
    assert (outcome.beside.rejects, outcome.beside.answered) == ([], TRIED - broken)
    assert {each.product_id for each in outcome.rejects} == broken | {404}
    assert set(rejected(database)) == broken | {404}
    assert build().classify(Page(tuple(IDS)), SHADOW).beside.answered == TRIED - broken  # type: ignore[union-attr]


def test_in_the_shadow_assignments_follow_the_stable_model_alone(
    build: Build, label: Label, listings: Listings, database: Database
) -> None:
    """Both answers are stored, and nobody sees the canary's; once it is promoted, those are known and count at once."""
    listings.insert_many([listing(each) for each in IDS])
    pipeline = build()
    pipeline.classify(Page(tuple(IDS)))
    before = assigned(database)
    for page in (Page(tuple(IDS)), Page(tuple(IDS))):
        outcome = pipeline.classify(page, SHADOW)
        assert outcome.beside is not None
        assert (outcome.beside.side, outcome.beside.answered) == (Side.SHADOW, TRIED)
        assert assigned(database) == before
        assert stored(database, latest=False) == dict.fromkeys(TRIED, CANARY_VERSION)
    assert {version for version, *_ in before.values()} == {STABLE_VERSION}
    label(stable=CANARY_VERSION, canary=None)
    outcome = build().classify(Page(tuple(IDS)))
    assert set(outcome.known) == TRIED
    assert stored(database) == dict.fromkeys(IDS, CANARY_VERSION)
    assert set(assigned(database)) == set(IDS)
    assert {version for version, *_ in assigned(database).values()} == {CANARY_VERSION}


def unregistered(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(delete(models).where(models.c.version == CANARY_VERSION))


FAULTS: dict[str, tuple[str, Fault | None]] = {
    "no label": ("model", None),
    "not registered": ("model", None),
    "missing": ("model", lambda method, request: grpc.StatusCode.NOT_FOUND),
    "away": ("serving", lambda method, request: grpc.StatusCode.UNAVAILABLE),
    "overloaded": ("serving", lambda method, _: grpc.StatusCode.RESOURCE_EXHAUSTED if PREDICT in method else None),
    "slow": ("serving", lambda method, request: time.sleep(1) if method.endswith(PREDICT) else None),
    "refuses": ("refused", lambda method, _: grpc.StatusCode.INVALID_ARGUMENT if PREDICT in method else None),
}


@pytest.mark.parametrize("rollout", [HALF, SHADOW], ids=["canary", "shadow"])
@pytest.mark.parametrize("fault", FAULTS)
@one_store
def test_a_canary_that_fails_is_the_stable_models_to_do(
    fault: str,
    rollout: Rollout,
    build: Build,
    label: Label,
    listings: Listings,
    database: Database,
    proxy: ModelProxy,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Within the same page: none waits, none is rejected or goes back; it is told once, and counted."""
    listings.insert_many([listing(each) for each in IDS])
    cause, disturbance = FAULTS[fault]
    pipeline = build(serving_address=proxy.address, predict_timeout_seconds=2, wait_limit_seconds=10_000)
    if disturbance:
        proxy.fault = at_canary(disturbance)
    elif fault == "no label":
        label(canary=None)
    else:
        unregistered(database)
    for page in (Page(tuple(IDS)), Page(tuple(IDS))):
        outcome = pipeline.classify(page, rollout)
        assert outcome.answered == set(IDS)
        assert outcome.beside is not None
        assert (outcome.beside.answered, outcome.beside.rejects) == (set(), [])
        assert outcome.beside.fallbacks == {cause: len(TRIED)}
    assert stored(database) == dict.fromkeys(IDS, STABLE_VERSION)
    assert not rejected(database)
    assert capsys.readouterr().out.count("canary fails: the stable model answers for it") == 1


@one_store
def test_a_canary_that_failed_is_left_alone_for_a_while(
    build: Build,
    listings: Listings,
    proxy: ModelProxy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that times out would cost every page its deadline; when it has rested it is asked again."""
    listings.insert_many([listing(each) for each in IDS])
    calls: list[str] = []
    proxy.fault = at_canary(lambda method, request: grpc.StatusCode.DEADLINE_EXCEEDED, calls)
    pipeline = build(serving_address=proxy.address)
    monkeypatch.setattr("worker.canary.SHORTEST_REST_SECONDS", 1000)
    for _ in range(3):
        pipeline.classify(Page(tuple(IDS)), SHADOW)
    assert calls == ["GetModelMetadata"]
    pipeline._canary._rests_until = 0.0
    proxy.fault = at_canary(lambda method, request: None, calls)
    outcome = pipeline.classify(Page(tuple(IDS)), SHADOW)
    assert outcome.beside is not None
    assert (outcome.beside.answered, outcome.beside.fallbacks) == (TRIED, {})
    assert "canary answers again" in capsys.readouterr().out


@one_store
def test_a_canary_has_one_time_for_all_its_calls(
    build: Build, listings: Listings, database: Database, proxy: ModelProxy
) -> None:
    """Each call would do: what it has answered by then is its own, the rest is the stable model's, and it rests."""
    listings.insert_many([listing(each) for each in IDS])
    calls: list[str] = []

    def slow_but_for_the_first(method: str, request: bytes) -> None:
        time.sleep(1 if calls.count("Predict") > 1 and method.endswith(PREDICT) else 0)

    proxy.fault = at_canary(slow_but_for_the_first, calls)
    pipeline = build(serving_address=proxy.address, predict_timeout_seconds=6, max_batch_pictures=4, max_pictures=4)
    beside = pipeline.classify(Page(tuple(IDS)), HALF).beside
    assert beside is not None
    assert 0 < len(beside.answered) < len(TRIED) - 4
    assert beside.fallbacks == {"serving": len(TRIED) - len(beside.answered)}
    versions = {each: CANARY_VERSION if each in beside.answered else STABLE_VERSION for each in IDS}
    assert stored(database) == versions
    asked = len(calls)
    again = pipeline.classify(Page(tuple(IDS)), HALF).beside
    assert (again and again.fallbacks, len(calls)) == ({"serving": len(TRIED)}, asked)


@one_store
def test_a_canary_that_refuses_some_has_the_others(
    build: Build, listings: Listings, database: Database, proxy: ModelProxy
) -> None:
    """What one call takes falls back together; twins count each, and nothing of it is a reject."""
    listings.insert_many(
        [listing(each, jpeg(1)) if each in (min(TRIED), max(TRIED)) else listing(each) for each in IDS]
    )
    calls: list[str] = []

    def first(method: str, request: bytes) -> grpc.StatusCode | None:
        return grpc.StatusCode.INVALID_ARGUMENT if calls.count("Predict") <= 2 and method.endswith(PREDICT) else None

    proxy.fault = at_canary(first, calls)
    outcome = build(serving_address=proxy.address, max_batch_pictures=4, max_pictures=4).classify(
        Page(tuple(IDS)), HALF
    )
    assert outcome.beside is not None
    assert outcome.beside.fallbacks == {"refused": 5}
    assert len(outcome.beside.answered) == len(TRIED) - 5
    assert outcome.beside.answered | outcome.answered == set(IDS) == set(stored(database))
    assert not rejected(database)


@pytest.mark.parametrize("version", [STABLE_VERSION, SMALL_VERSION])
@one_store
def test_a_label_that_moves_amid_a_page_is_no_other_canarys_trial(
    build: Build, label: Label, listings: Listings, database: Database, proxy: ModelProxy, version: int
) -> None:
    """Whether the other version answers, or refuses pictures of another size: nothing of it is stored."""
    listings.insert_many([listing(each) for each in IDS])
    pipeline = build(serving_address=proxy.address)
    proxy.fault = at_canary(lambda method, _: label(canary=version) if method.endswith(PREDICT) else None)
    outcome = pipeline.classify(Page(tuple(IDS)), replace(HALF, version=CANARY_VERSION))
    assert (outcome.beside, outcome.answered) == (None, set(IDS))
    assert stored(database) == dict.fromkeys(IDS, STABLE_VERSION)


@one_store
def test_a_replica_without_the_label_is_no_fault_of_the_model(folder: Path, settings: Settings, label: Label) -> None:
    """It refuses everything, as a broken model does: who asks is told of the label, not to publish another model."""
    _write(folder, "late.config", stable=STABLE_VERSION)
    told = []
    with ModelServer(folder, port=0, poll_seconds=60, config_file=folder / "late.config") as late, ExitStack() as stack:
        address = f"{settings.serving_address},{late.address}"
        store = stack.enter_context(closing(Store(settings)))
        for signature in ("pixels", "jpeg"):
            both = settings.model_copy(update={"serving_address": address, "signature": signature})
            canary = stack.enter_context(closing(Canary(both, store)))
            for ask in [lambda: canary.check(times=REPLICAS_ASKED), lambda: measure(both, REPLICAS_ASKED)] * 5:  # noqa: B023
                try:
                    ask()
                except ModelUnfit as error:
                    told.append(str(error))
    assert len(told) > 4
    assert all("under the label canary: INVALID_ARGUMENT" in each for each in told)


@pytest.fixture
def time_is_up() -> Iterator[Fault]:
    """Tell this process, as Celery does, that its page has taken too long, once the canary is asked to predict."""

    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    def fault(method: str, request: bytes) -> None:
        if method.endswith(PREDICT):
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, strike)
    yield at_canary(fault)
    signal.signal(signal.SIGUSR1, before)


@one_store
def test_the_time_limit_cuts_no_page_that_is_stored(
    build: Build, listings: Listings, database: Database, proxy: ModelProxy, time_is_up: Fault
) -> None:
    """A shadow is given up, and its page is done; a canary leaves no time for the stable model, so that page is cut."""
    listings.insert_many([listing(each) for each in IDS])
    proxy.fault = time_is_up
    outcome = build(serving_address=proxy.address).classify(Page(tuple(IDS)), SHADOW)
    assert outcome.beside is not None
    assert outcome.beside.fallbacks == {"time_limit": len(TRIED)}
    assert stored(database) == dict.fromkeys(IDS, STABLE_VERSION)
    with pytest.raises(SoftTimeLimitExceeded):
        build(serving_address=proxy.address).classify(Page(tuple(IDS)), HALF)


@one_store
def test_a_page_that_comes_back_between_the_sides_loses_nothing(
    build: Build, listings: Listings, database: Database, proxy: ModelProxy
) -> None:
    """The canary's part is stored when the stable model turns out to be away; the second time it is known."""
    listings.insert_many([listing(each) for each in IDS])

    def away(method: str, request: bytes) -> grpc.StatusCode | None:
        asked = predict_pb2.PredictRequest.FromString(request) if method.endswith(PREDICT) else None
        is_stable = asked is not None and asked.model_spec.version_label == "stable"
        return grpc.StatusCode.UNAVAILABLE if is_stable else None

    proxy.fault = away
    pipeline = build(serving_address=proxy.address, wait_limit_seconds=0.3)
    with pytest.raises(Unavailable, match="SHELVER_SERVING_ADDRESS"):
        pipeline.classify(Page(tuple(IDS)), HALF)
    assert stored(database) == dict.fromkeys(TRIED, CANARY_VERSION)
    proxy.heal()
    outcome = pipeline.classify(Page(tuple(IDS)), HALF)
    assert outcome.beside is not None
    assert set(outcome.beside.known) == TRIED
    assert set(stored(database)) == set(IDS)


@pytest.fixture
def control(redis_url: str) -> Iterator[Control]:
    with redis.Redis.from_url(redis_url) as client, closing(Control(Settings(redis_url=redis_url))) as control:
        client.flushdb()
        yield control
        client.flushdb()


def test_a_page_begins_under_the_rollout_of_the_moment(control: Control, redis_url: str) -> None:
    """Read with what is known of the page; while Redis is away the last one known holds."""
    assert control.begin("a").rollout == control.begin_untold().rollout == OFF
    rollout = replace(HALF, version=CANARY_VERSION)
    control.roll_out(rollout)
    assert control.rollout() == rollout
    assert control.begin_untold().rollout == OFF
    begun = control.begin("a")
    assert (begun.number, begun.rollout, control.begin_untold().rollout) == (2, rollout, rollout)
    with redis.Redis.from_url(redis_url) as client:
        client.set(ROLLOUT, "of a newer shelver")
        assert control.begin("a").rollout == control.rollout() == OFF
        control.roll_out(OFF)
        assert not client.exists(ROLLOUT)
    with closing(Control(Settings(redis_url="redis://127.0.0.1:9/0"))) as away:
        for ask in (away.rollout, lambda: away.roll_out(HALF), lambda: away.answered(CANARY_VERSION)):
            with pytest.raises(Unavailable, match="SHELVER_REDIS_URL"):
                ask()


Ops = Callable[..., Result]


@pytest.fixture
def ops(settings: Settings, label: Label, control: Control, monkeypatch: pytest.MonkeyPatch) -> Ops:
    """Run a command of shelver-worker."""

    def make(*arguments: object, **changes: object) -> Result:
        for name, value in {"COLUMNS": "200", **settings.model_copy(update=changes).environment()}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return make


def said(done: Result, code: int = 0) -> str:
    """What it said on stdout, and why it failed."""
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit | ShelverError)
    return done.stdout if code == 0 else f"{done.output}{done.exception}"


@one_store
def test_a_rollout_is_refused_where_it_could_only_do_harm(
    ops: Ops, label: Label, database: Database, control: Control
) -> None:
    """In one sentence with the remedy, and everything stays as it is."""
    told = said(ops("rollout", "canary", model_label=""), code=1)
    assert "SHELVER_MODEL_LABEL is not set" in told
    assert "set it to stable" in told
    label(canary=None)
    told = said(ops("rollout", "shadow", "--share", 0.2), code=1)
    assert "under the label canary: INVALID_ARGUMENT" in told
    assert "shelver-trainer canary" in told
    label(canary=STABLE_VERSION)
    assert "version 1 is labelled both stable and canary" in said(ops("rollout", "canary"), code=1)
    label()
    assert "'0' is no share" in said(ops("rollout", "canary", "--share", 0), code=2)
    unregistered(database)
    assert "version 2 is served but not registered" in said(ops("rollout", "canary"), code=1)
    assert control.rollout() == OFF


@one_store
def test_a_rollout_is_of_the_version_that_it_began_with(
    ops: Ops,
    build: Build,
    label: Label,
    listings: Listings,
    database: Database,
    control: Control,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It may be forgotten at promotion: the next canary is asked about nothing, quietly, until a person begins anew."""
    listings.insert_many([listing(each) for each in IDS])
    said(ops("rollout", "canary", "--share", 0.5))
    label(stable=CANARY_VERSION, canary=SMALL_VERSION)
    pipeline = build()
    capsys.readouterr()
    for _ in range(2):
        assert pipeline.classify(Page(tuple(IDS)), control.rollout()).beside is None
    assert stored(database) == dict.fromkeys(IDS, CANARY_VERSION)
    assert capsys.readouterr().out.count("canary is not asked: the rollout is of another version") == 1
    told = "rollout: canary, 50 % of the products, of version 2; canary is version 3 now: run it again"
    assert told in said(ops("rollout", "show"))
    assert told in said(ops("status"))
    said(ops("rollout", "canary", "--share", 0.5))
    beside = pipeline.classify(Page(tuple(IDS)), control.rollout()).beside
    assert beside is not None
    assert beside.answered == TRIED
    control.roll_out(replace(HALF, version=CANARY_VERSION))  # what version 3 knows by now is none of this one's either
    assert pipeline.classify(Page(tuple(IDS)), control.rollout()).beside is None


def wait_for(condition: Callable[[], bool], worker: Started) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()
        time.sleep(0.05)


@one_store
def test_workers_follow_a_rollout_without_a_restart(
    ops: Ops, settings: Settings, listings: Listings, database: Database, control: Control, tmp_path: Path
) -> None:
    """From their next page on, there and back. A page that may have ended its worker is the stable model's alone."""
    listings.insert_many([listing(each) for each in range(1, 121)])
    environment = {**os.environ, **settings.environment(), "SHELVER_STATE_FOLDER": str(tmp_path / "state")}
    processes = Processes(tmp_path / "logs")
    try:
        worker = processes.start("worker", [*command("shelver-worker"), "run", "--concurrency", "1"], environment)
        worker.wait_for(r"@\S+ ready")
        told = said(ops("rollout", "canary", "--share", 0.5))
        assert "canary, 50 % of the products: version 2 answers for them instead of version 1" in told
        assert "shelver-worker rollout report" in told
        with closing(Pages(settings)) as pages:
            pages.send(Page(tuple(IDS)))
            wait_for(lambda: set(stored(database)) == set(IDS), worker)
            told = said(ops("rollout", "show"))
            for line in ("rollout: canary, 50 %", "stable, labelled stable: version 1", "canary: version 2", "next: "):
                assert line in told
            found = json.loads(said(ops("status", "--json")))
            assert found["rollout"] == {"mode": "canary", "share": 0.5, "version": CANARY_VERSION}
            assert [found["model"][name] for name in ("label", "version", "canary_version")] == ["stable", 1, 2]
            told = said(ops("status"))
            assert "rollout: canary, 50 % of the products; version 2 is labelled canary" in told
            assert "model: shelver by the label stable version 1, registered" in told
            control.suspect("suspect", 1)
            message = (Page(tuple(range(41, 81))).to_wire(),)
            with Celery(broker=settings.redis_url) as sender:
                sender.send_task(TASK, message, queue="new", task_id="suspect", serializer="json")
            wait_for(lambda: len(stored(database)) == 80, worker)
            assert "off, after canary, 50 %" in said(ops("rollout", "off"))
            pages.send(Page(tuple(range(81, 121))))
            wait_for(lambda: len(stored(database)) == 120, worker)
    finally:
        processes.stop()
    assert {each for each, version in stored(database).items() if version == CANARY_VERSION} == TRIED
    not_asked = sum(map(HALF.includes, range(41, 81)))
    assert control.answered(CANARY_VERSION) == Answered(CANARY_VERSION, len(TRIED) + not_asked, len(TRIED))
    assert f"canary={{'predicted': {len(TRIED)}" in worker.log.read_text()


#: that no canary of ours fails at
LOOSE = (
    *("--max-flips", 1, "--min-agreement-level1", 0, "--min-agreement-level2", 0, "--max-right-loss", 1),
    *("--max-score-psi", 1000, "--max-latency-ratio", 1000, "--min-products", 10, "--calls", 3),
)
Work = Callable[[Pipeline, range], None]


@pytest.fixture
def work(control: Control) -> Work:
    """Do a page as a worker does, under the rollout of the moment."""

    def make(pipeline: Pipeline, ids: range) -> None:
        rollout = control.begin("page").rollout
        control.end("page", len(ids), rollout.count(pipeline.classify(Page(tuple(ids)), rollout)))

    return make


def test_the_report_passes_or_fails_by_its_thresholds(
    ops: Ops, build: Build, label: Label, listings: Listings, work: Work
) -> None:
    """A line a criterion, and the exit code says it all; JSON says the same."""
    told = said(ops("rollout", "report"), code=1)
    assert "stable shelver:1, canary shelver:2: 0 products of both" in told
    assert "FAIL  products" in told
    assert "not judged: answered; no rollout of it is known of" in told
    listings.insert_many([listing(each, category=1000000001) for each in IDS])
    said(ops("rollout", "shadow", "--share", 0.5))
    work(build(), IDS)
    told = said(ops("rollout", "report", *LOOSE))
    assert told.count("pass  ") == 8
    assert "not judged" not in told
    assert told.splitlines()[-1] == "PASS: shelver-trainer promote MODELS 2 makes it the stable one"
    done = ops("rollout", "report", *LOOSE, "--max-flips", 0, "--json", "--since", "1h")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["products"], found["labelled"], found["passed"]) == (len(TRIED), len(TRIED), False)
    failed = [each["name"] for each in found["criteria"] if not each["passed"]]
    assert (failed, found["not_judged"]) == (["flips"], {})
    flips = 1 - found["same"]["3"] / len(TRIED)
    assert next(each["value"] for each in found["criteria"] if each["name"] == "flips") == pytest.approx(flips)
    assert sum(each["flipped"] for each in found["flips"]) == pytest.approx(flips * len(TRIED)) != 0
    assert found["median_seconds"]["canary"] > 0
    assert found["share"] == {"products": len(TRIED), "answered": len(TRIED)}
    label(stable=CANARY_VERSION, canary=None)
    named = ("--stable", 1, "--canary", 2, "--min-products", 10, "--no-latency")
    assert "not judged: latency ratio; it was not measured\n" in said(ops("rollout", "report", *LOOSE, *named))
    found = json.loads(said(ops("rollout", "report", *LOOSE, *named, "--json")))
    assert found["not_judged"] == {"latency ratio": "it was not measured"}
    label()
    told = said(ops("rollout", "report", "--stable", 3, "--canary", 2), code=1)
    assert "the latency of shelver:3 cannot be measured: version 1 is stable now" in told
    assert "compared with itself" in said(ops("rollout", "report", "--stable", 2, "--canary", 2), code=1)


@one_store
def test_the_report_fails_a_canary_that_leaves_products_to_the_stable_model(
    ops: Ops, build: Build, listings: Listings, proxy: ModelProxy, work: Work
) -> None:
    """Of those the comparison knows nothing, be they new or known to the stable model; each rollout is counted anew."""
    listings.insert_many([listing(each) for each in IDS])
    pipeline = build(serving_address=proxy.address)
    said(ops("rollout", "shadow", "--share", 1))
    work(pipeline, range(1, 21))
    assert "PASS" in said(ops("rollout", "report", *LOOSE))
    proxy.fault = at_canary(lambda method, _: grpc.StatusCode.INVALID_ARGUMENT if PREDICT in method else None)
    for _ in range(2):
        work(pipeline, range(21, 41))
    told = said(ops("rollout", "report", *LOOSE), code=1)
    assert "answered: 20 of 60 products since its rollout began" in told
    assert "FAIL: answered; version 2 is not to be promoted yet" in told
    assert "PASS" in said(ops("rollout", "report", *LOOSE, "--min-answered", 0.3))
    said(ops("rollout", "canary", "--share", 1))
    assert "FAIL: answered;" in said(ops("rollout", "report", *LOOSE), code=1)
    work(pipeline, range(1, 21))
    told = said(ops("rollout", "report", *LOOSE))
    assert "20 products of both" in told
    assert "answered: 20 of 20 products" in told
