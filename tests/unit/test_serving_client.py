"""The model server's client without a server: tensors on the wire, answers read, errors told."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.pictures import stacked
from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.product import Product
from worker.contract.serving_api import get_model_metadata_pb2, predict_pb2, tensor_pb2, types_pb2
from worker.contract.settings import Settings
from worker.contract.signature import Signature, Tensor, inputs, outputs
from worker.pictures import Batch
from worker.serving import REPLICAS_ASKED, Refused, Serving
from worker.tensors import DTYPES, describe, from_proto, to_proto
from worker.wire import HEAD_BYTES, LENGTH_BYTES, TENSOR_CONTENT, Encoded, Pictures

ARRAYS = [
    np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3),
    np.array([-(2**63), 0, 2**63 - 1], np.int64),
    np.array([[-(2**31)], [2**31 - 1]], np.int32),
    np.array([[0.5, -1e-9, np.inf]], np.float32),
    np.zeros((0, 5), np.float32),
    np.array(7, np.int64),
]
PICTURES = stacked(np.zeros((3, 4, 4, 3), np.uint8))
#: two pictures of product 9, then one of product 5
PRODUCTS = [Product(9, (b"a", b"b")), Product(5, (b"c",))]
BATCH = Batch(PRODUCTS, PICTURES, np.array([9, 9, 5], np.int64), np.array([0, 1, 0], np.int32))


def typed(array: np.ndarray) -> Any:
    """The array as TensorFlow Serving writes it: one value after the other in the field of its type."""
    number, field = DTYPES[str(array.dtype)]
    tensor = tensor_pb2.TensorProto(dtype=number)
    for size in array.shape:
        tensor.tensor_shape.dim.add().size = size
    getattr(tensor, field).extend(array.ravel().tolist())
    return tensor


def answer(version: int = 3, **changes: Any) -> Any:
    """A Predict response to BATCH: top 2 of each level."""
    ids, scores = np.array([[10, 11], [10, 11], [12, 10]]), np.array([[0.75, 0.25], [0.75, 0.25], [0.5, 0.25]])
    tensors = {
        "category": ids,
        "score": scores,
        "level2_category": ids + 100,
        "level2_score": scores,
        "level1_category": ids + 1000,
        "level1_score": scores,
        "pictures": np.array([2, 2, 1], np.int32),
    } | changes
    response = predict_pb2.PredictResponse()
    response.model_spec.version.value = version
    for name, values in tensors.items():
        response.outputs[name].CopyFrom(typed(values.astype(outputs()[name].dtype)))
    return response


def metadata(signatures: dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]], version: int = 3) -> Any:
    """A GetModelMetadata response with these signatures: name -> (inputs, outputs)."""
    described = get_model_metadata_pb2.SignatureDefMap()
    for name, (takes, gives) in signatures.items():
        definition = described.signature_def[name]
        for tensors, kept in ((takes, definition.inputs), (gives, definition.outputs)):
            for key, tensor in tensors.items():
                kept[key].dtype = DTYPES[tensor.dtype][0]
                for size in tensor.shape:
                    kept[key].tensor_shape.dim.add().size = -1 if size is None else size
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.version.value = version
    response.metadata["signature_def"].Pack(described)
    return response


BOTH = {kind.value: (inputs(kind, 180), outputs()) for kind in Signature}
WIDER = {"serving_default": (inputs(Signature.PIXELS, 224), outputs())}


class Failure(grpc.RpcError):
    """An error as grpc raises it."""

    def __init__(self, code: grpc.StatusCode, details: str | None = "told by the server"):
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details


class Wire:
    """Stands for the network: gives what was prepared, in order, and keeps what was asked."""

    def __init__(self, *prepared: Any):
        self.prepared = list(prepared)
        self.asked: list[Any] = []

    def __call__(self, request: Any, timeout: float) -> Any:
        assert timeout > 0
        self.asked.append(predict_pb2.PredictRequest.FromString(request) if isinstance(request, bytes) else request)
        found = self.prepared.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make clients whose network gives what was prepared, and that do not ask again because a test is slow."""
    monkeypatch.setattr("worker.serving.MODEL_AGE_SECONDS", 3600)
    made: list[Serving] = []

    def make(
        *prepared: Any, signature: str = "pixels", model_label: str = "", label: str | None = None
    ) -> tuple[Serving, Wire]:
        client = Serving(Settings(signature=signature, model_label=model_label), label)
        made.append(client)
        wire = Wire(*prepared)
        monkeypatch.setattr(client._channel, "call", lambda method: wire)
        return client, wire

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize("write", [to_proto, typed], ids=["tensor_content", "typed fields"])
def test_tensors_come_back(array: np.ndarray, write) -> None:
    """Either encoding of a tensor is read back with its dtype, shape and bits."""
    found = from_proto(write(array))
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_tensorflow_reads_what_is_written(array: np.ndarray) -> None:
    """The model server sees the very array, and writes one that is read here."""
    import tensorflow as tf

    assert np.array_equal(tf.make_ndarray(to_proto(array)), array)
    assert np.array_equal(from_proto(tf.make_tensor_proto(array)), array)


