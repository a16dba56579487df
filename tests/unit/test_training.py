"""Fitting: what is trained and what is not, and that a kill at any moment changes nothing."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import keras
import numpy as np
import pytest
import tensorflow as tf

from deploy.local.servers import free_port
from tests.pictures import jpeg, listing
from trainer.backbones import build as backbones
from trainer.backbones.weights import WeightsError
from trainer.config import Augmentation, Config, Named, Phase
from trainer.data import Data, DataError
from trainer.index import build as index
from trainer.prepare.outline import outline
from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe
from trainer.run import MODEL, Run, RunError
from trainer.training import fit as fitting
from trainer.training.checkpoint import CheckpointError, Progress, read_progress, restore, save
from trainer.training.devices import Devices, DevicesError, check, strategy_for
from trainer.training.fit import fit
from trainer.training.network import build, choose_trainable
from trainer.training.sources import extract, in_order
from trainer.training.steps import class_weights, optimiser_of

SIDE = 64
HEAD = Phase(epochs=2, learning_rate=1e-2, train="head", cached=True)
ALL = Phase(epochs=2, learning_rate=1e-3, warm_up_epochs=0.5)


def config(*phases: Phase, **fields: Any) -> Config:
    small = {"backbone": "baseline_cnn", "weights": "none", "picture_side": SIDE, "batch": 8}
    return Config(**{**small, "phases": phases, **fields})


class Silent:
    """Who is told, and does not say."""

    def begin(self, phase: int, examples: int, done: int) -> None:
        """Listen."""

    def advance(self, examples: int) -> None:
        """Listen."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Listen."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Three classes that a small network can tell apart."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "names.csv").write_text(
        "category_id,category_level1,category_level2,category_level3\n10,A,B,C\n11,A,B,D\n12,A,E,F\n"
    )
    documents = [listing(each, jpeg(each % 3, SIDE), jpeg(each, SIDE), category=10 + each % 3) for each in range(72)]
    for each in documents:
        each["imgs"][0]["picture"] += bytes([0, each["_id"]])  # another picture by its bytes, the same by its pixels
    (folder / "train.bson").write_bytes(b"".join(map(bson.encode, documents)))
    outlined = outline(index(folder / "train.bson"), folder / "names.csv", Recipe(validation=0.2, test=0.1))
    return prepare(outlined, folder / "prepared", processes=1)


@pytest.fixture(autouse=True)
def default_precision() -> Iterator[None]:
    yield
    keras.mixed_precision.set_global_policy("float32")


def train(made: Config, data: Data, folder: Path) -> Run:
    return fit(Named("tiny", "", made), data, folder, tf.distribute.get_strategy(), Silent())


def history(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "history.json").read_text())


