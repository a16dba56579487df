"""Several model servers behind one setting: they take turns, one may go, and what they serve may change."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from pymongo.collection import Collection
from sqlalchemy import select

from deploy.local.processes import Processes
from tests.integration.conftest import register
from tests.pictures import jpeg, listing, stacked
from trainer.graph import Classifier
from trainer.publishing.publish import publish
from trainer.run import Run
from trainer.serve.server import ModelServer
from worker import schema
from worker.catalog import Catalog
from worker.contract.database import Database
from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.contract.tables import predictions, rejects
from worker.pictures import Batch, Stacker
from worker.pipeline import Pipeline
from worker.serving import Serving
from worker.store import Store

SIDE, LARGER_SIDE = 60, 320


@pytest.fixture(scope="module")
def published(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 and 2 of one shape, and 3, which takes larger pictures."""
    folder = tmp_path_factory.mktemp("published")
    url = f"sqlite:///{folder / 'registry.db'}"
    schema.migrate(Settings(database_url=url))
    for version, side in ((1, SIDE), (2, SIDE), (3, LARGER_SIDE)):
        keras.utils.set_random_seed(version)
        inputs = keras.Input((side, side, 3))
        small = layers.Rescaling(1 / 64, offset=-2)(layers.AveragePooling2D(side // 5)(inputs))
        network = keras.Model(inputs, layers.Dense(len(run.classes))(layers.Flatten()(small)))
        classifier = Classifier(network, run.classes, run.taxonomy, side)
        publish(replace(run, picture_side=side), classifier, folder, "shelver", version, url)
    return folder / "shelver"


@dataclass
class Replica:
    """A model server with a folder of its own, and always on the same port."""

    published: Path
    folder: Path
    server: ModelServer | None = None
    address: str = ""

    def add(self, version: int) -> None:
        """Put a version into its folder at one stroke, as publishing does."""
        home = self.folder / "shelver"
        shutil.copytree(self.published / str(version), home / f"copy-{version}")
        (home / f"copy-{version}").rename(home / str(version))

    def start(self) -> None:
        """Serve what is in the folder, and watch it."""
        port = int(self.address.rpartition(":")[2] or 0)
        self.server = ModelServer(self.folder, port=port, poll_seconds=0.1)
        self.address = self.server.address

    def stop(self) -> None:
        """Go away; harmless the second time."""
        if self.server is not None:
            self.server.stop(0)
        self.server = None


@pytest.fixture
def replicas(published: Path, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two that serve version 1 and version 2, so that an answer tells which of them gave it."""
    both = Replica(published, tmp_path / "first"), Replica(published, tmp_path / "second")
    with ExitStack() as stack:
        for version, replica in enumerate(both, start=1):
            replica.add(version)
            replica.start()
            stack.callback(replica.stop)
        yield both


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One kind of store is enough here."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Clients of these replicas."""
    with ExitStack() as stack:

        def make(*replicas: Replica, **changes: object) -> Serving:
            address = ",".join(replica.address for replica in replicas)
            settings = Settings(serving_address=address, connect_timeout_seconds=1, **changes)
            return stack.enter_context(closing(Serving(settings)))

        yield make


@pytest.fixture
def line_of(line: Settings, run: Run) -> Iterator[Callable[..., Pipeline]]:
    """The line's pipeline with these replicas for its model server; versions 1 to 3 are registered."""
    for version in (2, 3):
        register(run, line, version)
    with ExitStack() as stack:

        def make(*replicas: Replica) -> Pipeline:
            address = ",".join(replica.address for replica in replicas)
            changes = {"serving_address": address, "connect_timeout_seconds": 1, "wait_limit_seconds": 3}
            settings = line.model_copy(update=changes)
            clients = Catalog(settings), Serving(settings), Store(settings)
            for client in clients:
                stack.enter_context(closing(client))
            return Pipeline(settings, *clients)

        yield make


def batch(*seeds: int, side: int = SIDE) -> Batch:
    products = [Product(seed, (jpeg(seed),)) for seed in seeds]
    return Stacker(Settings(), Signature.PIXELS, side).stack(products)[0]


def versions(serving: Serving, calls: int = 10) -> set[int]:
    """The versions that answered."""
    return {each.model_version for call in range(calls) for each in serving.predict(batch(call))}


def within(seconds: float, condition: Callable[[], object]) -> None:
    """Wait until the condition holds; the limit is for a machine that is stuck."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_replicas_take_turns(replicas: tuple[Replica, Replica], serve) -> None:
    """One channel does not mean one server: both answer, each half of the calls."""
    serving = serve(*replicas)
    serving.model()
    within(30, lambda: versions(serving, 2) == {1, 2})  # the second connection may be made a moment later
    for _ in range(3):
        assert versions(serving, 2) == {1, 2}


def test_replicas_that_go_and_come_are_lived_with(
    replicas: tuple[Replica, Replica], line_of, listings: Collection[dict[str, object]]
) -> None:
    """One gone: pages go on; both gone: the page goes back; back again: they go on, without a restart."""
    first, second = replicas
    listings.insert_many([listing(each) for each in range(1, 41)])
    pipeline = line_of(first, second)
    ids = iter(range(1, 41))

    def predict() -> set[int]:
        return {each.model_version for each in pipeline.classify(Page((next(ids),))).predictions}

    predict()
    first.stop()
    for _ in range(5):
        assert predict() == {2}
    second.stop()
    lost = next(ids)
    with pytest.raises(Unavailable, match="SHELVER_SERVING_ADDRESS") as told:
        pipeline.classify(Page((lost,)))
    assert not isinstance(told.value, ModelUnfit)
    second.start()
    within(60, lambda: _answers(pipeline, lost))
    first.start()
    within(60, lambda: versions(pipeline._stable._serving, 2) == {1, 2})  # found again by itself


def _answers(pipeline: Pipeline, identity: int) -> bool:
    try:
        return bool(pipeline.classify(Page((identity,))).predictions)
    except Unavailable:
        return False


def test_a_replica_that_falls_silent_is_left_out(
    replicas: tuple[Replica, Replica], serve, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine is there and says nothing: after a deadline or two it has no more turns, and gets them back."""
    monkeypatch.setattr("worker.channel.KEEPALIVE_SECONDS", 1.0)
    first, second = replicas
    command = [sys.executable, "-m", "trainer", "serve", str(second.folder), "--port", "0"]
    started = processes.start("silent-replica", command)
    silent = Replica(second.published, second.folder, address=started.wait_for(r"on (127\.0\.0\.1:\d+)", 60)[1])
    serving = serve(first, silent, predict_timeout_seconds=2)
    within(30, lambda: versions(serving, 2) == {1, 2})
    started.process.send_signal(signal.SIGSTOP)
    try:
        within(40, lambda: _turns(serving) == {1})
    finally:
        started.process.send_signal(signal.SIGCONT)
    within(60, lambda: _turns(serving) == {1, 2})
    started.process.terminate()
    started.process.wait(30)


def _turns(serving: Serving) -> set[int]:
    """The versions that answered several calls in a row; none when a call failed."""
    try:
        return versions(serving, 6)
    except Unavailable:
        return set()


def test_a_model_that_takes_larger_pictures_is_followed(replicas: tuple[Replica, Replica], serve) -> None:
    """Side and sizes of messages come from the model's own metadata, for the version that is served now."""
    first, _ = replicas
    serving = serve(first)
    assert serving.model().side == SIDE
    small = serving._channel.limits.request_bytes
    assert len(serving.predict(batch(*range(128)))) == 128
    first.add(3)
    within(60, lambda: serving.model().side == LARGER_SIDE)
    pixels = np.zeros((128, LARGER_SIDE, LARGER_SIDE, 3), np.uint8)
    assert pixels.nbytes > small
    products = [Product(each, (b"",)) for each in range(128)]
    full = Batch(products, stacked(pixels), np.arange(128), np.zeros(128, np.int32))
    assert {each.model_version for each in serving.predict(full)} == {3}


def test_replicas_that_disagree_reject_no_product(
    replicas: tuple[Replica, Replica], line_of, line: Settings, listings: Collection[dict[str, object]]
) -> None:
    """While a rollout changes the pictures' side, half of the servers refuse every product: the model is to blame."""
    first, second = replicas
    second.add(3)
    ids = range(1, 41)
    listings.insert_many([listing(each) for each in ids])
    with closing(line_of(second)._stable._serving) as serving:
        within(60, lambda: serving.model().side == LARGER_SIDE)
    pipeline = line_of(first, second)

    def classify_one_by_one() -> None:
        for identity in ids:  # a page may be lucky, and meet the same server with each of its questions
            pipeline.classify(Page((identity,)))

    with pytest.raises(ModelUnfit, match="disagree: .*60 x 60.*have all of them serve one version"):
        classify_one_by_one()
    with pytest.raises(ModelUnfit, match="disagree"):
        pipeline.check_model()
    first.add(3)
    within(60, lambda: _fits(pipeline))
    pipeline.classify(Page(tuple(ids)))
    with closing(Database(line.database_url)) as database, database.begin() as connection:
        assert set(connection.scalars(select(predictions.c.product_id))) == set(ids)
        assert connection.execute(select(rejects)).all() == []


def _fits(pipeline: Pipeline) -> bool:
    try:
        pipeline.check_model()
    except ModelUnfit:
        return False
    return True