@pytest.mark.parametrize(
    "pictures",
    [
        Encoded([b"\xff\xd8\xff\0\0", b"", b"x" * 1000]),
        stacked(ARRAYS[0]),
        stacked(np.arange(200 * 90 * 30 * 3, dtype=np.uint8).reshape(200, 90, 30, 3)),
        Encoded([b""]),
    ],
    ids=["jpeg", "pixels", "many pixels", "empty"],
)
def test_tensorflow_reads_the_pictures(pictures: Pictures) -> None:
    """A request put together by hand is one that protobuf reads, with all that protobuf has written of it."""
    import tensorflow as tf

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "shelver"
    request.inputs["product"].CopyFrom(to_proto(ARRAYS[1]))
    message = pictures.request(request.SerializeToString())
    assert pictures.request(request.SerializeToString()) == message, "asked again, it is another"
    read = predict_pb2.PredictRequest.FromString(message)
    found = tf.make_ndarray(read.inputs["jpeg" if isinstance(pictures, Encoded) else "pixels"])
    assert found.tolist() == [each if isinstance(each, bytes) else each.tolist() for each in pictures]
    assert read.model_spec.name == "shelver"
    assert np.array_equal(from_proto(read.inputs["product"]), ARRAYS[1])


def test_the_parser_of_tensorflow_serving_takes_a_length_in_more_bytes_than_it_needs() -> None:
    """It is that of C++, as TensorFlow's own is; that of Python is another."""
    import tensorflow as tf

    message = stacked(ARRAYS[0]).request(b"")
    tensor = message[HEAD_BYTES - LENGTH_BYTES - len(TENSOR_CONTENT) :]
    assert tf.io.parse_tensor(tensor, tf.uint8).numpy().tolist() == ARRAYS[0].tolist()


@pytest.mark.parametrize("name", ["uint8", "int32", "int64", "float32"])
def test_a_single_value_stands_for_all(name: str) -> None:
    """A tensor of one repeated value may be written once, as TensorProto says."""
    number, field = DTYPES[name]
    tensor = tensor_pb2.TensorProto(dtype=number)
    for size in (2, 3):
        tensor.tensor_shape.dim.add().size = size
    getattr(tensor, field).append(4)
    found = from_proto(tensor)
    assert (found.tolist(), str(found.dtype)) == ([[4] * 3] * 2, name)


@hypothesis_settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_ids_come_back_exactly(ids: list[int]) -> None:
    """No id is rounded on its way, in either encoding."""
    array = np.array(ids, np.int64)
    assert from_proto(to_proto(array)).tolist() == from_proto(typed(array)).tolist() == ids


