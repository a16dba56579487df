"""Publishing: a folder that appears whole, rows that go with it, and nothing left behind when it fails."""

import json
from contextlib import closing
from pathlib import Path

import pytest
import tensorflow as tf
from sqlalchemy import func, select, text
from tensorflow_serving.apis import prediction_log_pb2

from tests.integration.conftest import TREE
from trainer.graph import Classifier
from trainer.publish import BATCH_SIZES, EXTRA, PublishError, publish
from trainer.run import CATEGORIES, Run
from worker import schema
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import categories, models


@pytest.fixture
def settings(database_url: str) -> Settings:
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    return settings


def registered(settings: Settings) -> list[tuple[str, int]]:
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        return sorted(tuple(row) for row in connection.execute(select(models.c.name, models.c.version)))


def test_a_version_appears_with_its_rows(tmp_path: Path, run: Run, classifier: Classifier, settings: Settings) -> None:
    """MODELS/NAME/VERSION, numbered on from what is there, with warm-up records and a card."""
    first = publish(run, classifier, tmp_path, "shelver", None, settings.database_url)
    second = publish(run, classifier, tmp_path, "shelver", None, settings.database_url)
    other = publish(run, classifier, tmp_path, "other-model", 7, settings.database_url)
    assert [each.relative_to(tmp_path).as_posix() for each in (first, second, other)] == [
        "shelver/1",
        "shelver/2",
        "other-model/7",
    ]
    assert registered(settings) == [("other-model", 7), ("shelver", 1), ("shelver", 2)]
    assert sorted(each.name for each in (tmp_path / "shelver").iterdir()) == ["1", "2"]
    card = json.loads((second / EXTRA / "model_card.json").read_text())
    assert (card["name"], card["version"], card["categories"], card["level"]) == ("shelver", 2, 6, 3)
    records = tf.data.TFRecordDataset(str(second / EXTRA / "tf_serving_warmup_requests"))
    requests = [prediction_log_pb2.PredictionLog.FromString(each.numpy()).predict_log.request for each in records]
    sizes = [(each.model_spec.signature_name, each.inputs["product"].tensor_shape.dim[0].size) for each in requests]
    assert sorted(sizes) == sorted((name, size) for name in ("serving_default", "jpeg") for size in BATCH_SIZES)


def test_a_version_that_exists_is_not_overwritten(
    tmp_path: Path, run: Run, classifier: Classifier, settings: Settings
) -> None:
    """Neither where the folder exists nor where SQL knows it; the remedy is in the sentence."""
    publish(run, classifier, tmp_path / "a", "shelver", 3, settings.database_url)
    with pytest.raises(PublishError, match="version 3 is already in the database: leave --version out"):
        publish(run, classifier, tmp_path / "b", "shelver", 3, settings.database_url)
    (tmp_path / "b" / "shelver" / "9").mkdir(parents=True)
    with pytest.raises(PublishError, match="version 9 is already in .*b/shelver"):
        publish(run, classifier, tmp_path / "b", "shelver", 9, settings.database_url)
    assert publish(run, classifier, tmp_path / "b", "shelver", None, settings.database_url).name == "10"


def test_a_failure_leaves_nothing(
    tmp_path: Path, run: Run, classifier: Classifier, settings: Settings, database_url: str
) -> None:
    """A store without tables, a disk that takes no file, a name that is none: no folder, no row."""
    with pytest.raises(PublishError, match="no model name"):
        publish(run, classifier, tmp_path / "x", "../escape", 1, settings.database_url)
    database = Database(database_url)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE categories RENAME TO hidden"))
    with pytest.raises(Unavailable):
        publish(run, classifier, tmp_path / "x", "shelver", 1, settings.database_url)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO categories"))
    database.close()
    assert registered(settings) == []
    assert not [each for each in (tmp_path / "x").rglob("*") if each.is_file()]


def test_names_follow_the_newest_tree(tmp_path: Path, run: Run, classifier: Classifier, settings: Settings) -> None:
    """A category that was renamed keeps its id; no category is doubled."""
    publish(run, classifier, tmp_path / "models", "shelver", None, settings.database_url)
    renamed = tmp_path / "run"
    renamed.mkdir()
    (renamed / CATEGORIES).write_text(TREE.replace("VELO", "VÉLO"))
    newer = Run(**{**vars(run), "folder": renamed})
    publish(newer, classifier, tmp_path / "models", "shelver", None, settings.database_url)
    database = Database(settings.database_url)
    with database.begin() as connection:
        assert connection.scalar(select(categories.c.name).where(categories.c.id == 1000000006)) == "VÉLO"
        assert connection.scalar(select(func.count()).select_from(categories)) == 12
    database.close()
