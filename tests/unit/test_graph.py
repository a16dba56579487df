"""The exported graph: the same answer whatever else is in the batch, and the same pixels as the worker's Pillow."""

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image, ImageFilter
from tensorflow.core.protobuf import saved_model_pb2

from tests.pictures import draw, encode, jpeg
from trainer.graph import Classifier, decode, decode_all, mean_by_product
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.signature import PREFIXES, Signature, inputs, misfits, outputs
from worker.contract.taxonomy import Taxonomy, path_id
from worker.pictures import Stacker
from worker.tensors import describe

SIDE = 180
TREE = Taxonomy.from_shelves(
    {
        11: ("MAISON", "CUISINE", "TASSE"),
        12: ("MAISON", "CUISINE", "ASSIETTE"),
        13: ("MAISON", "SALON", "LAMPE"),
        14: ("SPORT", "BALLON", "FOOTBALL"),
        15: ("SPORT", "BALLON", "BASKET"),
        16: ("SPORT", "BALLON", "RUGBY"),
    }
)
#: in the order of the logits, which need not be that of the ids
CLASSES = [14, 11, 16, 13, 12, 15]
Answers = dict[str, np.ndarray]
#: rows as (product, picture), the picture being the seed it is drawn from
Rows = list[tuple[int, int]]


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    picture = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 64, offset=-2)(layers.Resizing(16, 16)(picture))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="tanh")(x))
    head = layers.Dense(len(CLASSES), kernel_initializer=keras.initializers.RandomNormal(stddev=3))
    return keras.Model(picture, head(layers.BatchNormalization()(x)))


@pytest.fixture(scope="module")
def classifier(network: keras.Model) -> Classifier:
    return Classifier(network, CLASSES, TREE, SIDE)


