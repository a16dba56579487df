"""A real exported model with a tiny network, its server, and the whole line's settings."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from keras import layers
from pymongo import MongoClient
from pymongo.collection import Collection

from trainer.graph import Classifier
from trainer.publishing import registry
from trainer.publishing.publish import publish
from trainer.run import CATEGORIES, Run
from trainer.serve.server import ModelServer
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.taxonomy import Taxonomy

SIDE = 180
TREE = """category_id,category_level1,category_level2,category_level3
1000000001,MAISON,CUISINE,TASSE
1000000002,MAISON,CUISINE,ASSIETTE
1000000003,MAISON,SALON,LAMPE
1000000004,SPORT,BALLON,FOOTBALL
1000000005,SPORT,BALLON,BASKET
1000000006,SPORT,CYCLE,VELO
"""


@pytest.fixture(autouse=True)
def same_main() -> Iterator[None]:
    """Streamlit's test of scripts puts each in the place of __main__, which processes that are spawned later run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as `fit` leaves it, but for the network."""
    folder = tmp_path_factory.mktemp("run")
    (folder / CATEGORIES).write_text(TREE)
    return Run(
        folder=folder,
        config_name="tiny",
        config={},
        data="none",
        plan="none",
        backbone="tiny, for tests",
        seed=1,
        classes=[category.id for category in Taxonomy.from_csv(folder / CATEGORIES).level(3)],
        picture_side=SIDE,
        counts={"products": 0, "pictures": 0},
        thresholds={"1": 0.5, "2": 0.75, "3": None},
        metrics={"level3": 0.625, "products": 8},
    )


def tiny_network(run: Run, seed: int = 1) -> keras.Model:
    """A network that answers in a millisecond and tells pictures apart."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIDE, SIDE, 3))
    small = layers.Rescaling(1 / 64, offset=-2)(layers.AveragePooling2D(30)(inputs))
    return keras.Model(inputs, layers.Dense(len(run.classes))(layers.Flatten()(small)))


def tiny_classifier(run: Run, seed: int = 1) -> Classifier:
    """A graph like the real one, on a tiny network."""
    return Classifier(tiny_network(run, seed), run.classes, run.taxonomy, SIDE)


@pytest.fixture(scope="session")
def classifier(run: Run) -> Classifier:
    """The graph of version 1."""
    return tiny_classifier(run)


@pytest.fixture(scope="session")
def models_folder(run: Run, classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MODELS with shelver/1 in it."""
    folder = tmp_path_factory.mktemp("models")
    url = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'store.db'}"
    schema.migrate(Settings(database_url=url))
    publish(run, classifier, folder, "shelver", 1, url)
    return folder


@pytest.fixture(scope="session")
def model_server(models_folder: Path) -> Iterator[ModelServer]:
    """The local model server on a port of its own."""
    with ModelServer(models_folder, port=0) as server:
        yield server


@pytest.fixture
def line(mongo_url: str, redis_url: str, database_url: str, model_server: ModelServer, run: Run) -> Settings:
    """Settings of a line whose every server is real, on an empty catalog and a migrated store of its own."""
    settings = Settings(
        mongo_url=mongo_url,
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=redis_url,
        database_url=database_url,
        serving_address=model_server.address,
        wait_limit_seconds=5,
    )
    schema.migrate(settings)
    register(run, settings)
    return settings


def migrated(run: Run, database_url: str) -> Settings:
    """Return settings of a store whose model is registered."""
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    register(run, settings)
    return settings


def register(run: Run, settings: Settings, version: int = 1) -> None:
    """Give a store the rows that publishing gives it: the folder is published once a session, the rows once a store."""
    database = Database(settings.database_url)
    with database.begin() as connection:
        registry.register(connection, run, settings.model_name, version)
    database.close()


@pytest.fixture
def listings(line: Settings) -> Iterator["Collection[dict[str, object]]"]:
    """The line's catalog."""
    with MongoClient(line.mongo_url) as client:
        yield client[line.mongo_database][line.mongo_collection]
        client.drop_database(line.mongo_database)
