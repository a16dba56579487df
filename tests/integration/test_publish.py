"""Publishing: a folder that appears whole, rows that go with it, and nothing left behind when it fails."""

import dataclasses
import json
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.exc import OperationalError
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelConfigList, ModelServerConfig

from tests.integration.conftest import TREE
from trainer.graph import Classifier
from trainer.publishing.export import BATCH_SIZES, EXTRA
from trainer.publishing.labels import LabelError
from trainer.publishing.publish import PublishError, plan, publish
from trainer.publishing.serving_config import FILE, ServingConfigError
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
    assert (card["thresholds"], card["metrics"]) == (run.thresholds, run.metrics)
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


def files(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def config(folder: Path) -> ModelServerConfig:
    """MODELS/models.config as TensorFlow Serving's own protobuf reads it."""
    return text_format.Parse((folder / FILE).read_bytes(), ModelServerConfig())


def test_thresholds_and_metrics_go_along(tmp_path: Path, run: Run, classifier: Classifier, settings: Settings) -> None:
    """SQL has a threshold per level, null where the run has none, and the metrics as they were measured."""
    publish(run, classifier, tmp_path, "shelver", 1, settings.database_url)
    bare = dataclasses.replace(run, thresholds={}, metrics={})
    publish(bare, classifier, tmp_path, "shelver", 2, settings.database_url)
    columns = (models.c.threshold_level1, models.c.threshold_level2, models.c.threshold_level3, models.c.metrics)
    with closing(Database(settings.database_url)) as database, database.begin() as connection:
        rows = [tuple(row) for row in connection.execute(select(*columns).order_by(models.c.version))]
    assert rows == [(0.5, 0.75, None, run.metrics), (None, None, None, {})]


def test_a_plan_writes_nothing(tmp_path: Path, run: Run, settings: Settings, database_url: str) -> None:
    """It names the version that publishing would make and what is amiss; no file appears, not even a database."""
    folder = tmp_path / "models"
    planned = plan(run, folder, "shelver", None, database_url, "canary")
    assert (planned.folder, planned.version, planned.warnings) == (folder / "shelver" / "1", 1, ())
    assert not folder.exists()
    assert registered(settings) == []
    missing = tmp_path / "none.db"
    with pytest.raises(Unavailable, match=r"there is no file .*none\.db; run shelver-worker migrate"):
        plan(run, folder, "shelver", None, f"sqlite:///{missing}")
    assert not missing.exists()


def test_a_plan_refuses_what_publishing_would(
    tmp_path: Path, run: Run, classifier: Classifier, settings: Settings
) -> None:
    """A name, a version on disk or in SQL, a folder that is a file, a config file that is none."""
    folder = tmp_path / "models"
    publish(run, classifier, folder, "shelver", 1, settings.database_url)
    for name, version, said in (("a/b", 1, "no model name"), ("shelver", 1, "already in the database")):
        with pytest.raises(PublishError, match=said):
            plan(run, folder, name, version, settings.database_url)
    (folder / "shelver" / "4").mkdir()
    with pytest.raises(PublishError, match="already in .*shelver: leave --version out"):
        plan(run, folder, "shelver", 4, settings.database_url)
    with pytest.raises(PublishError, match="no folder that can be written"):
        plan(run, folder / "shelver" / "1" / "saved_model.pb", "shelver", None, settings.database_url)
    (folder / FILE).write_text("model_config_list { config {")
    with pytest.raises(ServingConfigError, match=r"models\.config is no ModelServerConfig .*mend it"):
        plan(run, folder, "shelver", None, settings.database_url, "stable")
    assert plan(run, folder, "shelver", None, settings.database_url).version == 5


def test_what_was_never_evaluated_is_said(tmp_path: Path, run: Run, settings: Settings) -> None:
    """Such a run may be published, but not unnoticed."""
    bare = dataclasses.replace(run, thresholds={}, metrics={})
    (warning,) = plan(bare, tmp_path, "shelver", None, settings.database_url).warnings
    assert "never evaluated" in warning
    unsure = dataclasses.replace(run, thresholds={"1": None, "2": None, "3": None})
    (warning,) = plan(unsure, tmp_path, "shelver", None, settings.database_url).warnings
    assert "no thresholds" in warning


def test_labels_are_written_for_tensorflow_serving(
    tmp_path: Path, run: Run, classifier: Classifier, settings: Settings
) -> None:
    """Each label on one version, from none of which it is taken; exactly these are served, other models stay."""
    other = (
        'config { name: "other" base_path: "/srv" model_platform: "tensorflow" version_labels { key: "x" value: 9 } }'
    )
    (tmp_path / FILE).write_text(f"model_config_list {{ {other} }}")
    for version, label in enumerate(("stable", None, "canary"), start=1):
        publish(run, classifier, tmp_path, "shelver", version, settings.database_url, label)
    for label, remedy in (("stable", "with --label canary"), ("canary", "without --label")):
        with pytest.raises(LabelError, match=f"{label} is version . already: publish {remedy}"):
            plan(run, tmp_path, "shelver", None, settings.database_url, label)
    kept, ours = config(tmp_path).model_config_list.config
    assert kept == text_format.Parse(other, ModelConfigList()).config[0]
    assert (ours.name, ours.base_path, ours.model_platform) == ("shelver", str(tmp_path / "shelver"), "tensorflow")
    assert dict(ours.version_labels) == {"stable": 1, "canary": 3}
    assert list(ours.model_version_policy.specific.versions) == [1, 3]
    assert not [each for each in tmp_path.iterdir() if "part" in each.name]


@contextmanager
def file_size_limit(count: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: a disk that is full for what is large."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [50_000, 1_000_000], ids=["graph", "warm-up"])
def test_a_full_disk_leaves_nothing(
    limit: int, tmp_path: Path, run: Run, classifier: Classifier, settings: Settings
) -> None:
    """One sentence with the remedy; no folder, no row, no label."""
    folder = tmp_path / "models"
    with file_size_limit(limit), pytest.raises(PublishError, match=r"shelver/1 cannot be written .*free some room"):
        publish(run, classifier, folder, "shelver", None, settings.database_url, "canary")
    assert files(folder) == []
    assert not (folder / "shelver").exists()
    assert registered(settings) == []


def test_a_commit_that_fails_takes_folder_and_label_back(
    tmp_path: Path, run: Run, classifier: Classifier, settings: Settings
) -> None:
    """Whatever the store refuses at the last moment: the config file is the one before, to the byte."""
    publish(run, classifier, tmp_path, "shelver", 1, settings.database_url, "stable")
    before, config_before = files(tmp_path), (tmp_path / FILE).read_bytes()
    labels = []

    def fail(_: Connection) -> None:
        if (tmp_path / "shelver" / "2").exists():
            labels.append(dict(config(tmp_path).model_config_list.config[0].version_labels))
            raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(Engine, "commit", fail)
    try:
        with pytest.raises(Unavailable, match="disk I/O error"):
            publish(run, classifier, tmp_path, "shelver", 2, settings.database_url, "canary")
    finally:
        event.remove(Engine, "commit", fail)
    assert labels == [{"stable": 1, "canary": 2}]  # folder and label were in place when the commit failed
    assert files(tmp_path) == before
    assert (tmp_path / FILE).read_bytes() == config_before
    assert registered(settings) == [("shelver", 1)]