@pytest.fixture(scope="module")
def exported(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "1"
    tf.saved_model.save(classifier, str(folder), signatures=classifier.signatures())
    return folder


@pytest.fixture(scope="module")
def served(exported: Path) -> Any:
    """The exported signatures by name."""
    return tf.saved_model.load(str(exported)).signatures


def opened(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def ask(classifier: Classifier, rows: Rows) -> Answers:
    pixels = np.stack([np.asarray(draw(seed)) for _, seed in rows])
    product = np.array([product for product, _ in rows], np.int64)
    picture = np.array([seed for _, seed in rows], np.int32)
    return {name: value.numpy() for name, value in classifier(pixels, product, picture).items()}


def forward(network: keras.Model, seeds: list[int]) -> np.ndarray:
    """The network's logits, float64[N, C]."""
    pixels = np.stack([np.asarray(draw(seed), np.float32) for seed in seeds])
    return network(pixels, training=False).numpy().astype(np.float64)


def by_hand(network: keras.Model, seeds: list[int]) -> np.ndarray:
    """The mean of the pictures' softmax, in float64: [C] in the order of CLASSES."""
    logits = forward(network, seeds)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)


def same(found: Answers, expected: Answers, rows: slice) -> None:
    """Assert that rows of one answer are the whole of another: ids alike, scores to 1e-6."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if name.endswith("score"):
            assert np.allclose(found[name][rows], values, rtol=0, atol=1e-6)
        else:
            assert np.array_equal(found[name][rows], values)


def test_a_product_is_the_mean_of_its_pictures(classifier: Classifier, network: keras.Model) -> None:
    """The score of a category is the mean of its softmax over the product's pictures, in every row of the product."""
    answers = ask(classifier, [(7, 1), (8, 2), (7, 3), (7, 4)])
    for row, seeds in ((0, [1, 3, 4]), (1, [2]), (2, [1, 3, 4]), (3, [1, 3, 4])):
        expected = dict(zip(CLASSES, by_hand(network, seeds), strict=True))
        found = dict(zip(answers["category"][row].tolist(), answers["score"][row].tolist(), strict=True))
        assert found == pytest.approx(expected, abs=1e-6)
    assert answers["pictures"].tolist() == [3, 1, 3, 3]


def test_the_pictures_of_this_test_differ(classifier: Classifier) -> None:
    """What follows would hold of a constant network too: this one tells products apart."""
    best = ask(classifier, [(product, product) for product in range(12)])
    assert len(set(best["category"][:, 0].tolist())) > 1
    assert best["score"].std(axis=0).min() > 0.001


@pytest.mark.parametrize("prefix", PREFIXES.values())
def test_ranks_fall(prefix: str, classifier: Classifier) -> None:
    """The best category comes first, and each comes once."""
    answers = ask(classifier, [(1, 1), (2, 2)])
    scores, categories = answers[f"{prefix}score"], answers[f"{prefix}category"]
    assert (np.diff(scores, axis=1) <= 0).all()
    assert all(len(set(row)) == len(row) for row in categories.tolist())


def test_the_levels_add_up(classifier: Classifier) -> None:
    """A category's score is the sum of its children's, and the scores of a level are 1 together."""
    answers = ask(classifier, [(1, 1), (1, 2), (2, 3)])
    for row in range(3):
        scores = {
            level: dict(zip(answers[f"{prefix}category"][row].tolist(), answers[f"{prefix}score"][row], strict=True))
            for level, prefix in PREFIXES.items()
        }
        for level in (1, 2, 3):
            assert sorted(scores[level]) == [each.id for each in TREE.level(level)]
            assert sum(scores[level].values()) == pytest.approx(1, abs=1e-6)
        for level in (1, 2):
            for category in TREE.level(level):
                below = [each.id for each in TREE.level(level + 1) if each.parent_id == category.id]
                assert scores[level][category.id] == pytest.approx(sum(scores[level + 1][each] for each in below))


def test_top_k_cuts_each_level(network: keras.Model, classifier: Classifier) -> None:
    """The first k of each level are answered, or all where there are fewer, with unchanged scores."""
    whole, cut = (ask(each, [(1, 1)]) for each in (classifier, Classifier(network, CLASSES, TREE, SIDE, top_k=2)))
    assert [cut[f"{prefix}category"].shape for prefix in PREFIXES.values()] == [(1, 2)] * 3
    assert [whole[f"{prefix}category"].shape for prefix in PREFIXES.values()] == [(1, 6), (1, 3), (1, 2)]
    for name in cut.keys() - {"pictures"}:
        assert np.array_equal(cut[name], whole[name][:, :2])


def test_temperature_softens_and_keeps_the_order(network: keras.Model, classifier: Classifier) -> None:
    """Logits are divided by it before the softmax: a high one brings scores together."""
    hot = Classifier(network, CLASSES, TREE, SIDE, temperature=4)
    sharp, soft = ask(classifier, [(1, 1)]), ask(hot, [(1, 1)])
    logits = forward(network, [1])[0] / 4
    expected = np.sort(np.exp(logits) / np.exp(logits).sum())[::-1]
    assert np.allclose(soft["score"][0], expected, atol=1e-6)
    assert np.array_equal(soft["category"], sharp["category"])
    assert np.ptp(soft["score"]) < np.ptp(sharp["score"])


def test_classes_of_another_level_can_be_learnt(network: keras.Model) -> None:
    """A model of level-2 categories answers them at level 3's place too, and rolls up to level 1."""
    classes = [each.id for each in TREE.level(2)]
    small = keras.Model(network.input, layers.Dense(3)(network.output))
    answers = ask(Classifier(small, classes, TREE, SIDE), [(1, 1)])
    assert sorted(answers["category"][0]) == sorted(answers["level2_category"][0]) == classes
    assert sorted(answers["level1_category"][0]) == sorted((path_id("MAISON"), path_id("SPORT")))


FIRST: Rows = [(7, 1), (7, 2), (8, 3)]
SECOND: Rows = [(9, 4), (10, 1), (10, 5)]


def test_merged_requests_answer_as_they_would_alone(classifier: Classifier) -> None:
    """TensorFlow Serving may put two requests into one batch: no row knows of the others."""
    merged = ask(classifier, FIRST + SECOND)
    same(merged, ask(classifier, FIRST), slice(0, 3))
    same(merged, ask(classifier, SECOND), slice(3, 6))


@pytest.mark.parametrize("padding", [1, 5])
def test_padding_changes_nothing(padding: int, classifier: Classifier) -> None:
    """A batch is filled up by repeating a row; a repeated picture counts once."""
    padded = ask(classifier, FIRST + SECOND + SECOND[:1] * padding)
    same(padded, ask(classifier, FIRST + SECOND), slice(0, 6))
    assert padded["pictures"].tolist() == [2, 2, 1, 1, 2, 2, *[1] * padding]


def test_a_product_in_two_requests_counts_its_pictures_once(classifier: Classifier) -> None:
    """A page delivered twice at the same time changes no score."""
    same(ask(classifier, FIRST + FIRST), ask(classifier, FIRST), slice(0, 3))
    same(ask(classifier, FIRST + FIRST), ask(classifier, FIRST), slice(3, 6))


def test_the_order_of_rows_does_not_matter(classifier: Classifier) -> None:
    """A product's rows may stand anywhere in the batch."""
    rows = FIRST + SECOND
    straight, turned = ask(classifier, rows), ask(classifier, rows[::-1])
    same({name: values[::-1] for name, values in turned.items()}, straight, slice(0, 6))


def mean(scores: list[list[float]], product: list[int], picture: list[int]) -> list[list[Any]]:
    found = mean_by_product(
        tf.constant(scores, tf.float32), tf.constant(product, tf.int64), tf.constant(picture, tf.int32)
    )
    return [each.numpy().tolist() for each in found]


def test_nan_stays_with_its_product() -> None:
    """A picture on which the network fails costs its own product alone."""
    nan = float("nan")
    averages, counted, owner = mean([[nan, nan], [0.25, 0.75], [nan, 1.0], [0.75, 0.25]], [1, 2, 3, 2], [0, 0, 0, 1])
    assert averages[1] == [0.5, 0.5]
    assert np.isnan(averages[0]).all()
    assert (counted, owner) == ([1, 2, 1], [0, 1, 2, 1])


def test_a_repeated_row_is_not_counted_even_when_it_is_nan() -> None:
    """Only the first of a repeated (product, picture) is read."""
    averages, counted, _ = mean([[0.25], [float("nan")], [0.75]], [1, 1, 1], [0, 0, 1])
    assert (averages, counted) == ([[0.5]], [2])


@pytest.mark.parametrize("product", [0, -1, 2**63 - 1, -(2**63)])
def test_any_ids_are_kept_apart(product: int) -> None:
    """The largest and smallest ids and indices are products and pictures like any other."""
    averages, counted, owner = mean([[1.0], [3.0], [5.0], [7.0]], [product, product, 5, 5], [0, 2**31 - 1, 0, -1])
    assert (averages, counted, owner) == ([[2.0], [6.0]], [2, 2], [0, 0, 1, 1])


def noise(mode: str = "RGB") -> Image.Image:
    """Colours that change from pixel to pixel, where decoders differ most."""
    random = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return Image.fromarray(random).filter(ImageFilter.GaussianBlur(1)).convert(mode)


@pytest.mark.parametrize(
    "picture",
    [
        jpeg(1),
        encode(noise(), "JPEG", quality=90),
        encode(noise(), "JPEG", quality=20),
        encode(noise(), "JPEG", subsampling=0),
        encode(noise(), "JPEG", subsampling=1),
        encode(noise(), "JPEG", progressive=True),
        encode(noise("L"), "JPEG"),
        encode(noise("L"), "JPEG", progressive=True),
        encode(noise(), "PNG"),
        encode(noise("L"), "PNG"),
    ],
    ids=["drawing", "q90", "q20", "4:4:4", "4:2:2", "progressive", "grey", "grey progressive", "PNG", "grey PNG"],
)
def test_a_picture_of_the_right_size_is_decoded_as_pillow_does(picture: bytes) -> None:
    """Bit for bit, so that training, jpeg mode and pixels mode see one picture."""
    assert np.array_equal(decode(tf.constant(picture), SIDE).numpy(), opened(picture))


@pytest.mark.parametrize("size", [(64, 64), (400, 300), (181, 180), (180, 181), (1000, 700), (1, 1)], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_another_size_is_resized_as_the_worker_does(size: tuple[int, int], mode: str) -> None:
    """Within one level in 255 of the row that the worker would send as pixels."""
    picture = encode(noise(mode).resize(size), "JPEG", quality=95)
    batch, _ = Stacker(Settings(), Signature.PIXELS, SIDE).stack([Product(1, (picture,))])
    found = decode(tf.constant(picture), SIDE).numpy()
    assert (found.shape, found.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert np.abs(found.astype(int) - np.asarray(batch.pictures[0]).astype(int)).max() <= 1


@pytest.mark.parametrize("kind", ["CMYK", "RGBA", "P"])
def test_what_the_worker_rewrites_is_decoded_to_the_same_pixels(kind: str) -> None:
    """Pictures that TensorFlow would read otherwise reach the network alike by both signatures."""
    picture = encode(noise().convert(kind), "JPEG" if kind == "CMYK" else "PNG")
    pixels, rewritten = (
        Stacker(Settings(), signature, SIDE).stack([Product(1, (picture,))])[0].pictures[0] for signature in Signature
    )
    assert np.array_equal(decode(tf.constant(rewritten), SIDE).numpy(), pixels)


@pytest.mark.parametrize("picture", [b"", b"text", jpeg(1)[:100], jpeg(1)[: len(jpeg(1)) // 2]], ids=len)
def test_a_damaged_picture_is_an_error(picture: bytes) -> None:
    """Half a picture is not guessed at: the worker then looks for the culprit."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_all(tf.constant([jpeg(2), picture]), SIDE)


@pytest.fixture(scope="module")
def definition(exported: Path) -> Any:
    """The MetaGraph in saved_model.pb."""
    (found,) = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes()).meta_graphs
    return found


@pytest.mark.parametrize("kind", list(Signature))
def test_the_exported_signatures_are_the_contracts(kind: Signature, definition: Any) -> None:
    """Names, types and shapes of inputs and outputs are those that every worker checks for, no more and no fewer."""
    signature = definition.signature_def[kind.value]
    assert describe(signature.inputs) == inputs(kind, SIDE)
    found = describe(signature.outputs)
    assert list(misfits("output", outputs(), found)) == []
    assert found.keys() == outputs().keys()


def test_there_are_two_signatures(definition: Any) -> None:
    """Beside TensorFlow's own __saved_model_init_op nothing else is exported."""
    assert {name for name in definition.signature_def if not name.startswith("__")} == set(Signature)


def test_decoding_stays_on_the_cpu(definition: Any) -> None:
    """There is one decoder, exact and pinned: on a GPU it would be another decoder with other pixels."""
    nodes = [node for function in definition.graph_def.library.function for node in function.node_def]
    decoders = [node for node in nodes if node.op.startswith("Decode")]
    assert {node.op for node in decoders} == {"DecodeJpeg"}
    assert {node.attr["dct_method"].s for node in decoders} == {b"INTEGER_ACCURATE"}
    assert all("CPU:0" in node.device for node in decoders)


def test_every_variable_is_restored_as_tensorflow_serving_does(
    exported: Path, network: keras.Model, classifier: Classifier
) -> None:
    """A plain session load initialises every variable the graph reads, with the trained values, and can predict."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(exported))
        handles = [each for each in graph.get_operations() if each.type == "VarHandleOp"]
        reads = [tf.raw_ops.ReadVariableOp(resource=each.outputs[0], dtype=each.get_attr("dtype")) for each in handles]
        values = session.run(reads)
        signature = loaded.signature_def["serving_default"]
        rows = {"pixels": [np.asarray(draw(1))], "product": [1], "picture": [1]}
        feeds = {signature.inputs[name].name: value for name, value in rows.items()}
        answers = session.run({name: info.name for name, info in signature.outputs.items()}, feeds)
    trained = [variable.numpy() for variable in network.variables]
    assert len(values) >= len(trained) > 4
    assert all(any(np.array_equal(value, each) for value in values) for each in trained)
    same(answers, ask(classifier, [(1, 1)]), slice(0, 1))


def test_nothing_else_is_restored(exported: Path, network: keras.Model) -> None:
    """The file holds each of the network's variables once."""
    names = [name for name, _ in tf.train.list_variables(str(exported / "variables" / "variables"))]
    assert len([name for name in names if name.startswith("variables_to_restore")]) == len(network.variables)


@pytest.mark.parametrize("side", [SIDE, 300])
def test_both_signatures_give_one_answer(side: int, served: Any) -> None:
    """A JPEG sent as it is and as Pillow's pixels gets the same categories and scores within a thousandth."""
    products = [Product(each, (jpeg(each, side), jpeg(each + 10, side))) for each in (1, 2, 3)]
    answers = []
    for kind, name, dtype in ((Signature.PIXELS, "pixels", tf.uint8), (Signature.JPEG, "jpeg", tf.string)):
        batch, _ = Stacker(Settings(), kind, SIDE).stack(products)
        rows = {name: tf.constant(list(batch.pictures), dtype), "product": batch.product, "picture": batch.picture}
        answers.append({key: value.numpy() for key, value in served[kind.value](**tensors(rows)).items()})
    pixels, jpegs = answers
    assert pixels["pictures"].tolist() == [2] * 6
    for name in outputs():
        if name.endswith("score"):
            assert np.allclose(pixels[name], jpegs[name], rtol=0, atol=1e-6 if side == SIDE else 1e-3)
        else:
            assert np.array_equal(pixels[name], jpegs[name])


def tensors(rows: dict[str, Any]) -> dict[str, tf.Tensor]:
    return {name: tf.convert_to_tensor(values) for name, values in rows.items()}