@pytest.mark.parametrize(
    ("signature", "pictures", "name"),
    [("pixels", PICTURES, "pixels"), ("jpeg", Encoded((b"\xff\xd8\xff1", b"\xff\xd8\xff2", b"")), "jpeg")],
)
def test_a_request_has_just_the_signatures_inputs(serving, signature: str, pictures: Pictures, name: str) -> None:
    """The server refuses any other set of names: pictures, product and picture, under the right signature."""
    client, wire = serving(answer(), signature=signature)
    client.predict(Batch(BATCH.products, pictures, BATCH.product, BATCH.picture))
    (request,) = wire.asked
    assert request.model_spec.name == "shelver"
    assert request.model_spec.signature_name == client._settings.model_signature.value
    assert set(request.inputs) == {name, "product", "picture"}
    assert from_proto(request.inputs["product"]).tolist() == [9, 9, 5]
    assert from_proto(request.inputs["picture"]).tolist() == [0, 1, 0]


def test_an_answer_becomes_predictions(serving) -> None:
    """One prediction a product, in the batch's order, however many rows it had."""
    client, _ = serving(answer())
    first, second = client.predict(BATCH)
    assert (first.product.id, first.candidates, first.picture_count) == (9, [(10, 0.75), (11, 0.25)], 2)
    assert (second.product.id, second.candidates, second.picture_count) == (5, [(12, 0.5), (10, 0.25)], 1)
    assert (second.level2, second.level1, second.model_version) == ((112, 0.5), (1012, 0.5), 3)
    assert all(type(identity) is int for identity, _ in first.candidates)


@pytest.mark.parametrize("counted", [1, 3])
def test_a_graph_that_mixes_products_is_found_out(serving, counted: int) -> None:
    """Where the model averaged another number of pictures than were sent, nothing is stored and the model is named."""
    client, _ = serving(answer(pictures=np.array([counted, counted, 1])))
    told = f"shelver version 3 at 127.0.0.1:8500 averaged {counted} pictures of product 9 where 2 were sent"
    with pytest.raises(ModelUnfit, match=told):
        client.predict(BATCH)


@pytest.mark.parametrize("signature", ["pixels", "jpeg"])
def test_the_model_says_what_it_is_once(serving, signature: str) -> None:
    """Version and side come from the server, asked once for all pages of a moment."""
    client, wire = serving(metadata(BOTH), answer(), signature=signature)
    model = client.model()
    assert (model.version, model.side) == (3, 180)
    client.predict(BATCH)
    assert client.model() is model
    assert len(wire.asked) == 2


def test_a_model_with_jpeg_alone_has_no_side(serving) -> None:
    """Then the graph resizes, and the worker does not know to what."""
    client, _ = serving(metadata({"jpeg": BOTH["jpeg"]}), signature="jpeg")
    assert client.model().side is None