def test_a_run_is_whole(data: Data, tmp_path: Path) -> None:
    """Model, history, tree, logs; nothing of what was for going on; the network served answers for every class."""
    run = train(config(HEAD, ALL, dropout=0.2, augmentation=Augmentation(flip=True)), data, tmp_path / "run")
    assert Run.open(tmp_path / "run") == run
    assert sorted(each.name for each in run.folder.iterdir()) == [
        "category_names.csv",
        "history.json",
        "logs",
        "model.keras",
        "run.json",
    ]
    assert [(each["phase"], each["epoch"]) for each in history(run.folder)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {"loss", "accuracy", "validation_loss", "validation_accuracy"} <= set(history(run.folder)[0])
    served = keras.models.load_model(run.folder / MODEL, compile=False)
    assert served(np.zeros((2, SIDE, SIDE, 3))).shape == (2, 3)
    assert list((run.folder / "logs").iterdir())
    assert run.level == 3


def test_it_learns(data: Data, tmp_path: Path) -> None:
    """Pictures that are the same but for their bytes are told apart by class."""
    train(config(Phase(epochs=8, learning_rate=1e-3)), data, tmp_path / "run")
    assert max(each["accuracy"] for each in history(tmp_path / "run")) > 0.6


def test_the_best_epoch_is_kept(data: Data, tmp_path: Path) -> None:
    """Training ends when it has waited enough, and the model is that of the best validation score."""
    phase = Phase(epochs=30, learning_rate=3e-3, schedule="constant")
    run = train(config(phase, patience=2), data, tmp_path / "run")
    scores = [each["validation_accuracy"] for each in history(run.folder)]
    best = int(np.argmax(scores))
    assert len(scores) == best + 3 or len(scores) == 30
    network = keras.models.load_model(run.folder / MODEL, compile=False)
    from trainer import feed

    right = total = 0
    for batch in feed.product_batches(data, "validation", SIDE):
        right += int((network(batch.pixels.astype(np.float32)).numpy().argmax(1) == batch.label).sum())
        total += len(batch.label)
    assert right / total == pytest.approx(scores[best])


def test_a_head_alone_leaves_the_backbone(data: Data) -> None:
    """Cached or not, and batch normalisation keeps its averages unless the config lets it follow."""
    network = build(config(HEAD), 3)
    choose_trainable(network, config(HEAD), HEAD)
    assert len(network.whole.trainable_variables) == 2
    choose_trainable(network, config(ALL), ALL)
    assert len(network.whole.trainable_variables) == len(network.whole.weights)
    last = Phase(epochs=1, learning_rate=1, train=1)
    choose_trainable(network, config(last), last)
    assert len(network.whole.trainable_variables) == 4


def test_statistics_follow_only_where_asked() -> None:
    """Weights tuned on a small batch keep the averages they came with."""
    tuned = {"backbone": "efficientnet_lite0", "weights": "none"}
    network = build(config(ALL, **tuned), 3)
    choose_trainable(network, config(ALL, **tuned), ALL)
    frozen = [each for each in network.trained_layers if isinstance(each, keras.layers.BatchNormalization)]
    assert not any(each.trainable for each in frozen)
    choose_trainable(network, config(ALL, train_statistics=True, **tuned), ALL)
    assert all(each.trainable for each in frozen)


def test_cached_features_are_those_of_the_network(data: Data, tmp_path: Path) -> None:
    """A head trained on the file answers for pictures through the whole network as it did for their features."""
    run = train(config(Phase(epochs=3, learning_rate=1e-2, train="head", cached=True)), data, tmp_path / "cached")
    again = train(config(Phase(epochs=3, learning_rate=1e-2, train="head")), data, tmp_path / "through")
    assert max(e["accuracy"] for e in history(run.folder)) > 0.4
    assert max(e["accuracy"] for e in history(again.folder)) > 0.4


def test_features_that_were_begun_are_gone_on_with(data: Data, tmp_path: Path) -> None:
    """Whatever was written of them when the process was killed, the file ends the same."""
    network = build(config(HEAD), 3)
    pictures = in_order(data, "train", SIDE)
    path = tmp_path / "features.bin"
    extract(network.backbone, pictures, path, True, lambda count: None)
    whole = path.read_bytes()
    for kept in (0, 1, len(whole) // 2, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:kept])
        rows = extract(network.backbone, pictures, path, True, lambda count: None)
        assert len(rows) == 2 * data.splits["train"].pictures
        again = np.frombuffer(whole, rows.dtype)
        assert np.array_equal(rows["label"], again["label"])
        assert np.allclose(rows["features"], again["features"], atol=1e-4)


def test_class_weights_are_clipped() -> None:
    """Rare classes weigh more, up to the limit: the case study's 0 % came of weights without bounds."""
    assert class_weights([1, 10, 100, 100_000], 10).tolist() == pytest.approx([10, 10, 10, 0.25011], rel=1e-3)
    assert class_weights([5, 0], 4).tolist() == pytest.approx([0.6, 3])
    assert class_weights([1, 1000], None).tolist() == [1, 1]


def test_the_rate_warms_up_and_falls() -> None:
    """In a line to its highest, then a cosine to 0."""
    rate = optimiser_of(config(ALL), Phase(epochs=10, learning_rate=1, warm_up_epochs=2), 10)._learning_rate
    values = [float(rate(step)) for step in (0, 10, 20, 60, 100)]
    assert values == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-6)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_answers_in_32_bits(precision: str, data: Data, tmp_path: Path) -> None:
    """Layers compute in 16 bits, weights and logits do not."""
    run = train(config(Phase(epochs=1, learning_rate=1e-3), precision=precision), data, tmp_path / "run")
    network = keras.models.load_model(run.folder / MODEL, compile=False)
    assert network.output.dtype == "float32"
    assert all(each.dtype == "float32" for each in network.weights)


def test_a_full_disk_keeps_what_can_be_gone_on_with(data: Data, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One sentence with the remedy; no half checkpoint; with room the run ends as if nothing had been."""
    made = config(Phase(epochs=3, learning_rate=1e-3))
    reporter = Silent()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    reporter.epoch = lambda record: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    with pytest.raises(RunError, match="cannot be written .*: free some room and run the same command again"):
        fit(Named("tiny", "", made), data, tmp_path / "run", tf.distribute.get_strategy(), reporter)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "run").glob("*.part"))
    run = train(made, data, tmp_path / "run")
    assert [each["epoch"] for each in history(run.folder)] == [0, 1, 2]


def test_another_run_is_not_gone_on_with(data: Data, tmp_path: Path) -> None:
    """Not with another config, nor over a finished one, nor over something else."""
    first = config(Phase(epochs=1, learning_rate=1e-3))
    run = train(first, data, tmp_path / "run")
    with pytest.raises(RunError, match="holds a finished run: choose another --run"):
        train(first, data, run.folder)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / fitting.BEGUN).write_text('{"config": {}, "plan": ""}')
    with pytest.raises(RunError, match="holds another unfinished run"):
        train(first, data, tmp_path / "begun")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").touch()
    with pytest.raises(RunError, match="is not empty"):
        train(first, data, tmp_path / "other")


def test_a_checkpoint_of_another_network_is_told(tmp_path: Path) -> None:
    """By file, with the remedy; so is one that is damaged."""
    path = tmp_path / "checkpoint.npz"
    save(path, Progress(phase=1), [keras.Variable(np.zeros(3))])
    assert read_progress(path) == Progress(phase=1)
    with pytest.raises(CheckpointError, match="is of another network"):
        restore(path, [keras.Variable(np.zeros(4))])
    path.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(CheckpointError, match="remove it to begin the run anew"):
        read_progress(path)


@pytest.mark.parametrize(
    ("name", "weights", "told"),
    [
        ("resnet51", "none", "'resnet51' is no backbone: choose one of .*resnet50"),
        ("resnet50", "nowhere.h5", "nowhere.h5 is no file of weights"),
        ("vgg16", "FILE", "holds no weights of vgg16"),
        ("efficientnet_lite0", "FILE", "damaged or not a legacy PyTorch checkpoint"),
    ],
)
def test_weights_of_something_else_are_told(name: str, weights: str, told: str, tmp_path: Path) -> None:
    """One sentence, whichever library reads the file."""
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(WeightsError, match=told):
        backbones.build(name, SIDE, weights.replace("FILE", str(path)))


@pytest.mark.parametrize("name", sorted(set(backbones.BACKBONES) - {"baseline_cnn"}))
def test_backbones_take_plain_pixels(name: str, tmp_path: Path) -> None:
    """Each does its own preprocessing, answers with a vector a picture, and comes back from its file."""
    side = 96
    backbone = backbones.build(name, side, "none")
    path = tmp_path / "x.keras"
    backbone.save(path)
    pixels = np.random.default_rng(1).integers(0, 256, (2, side, side, 3)).astype(np.float32)
    again = keras.models.load_model(path, compile=False)
    assert np.allclose(backbone(pixels), again(pixels), atol=1e-4)
    assert backbone(pixels).shape == (2, backbone.output.shape[-1])


def test_preprocessing_is_that_of_keras() -> None:
    """What the weights of each family were trained on; read as BGR or unscaled, half of their worth is lost."""
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    for name, module in (
        ("resnet50", keras.applications.resnet50),
        ("vgg16", keras.applications.vgg16),
        ("vgg19", keras.applications.vgg19),
        ("inception_v3", keras.applications.inception_v3),
    ):
        ours = backbones.BACKBONES[name].preprocess(tf.constant(pixels))
        assert np.allclose(ours, module.preprocess_input(pixels.copy()), atol=1e-3), name


def test_a_batch_that_devices_cannot_share_is_told() -> None:
    """Before anything is written: by number, with the remedy."""
    with pytest.raises(DevicesError, match="a batch of 9 cannot be spread over 2 devices"):
        check(config(ALL, batch=9), 100, 2)
    with pytest.raises(DevicesError, match="a batch of 8 cannot be spread over 2 devices with 7 training pictures"):
        check(config(ALL), 7, 2)
    with pytest.raises(DevicesError, match="mixed_float16 is for one device"):
        check(config(ALL, precision="mixed_float16"), 100, 2)
    check(config(ALL), 100, 2)
    check(config(ALL, batch=9), 7, 1)


def test_a_wrong_weights_file_leaves_no_run(data: Data, tmp_path: Path) -> None:
    """The corrected command is not told of another run."""
    with pytest.raises(WeightsError):
        train(config(ALL, weights="nowhere.h5"), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_damaged_shard_is_no_matter_of_single_pictures(data: Data, tmp_path: Path) -> None:
    """A flipped bit loses the rest of a shard: that is told, and no model is made of what is left."""
    copy = Path(shutil.copytree(data.folder, tmp_path / "data"))
    shard = next(copy.glob("train-*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="training pictures cannot be read: prepare the data again"):
        train(config(ALL), Data.open(copy), tmp_path / "run")


def test_a_cluster_without_its_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an example of what it must be."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(DevicesError, match='TF_CONFIG is missing or wrong.*"cluster"'):
        strategy_for(Devices.CLUSTER)


COMMAND = """
import sys
from trainer.training import loop
loop.CHECKPOINT_STEPS = 3
import trainer.cli
trainer.cli.main()
"""
TINY = f"""'''Tiny.'''
from trainer.config import Augmentation, Config, Phase
CONFIG = Config(
    backbone="baseline_cnn", weights="none", picture_side={SIDE}, batch=8, dropout=0.3,
    augmentation=Augmentation(flip=True, rotation_degrees=20), optimiser="nadam",
    phases=(
        Phase(epochs=3, learning_rate=1e-2, train="head", cached=True),
        Phase(epochs=4, learning_rate=1e-3, warm_up_epochs=1),
    ),
)
"""


SAME_PICTURES = ("--set", "dropout=0", "--set", "augmentation.flip=false", "--set", "augmentation.rotation_degrees=0")


def start(
    tmp_path: Path, data: Data, run: str, *options: str, code: str = COMMAND, **environment: str
) -> "subprocess.Popen[str]":
    (tmp_path / "tiny.py").write_text(TINY)
    command = [sys.executable, "-c", code, "fit", tmp_path / "tiny.py", data.folder, "--run", tmp_path / run]
    return subprocess.Popen(
        [*map(str, command), *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def weights_of(run: Path) -> list[np.ndarray]:
    return [np.asarray(each) for each in keras.models.load_model(run / MODEL, compile=False).weights]


def test_a_killed_run_ends_as_an_undisturbed_one(data: Data, tmp_path: Path) -> None:
    """kill -9 among cached features, in mid-epoch and between epochs: the same history, the same weights."""
    whole = start(tmp_path, data, "whole")
    said, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0, said
    killed_at = []
    for epochs, steps in ((1, 0), (3, 3), (5, 6)):
        process = start(tmp_path, data, "killed")
        deadline = time.monotonic() + 120
        while (reached := read_progress(tmp_path / "killed" / "checkpoint.npz") or Progress()) and not (
            len(reached.history) > epochs or (len(reached.history) == epochs and reached.step >= steps)
        ):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed_at.append(read_progress(tmp_path / "killed" / "checkpoint.npz"))
    assert not Run.is_finished(tmp_path / "killed")
    last = start(tmp_path, data, "killed")
    said, _ = last.communicate(timeout=120)
    assert last.returncode == 0, said
    assert "going on with" in said
    assert history(tmp_path / "killed") == history(tmp_path / "whole")
    for one, other in zip(weights_of(tmp_path / "killed"), weights_of(tmp_path / "whole"), strict=True):
        assert np.array_equal(one, other)


TWO_DEVICES = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
mirrored = tf.distribute.MirroredStrategy
tf.distribute.MirroredStrategy = lambda: mirrored(["CPU:0", "CPU:1"])
import trainer.cli
trainer.cli.main()
"""


def test_two_devices_of_a_machine_train_as_one(data: Data, tmp_path: Path) -> None:
    """--devices all: each device takes half of a batch, and their gradients are summed."""
    alike = ("--set", "phases.0.cached=false", *SAME_PICTURES)
    both = [
        start(tmp_path, data, "two", "--devices", "all", *alike, code=TWO_DEVICES),
        start(tmp_path, data, "one", *alike),
    ]
    said = [each.communicate(timeout=200)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    for two, one in zip(history(tmp_path / "two")[:2], history(tmp_path / "one")[:2], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=0.1)


def test_two_processes_train_as_one(data: Data, tmp_path: Path) -> None:
    """Through TF_CONFIG, on halves of each batch: one history, near that of a process alone, and one model."""
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    processes = [
        start(
            tmp_path,
            data,
            "cluster",
            "--devices",
            "cluster",
            *SAME_PICTURES,
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": place}}),
        )
        for place in range(2)
    ]
    said = [each.communicate(timeout=200)[0] for each in processes]
    assert [each.returncode for each in processes] == [0, 0], said
    found = history(tmp_path / "cluster")
    assert len(found) == 7
    assert all(np.isfinite(each["loss"]) for each in found)
    assert found[-1]["loss"] < found[0]["loss"]
    assert Run.open(tmp_path / "cluster").classes == data.classes