def test_a_new_version_is_noticed(serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's word holds for a moment only: then the model is asked for its version and shape again."""
    client, _ = serving(metadata(BOTH), metadata(WIDER, version=4))
    assert (client.model().version, client.model().side) == (3, 180)
    monkeypatch.setattr("worker.serving.MODEL_AGE_SECONDS", -1)
    assert client.model().side == 224
    monkeypatch.setattr("worker.serving.MODEL_AGE_SECONDS", 3600)
    assert client.model().version == 4


def test_predictions_name_the_version_that_answered(serving) -> None:
    """A version that took over since the model was asked is not credited with the old one's name."""
    client, _ = serving(metadata(BOTH, version=3), answer(version=4))
    assert client.model().version == 3
    assert {each.model_version for each in client.predict(BATCH)} == {4}


def test_an_unknown_type_is_named_as_tensorflow_does() -> None:
    """A model of another making may use any type: the misfit can say which."""
    info = get_model_metadata_pb2.SignatureDefMap().signature_def["x"].inputs["x"]
    info.dtype = types_pb2.DT_HALF
    info.tensor_shape.dim.add().size = -1
    assert describe({"x": info}) == {"x": Tensor("DT_HALF", (None,))}


FLOATS = {"pixels": Tensor("float32", (None, 180, 180, 3))}
ANOTHER_MODEL = ({"image": Tensor("uint8", (None, 180, 180, 3))}, {"probabilities": Tensor("float32", (None, 6))})


@pytest.mark.parametrize(
    ("signatures", "told"),
    [
        ({}, "has no signature serving_default: publish it with shelver-trainer, or set SHELVER_SIGNATURE=jpeg"),
        ({"jpeg": BOTH["jpeg"]}, "set SHELVER_SIGNATURE=jpeg"),
        (
            {"serving_default": (inputs(Signature.PIXELS) | FLOATS, outputs())},
            r"input pixels is float32\[any, 180, 180, 3\] where uint8\[any, any, any, 3\] is needed",
        ),
        (
            {"serving_default": ANOTHER_MODEL},
            "input picture is missing; input pixels is missing; input product is missing; input image is not known .*"
            "output category is missing",
        ),
    ],
    ids=["no signature", "the other alone", "another dtype", "another model"],
)
def test_a_model_that_does_not_fit_is_told(serving, signatures: Any, told: str) -> None:
    """One sentence names model, version, server, everything that does not fit, and the remedy."""
    client, _ = serving(metadata(signatures))
    with pytest.raises(ModelUnfit, match=told) as caught:
        client.model()
    assert str(caught.value).startswith("model shelver version 3 at 127.0.0.1:8500")
    assert "shelver-trainer" in str(caught.value)


def test_a_model_that_does_not_fit_is_asked_again(serving) -> None:
    """Once it is put right the worker goes on by itself."""
    client, _ = serving(metadata({}), metadata(BOTH))
    with pytest.raises(ModelUnfit):
        client.model()
    assert client.model().version == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED"])
def test_a_server_that_does_not_answer_is_waited_for(serving, code: str) -> None:
    """Waiting can help, so it is Unavailable, with the address, its setting and the server's own words."""
    client, _ = serving(Failure(grpc.StatusCode[code]))
    with pytest.raises(Unavailable) as caught:
        client.predict(BATCH)
    told = f"127.0.0.1:8500 does not answer (SHELVER_SERVING_ADDRESS): {code}: told by the server"
    assert told in str(caught.value)
    assert not isinstance(caught.value, ModelUnfit)


@pytest.mark.parametrize("code", ["NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED", "PERMISSION_DENIED"])
def test_a_missing_model_is_told(serving, code: str) -> None:
    """The server answers but not for this model: the sentence names the setting and what to do."""
    client, _ = serving(Failure(grpc.StatusCode[code], None))
    with pytest.raises(ModelUnfit, match=f"does not serve shelver .SHELVER_MODEL_NAME.: {code}.*publish the model"):
        client.model()


@pytest.mark.parametrize(
    ("model_label", "label", "sent"), [("", None, None), ("stable", None, "stable"), ("stable", "canary", "canary")]
)
def test_every_request_names_the_label(serving, model_label: str, label: str | None, sent: str | None) -> None:
    """The setting's, unless another is asked for; without one the newest version answers."""
    client, wire = serving(metadata(BOTH), answer(), model_label=model_label, label=label)
    client.model()
    client.predict(BATCH)
    for request in wire.asked:
        assert request.model_spec.HasField("version_label") == (sent is not None)
        assert request.model_spec.version_label == (sent or "")


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (None, r"under the label stable \(SHELVER_MODEL_LABEL\): .*shelver-trainer promote"),
        ("canary", "under the label canary: .*shelver-trainer canary"),
    ],
)
def test_a_label_on_no_version_is_not_the_pictures_fault(serving, label: str | None, told: str) -> None:
    """To Predict it looks like pictures that are refused: asking for the model, which follows, tells the two apart."""
    unknown = Failure(grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label")
    client, _ = serving(metadata(BOTH), unknown, unknown, model_label="stable", label=label)
    client.model()
    with pytest.raises(Refused):
        client.predict(BATCH)
    with pytest.raises(ModelUnfit, match=told):
        client.model()


def test_pictures_at_fault_are_refused(serving) -> None:
    """INVALID_ARGUMENT is about the batch; the model is asked anew in case it was swapped for another."""
    refusal = Failure(grpc.StatusCode.INVALID_ARGUMENT, "x" * 5000)
    client, wire = serving(metadata(BOTH), refusal, *[metadata(BOTH, 4)] * (1 + REPLICAS_ASKED))
    client.model()
    with pytest.raises(Refused) as caught:
        client.predict(BATCH)
    assert len(str(caught.value)) == 300
    assert client.model().version == 4
    assert wire.prepared == []


def test_replicas_that_take_other_pixels_are_not_the_products_fault(serving) -> None:
    """After a refusal every replica is asked: while they differ the model is unfit, and once they agree it is right."""
    refusal = Failure(grpc.StatusCode.INVALID_ARGUMENT)
    rollout = [metadata(WIDER, 4), metadata(WIDER, 4), metadata(BOTH, 3)]
    client, wire = serving(metadata(WIDER, 4), refusal, *rollout, *[metadata(WIDER, 4)] * (1 + REPLICAS_ASKED))
    client.model()
    with pytest.raises(Refused):
        client.predict(BATCH)
    with pytest.raises(
        ModelUnfit, match="disagree: version 4 takes 224 x 224 pixels and version 3 180 x 180; have all"
    ):
        client.model()
    assert client.model().side == 224
    assert wire.prepared == []


def test_replicas_of_two_versions_may_serve_side_by_side(serving) -> None:
    """A rollout to a model of the same shape holds up nothing: each prediction names the version that made it."""
    both = [metadata(BOTH, 3), metadata(BOTH, 4)]
    client, _ = serving(both[0], Failure(grpc.StatusCode.INVALID_ARGUMENT), *both * (1 + REPLICAS_ASKED))
    client.model()
    with pytest.raises(Refused):
        client.predict(BATCH)
    assert client.model().version == 3


def test_the_model_is_not_refused_for_pictures_that_were_not_sent(serving) -> None:
    """INVALID_ARGUMENT to the question which model there is blames no product: a person must act."""
    client, _ = serving(Failure(grpc.StatusCode.INVALID_ARGUMENT, "unknown label"))
    with pytest.raises(
        ModelUnfit, match="does not serve shelver .SHELVER_MODEL_NAME.: INVALID_ARGUMENT: unknown label"
    ):
        client.model()


def without(name: str) -> Any:
    response = answer()
    del response.outputs[name]
    return response


@pytest.mark.parametrize(
    "given",
    [without("pictures"), without("level1_score"), answer(pictures=np.array([2])), answer(score=np.zeros((0, 2)))],
    ids=["no pictures", "no scores", "too few pictures", "too few scores"],
)
def test_an_answer_that_cannot_be_read_is_the_models_fault(serving, given: Any) -> None:
    """A server whose model was replaced by a stranger's under the old one's name gives the page back, no reject."""
    client, wire = serving(metadata(BOTH), given, metadata(BOTH, 4))
    client.model()
    with pytest.raises(ModelUnfit, match="shelver version 3 at 127.0.0.1:8500 .*publish it with shelver-trainer"):
        client.predict(BATCH)
    assert client.model().version == 4
    assert wire.prepared == []


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_not_taken(serving, score: float) -> None:
    """Whether the product or the model is at fault is not for one answer to say."""
    scores = np.array([[0.75, 0.25], [0.75, 0.25], [score, 0.25]])
    client, _ = serving(answer(level2_score=scores))
    with pytest.raises(Refused, match="gives product 5 a score that is no number"):
        client.predict(BATCH)


@pytest.mark.parametrize("signature", ["pixels", "jpeg"])
def test_a_batch_that_no_message_takes_is_refused_here(serving, signature: str) -> None:
    """gRPC would say RESOURCE_EXHAUSTED, and the page would wait for ever: it is cut instead, and never sent."""
    client, wire = serving(signature=signature)
    large = 3 * 2**21
    pictures = stacked(np.zeros((1, 2**21, 1, 3), np.uint8)) if signature == "pixels" else Encoded([b"x" * large])
    with pytest.raises(Refused, match="6,291,456 bytes of pictures are more than one call takes"):
        client.predict(Batch(PRODUCTS[1:], pictures, np.array([5], np.int64), np.array([0], np.int32)))
    assert wire.asked == []
