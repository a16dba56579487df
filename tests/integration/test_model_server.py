"""The model server, as any client of TensorFlow Serving sees it: real SavedModels, a real server, a real channel."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from trainer.publishing import serving_config
from trainer.publishing.labels import without_canary
from trainer.publishing.serving_config import labelled
from trainer.serve.errors import ServeError, StatusError
from trainer.serve.predict import LoadedModel
from trainer.serve.requests import read
from trainer.serve.server import ModelServer
from trainer.serve.tensors import decode

#: a process of its own, without the command line around it
SERVE = "import sys, pathlib; from trainer.serve.server import serve; serve(pathlib.Path(sys.argv[1]), port=0)"
POLL_SECONDS = 0.05
DEADLINE_SECONDS = 30.0
Code = grpc.StatusCode
State = get_model_status_pb2.ModelVersionStatus

#: every dtype that has typed values, with values at its edges
SAMPLES = {
    "float32": np.array([[1.5, -0.0], [np.inf, 3e-45]], np.float32),
    "float64": np.array([[0.1], [1e300]], np.float64),
    "float16": np.array([[1.5], [65504.0]], np.float16),
    "bfloat16": np.array([[1.5], [-2.0]], tf.bfloat16.as_numpy_dtype),
    "int8": np.array([[-128], [127]], np.int8),
    "int16": np.array([[-32768], [32767]], np.int16),
    "int32": np.array([[-(2**31)], [2**31 - 1]], np.int32),
    "int64": np.array([[-(2**63)], [2**63 - 1]], np.int64),
    "uint8": np.array([[0], [255]], np.uint8),
    "uint16": np.array([[0], [65535]], np.uint16),
    "uint32": np.array([[0], [2**32 - 1]], np.uint32),
    "uint64": np.array([[0], [2**64 - 1]], np.uint64),
    "bool": np.array([[True], [False]], np.bool_),
    "complex64": np.array([[1 + 2j], [-3j]], np.complex64),
    "complex128": np.array([[1 + 2j], [-3j]], np.complex128),
    "string": np.array([[b"\xff\xd8 picture\x00"], [b""]], object),
}


class Example(tf.Module):
    """A model whose signatures each show one thing."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = tf.Variable(factor)

    def signatures(self) -> dict[str, Any]:
        text, rows = tf.TensorSpec([], tf.string), tf.TensorSpec([None, 2], tf.float32)
        echo = {name: tf.TensorSpec([None, None], tf.as_dtype(name), name=name) for name in SAMPLES}
        return {
            "serving_default": tf.function(self.scale).get_concrete_function(x=rows),
            "jpeg": tf.function(self.jpeg).get_concrete_function(jpeg=tf.TensorSpec([None], tf.string)),
            "gate": tf.function(self.gate).get_concrete_function(path=text),
            "read": tf.function(lambda path: {"text": tf.io.read_file(path)}).get_concrete_function(path=text),
            "append": tf.function(self.append).get_concrete_function(path=text),
            "echo": tf.function(lambda **given: given).get_concrete_function(**echo),
        }

    def scale(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * self.factor, "total": tf.reduce_sum(x), "text": tf.strings.as_string(x)}

    def jpeg(self, jpeg: tf.Tensor) -> dict[str, tf.Tensor]:
        size = lambda picture: tf.shape(tf.io.decode_jpeg(picture, channels=3))  # noqa: E731
        return {"shape": tf.map_fn(size, jpeg, fn_output_signature=tf.int32)}

    def gate(self, path: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer once the file exists: a request that takes just as long as a test wants."""

        def closed(turn: tf.Tensor) -> tf.Tensor:
            # Depends on the turn, lest the look at the file is moved out of the loop.
            pattern = tf.strings.join([path, tf.strings.substr(tf.strings.as_string(turn), 0, 0)])
            return tf.equal(tf.size(tf.io.matching_files(pattern)), 0)

        return {"turns": tf.while_loop(closed, lambda turn: [turn + 1], [tf.constant(0)])[0]}

    def append(self, path: tf.Tensor) -> dict[str, tf.Tensor]:
        """Lengthen a file by one byte: shows that, and how often, the signature ran."""
        before = tf.io.read_file(path)
        with tf.control_dependencies([tf.io.write_file(path, before + "+")]):
            return {"length": tf.identity(tf.strings.length(before))}


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one SavedModel that multiplies by 1 and one that multiplies by 2, named so."""
    folder = tmp_path_factory.mktemp("saved_models")
    for factor in (1, 2):
        model = Example(float(factor))
        tf.saved_model.save(model, str(folder / str(factor)), signatures=model.signatures())
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def publish(saved_models: Path, models: Path) -> Callable[..., Path]:
    """Publish as the trainer does: write elsewhere, then rename."""

    def put(name: str, version: int | str, factor: int = 1, spoil: Callable[[Path], object] | None = None) -> Path:
        target = models / name / str(version)
        draft = models / name / f".draft-{version}"
        shutil.copytree(saved_models / str(factor), draft)
        if spoil:
            spoil(draft)
        draft.rename(target)
        return target

    return put


class Client:
    """The two official stubs on one channel."""

    def __init__(self, address: str):
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(address, options=unlimited)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, *args: Any, **kwargs: Any) -> predict_pb2.PredictResponse:
        return self.prediction.Predict(request(*args, **kwargs), timeout=DEADLINE_SECONDS)

    def factor(self, name: str = "shelver", version: int | None = None) -> tuple[int, float]:
        """Which version answers, and what it multiplies by."""
        answer = self.predict(name, x=np.ones((1, 2), np.float32), version=version)
        return answer.model_spec.version.value, answer.outputs["y"].float_val[0]

    def states(self, name: str = "shelver") -> dict[int, int]:
        wanted = get_model_status_pb2.GetModelStatusRequest()
        wanted.model_spec.name = name
        answer = self.model.GetModelStatus(wanted, timeout=DEADLINE_SECONDS)
        return {each.version: each.state for each in answer.model_version_status}

    def status(self, name: str, version: int) -> State:
        wanted = get_model_status_pb2.GetModelStatusRequest()
        wanted.model_spec.name = name
        wanted.model_spec.version.value = version
        (answer,) = self.model.GetModelStatus(wanted, timeout=DEADLINE_SECONDS).model_version_status
        return answer

    def reload(self, *configs: Mapping[str, Any]) -> model_management_pb2.ReloadConfigResponse:
        wanted = model_management_pb2.ReloadConfigRequest()
        wanted.config.model_config_list.SetInParent()
        for config in configs:
            wanted.config.model_config_list.config.add(**config)
        return self.model.HandleReloadConfigRequest(wanted, timeout=DEADLINE_SECONDS)


def request(
    name: str | None = "shelver",
    signature: str = "",
    version: int | None = None,
    label: str | None = None,
    output_filter: tuple[str, ...] = (),
    **inputs: Any,
) -> predict_pb2.PredictRequest:
    """A PredictRequest; arrays become tensors as TensorFlow's own clients make them."""
    made = predict_pb2.PredictRequest(output_filter=output_filter)
    if name is not None:
        made.model_spec.name = name
        made.model_spec.signature_name = signature
    if version is not None:
        made.model_spec.version.value = version
    if label is not None:
        made.model_spec.version_label = label
    for key, value in inputs.items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        made.inputs[key].CopyFrom(proto)
    return made


@pytest.fixture
def start(models: Path) -> Iterator[Callable[[], Client]]:
    servers: list[ModelServer] = []
    clients: list[Client] = []

    def run() -> Client:
        servers.append(ModelServer(models, port=0, poll_seconds=POLL_SECONDS))
        clients.append(Client(servers[-1].address))
        return clients[-1]

    yield run
    for client in clients:
        client.channel.close()
    for server in servers:
        server.stop(grace_seconds=0)


@pytest.fixture
def client(publish: Callable[..., Path], start: Callable[[], Client]) -> Client:
    """A client of a server with version 1 of the model shelver."""
    publish("shelver", 1)
    return start()


def eventually(check: Callable[[], Any]) -> Any:
    """Poll until `check` holds; a status error counts as not yet."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            found = check()
        except grpc.RpcError:
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(POLL_SECONDS / 2)


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def tensor(dtype: int, shape: list[int], **values: Any) -> tensor_pb2.TensorProto:
    made = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


ROWS = np.array([[1, 2], [3, 4]], np.float32)


class TestPredict:
    def test_answers_in_typed_fields(self, client: Client) -> None:
        """Outputs of every dtype come back equal, one typed value per element, never as tensor_content."""
        answer = client.predict(signature="echo", **SAMPLES)
        assert set(answer.outputs) == set(SAMPLES)
        for name, sent in SAMPLES.items():
            proto = answer.outputs[name]
            assert not proto.tensor_content, name
            got = tf.make_ndarray(proto)
            assert (got.dtype, got.shape) == (sent.dtype, sent.shape), name
            assert got.tolist() == sent.tolist(), name

    def test_names_what_it_resolved(self, client: Client) -> None:
        """The response says which version and which signature answered."""
        spec = client.predict(x=ROWS).model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("shelver", 1, "serving_default")
        spec = client.predict(signature="echo", version=1, **SAMPLES).model_spec
        assert (spec.name, spec.version.value, spec.signature_name) == ("shelver", 1, "echo")

    @pytest.mark.parametrize(
        "sent",
        [
            tensor(types_pb2.DT_FLOAT, [2, 2], tensor_content=ROWS.tobytes()),
            tensor(types_pb2.DT_FLOAT, [2, 2], float_val=[1, 2, 3, 4]),
        ],
        ids=["tensor_content", "float_val"],
    )
    def test_takes_both_encodings(self, client: Client, sent: tensor_pb2.TensorProto) -> None:
        """Inputs may come as bytes or as typed values."""
        answer = client.predict(x=sent)
        assert list(answer.outputs["y"].float_val) == [1, 2, 3, 4]
        assert answer.outputs["total"].float_val == [10]
        assert answer.outputs["total"].tensor_shape.dim == []
        assert answer.outputs["text"].string_val[0].startswith(b"1.0")

    @pytest.mark.parametrize(
        "proto",
        [
            tensor(types_pb2.DT_FLOAT, [2, 2], float_val=[7]),
            tensor(types_pb2.DT_FLOAT, [4], float_val=[7, 8]),
            tensor(types_pb2.DT_FLOAT, [2, 2]),
            tensor(types_pb2.DT_FLOAT, [1], float_val=[7, 8]),
            tensor(types_pb2.DT_FLOAT, [], float_val=[7]),
            tensor(types_pb2.DT_FLOAT, [0, 2**40]),
            tensor(types_pb2.DT_FLOAT, [2], int64_val=[1, 2]),
            tensor(types_pb2.DT_UINT8, [2], int_val=[1, 256 + 7]),
            tensor(types_pb2.DT_HALF, [3], half_val=[15360, 16384]),
            tensor(types_pb2.DT_BFLOAT16, [2], half_val=[0x3F80]),
            tensor(types_pb2.DT_COMPLEX64, [2], scomplex_val=[1, 2]),
            tensor(types_pb2.DT_BOOL, [2], bool_val=[True]),
            tensor(types_pb2.DT_STRING, [2], string_val=[b"a\x00", b"\xff"]),
            tensor(types_pb2.DT_STRING, [3], string_val=[b"a\x00"]),
            tensor(types_pb2.DT_STRING, [2]),
            tensor(types_pb2.DT_STRING, [2], tensor_content=b"\x02\x01a\x00b"),
            tensor(types_pb2.DT_STRING, [1], tensor_content=b"\x80\x02" + 256 * b"x"),
            tensor(types_pb2.DT_INT16, [2], tensor_content=b"\x01\x00\xff\xff"),
        ],
        ids=str,
    )
    def test_reads_tensors_as_tensorflow_does(self, proto: tensor_pb2.TensorProto) -> None:
        """A short list repeats its last value, none means zeros, a long one is cut: the same array as TensorFlow's."""
        dtype = tf.as_dtype(proto.dtype)
        theirs = tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()
        ours = decode("x", proto, dtype, tf.TensorShape(None))
        assert (ours.dtype, ours.shape) == (theirs.dtype, np.shape(theirs))
        assert ours.tolist() == np.asarray(theirs, dtype=ours.dtype).tolist()

    @pytest.mark.parametrize(
        "proto",
        [
            tensor(types_pb2.DT_FLOAT, [3], tensor_content=b"8 bytes."),
            tensor(types_pb2.DT_FLOAT, [-1], float_val=[7]),
            tensor(types_pb2.DT_FLOAT, [2**62, 2**62], float_val=[7]),
            tensor(types_pb2.DT_FLOAT, [1] * 255, float_val=[7]),
            tensor(types_pb2.DT_FLOAT, [2**28], float_val=[7]),
            tensor(types_pb2.DT_FLOAT, [2**28]),
            tensor(types_pb2.DT_FLOAT, [2**45], tensor_content=b"8 bytes."),
            tensor(types_pb2.DT_STRING, [2**16], string_val=[2**14 * b"x"]),
            tensor(types_pb2.DT_STRING, [2**62], tensor_content=b"\x01a"),
            tensor(types_pb2.DT_STRING, [2], tensor_content=b"\xff\xff\xff\xff\xff\xff\xff\xffpicture"),
            tensor(types_pb2.DT_STRING, [2], tensor_content=b"\x01\x05ab"),
            tensor(types_pb2.DT_STRING, [1], tensor_content=b"\x01ab"),
            tensor(types_pb2.DT_COMPLEX64, [1], scomplex_val=[1]),
        ],
        ids=lambda proto: str(proto)[:60],
    )
    def test_malformed_tensors(self, proto: tensor_pb2.TensorProto) -> None:
        """A tensor whose content does not fit its shape is refused; a false claim of size allocates nothing."""
        with pytest.raises(StatusError, match="tensor parsing error") as caught:
            decode("x", proto, tf.as_dtype(proto.dtype), tf.TensorShape(None))
        assert caught.value.code is Code.INVALID_ARGUMENT

    def test_malformed_pictures_stay_out_of_the_log(self, client: Client, capfd: pytest.CaptureFixture[str]) -> None:
        """Neither the refusal nor any log holds what was sent."""
        for sent in (
            tensor(types_pb2.DT_STRING, [2], tensor_content=b"\xff\xff\xff\xff\xff\xffsecret"),
            tensor(types_pb2.DT_STRING, [1], string_val=[b"secret is no picture"]),
        ):
            code, details = refused(lambda sent=sent: client.predict(signature="jpeg", jpeg=sent))
            assert code is Code.INVALID_ARGUMENT
            assert "secret" not in details
        assert "secret" not in "".join(capfd.readouterr())

    def test_default_inputs(self, publish: Callable[..., Path], start: Callable[[], Client]) -> None:
        """An input with a default in the signature may be left out."""

        def give_default(draft: Path) -> None:
            saved = saved_model_pb2.SavedModel.FromString((draft / "saved_model.pb").read_bytes())
            saved.meta_graphs[0].signature_def["serving_default"].defaults["x"].CopyFrom(tf.make_tensor_proto(ROWS))
            (draft / "saved_model.pb").write_bytes(saved.SerializeToString())

        publish("shelver", 1, spoil=give_default)
        client = start()
        assert client.predict().outputs["total"].float_val == [10]
        assert client.predict(x=2 * ROWS).outputs["total"].float_val == [20]

    def test_output_filter(self, client: Client) -> None:
        """Only the outputs asked for are computed and sent."""
        assert set(client.predict(x=ROWS, output_filter=("total", "y")).outputs) == {"total", "y"}

    @pytest.mark.parametrize("output_filter", [("z",), ("y", "y")], ids=["unknown", "repeated"])
    def test_wrong_output_filter(self, client: Client, output_filter: tuple[str, ...]) -> None:
        """Unknown and repeated outputs are INVALID_ARGUMENT, and named."""
        code, details = refused(lambda: client.predict(x=ROWS, output_filter=output_filter))
        assert code is Code.INVALID_ARGUMENT
        assert f": {output_filter[0]}" in details

    @pytest.mark.parametrize(
        ("sent", "code", "sentence"),
        [
            (request(name=None), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
            (request(name=""), Code.INVALID_ARGUMENT, "no name"),
            (request(name="nobody"), Code.NOT_FOUND, "Servable not found for request: Latest(nobody)"),
            (request(version=3), Code.NOT_FOUND, "Servable not found for request: Specific(shelver, 3)"),
            (request(version=0), Code.NOT_FOUND, "Servable not found for request: Specific(shelver, 0)"),
            (request(label="stable"), Code.INVALID_ARGUMENT, "Unrecognized servable version label: stable"),
            (request(signature="pixels"), Code.FAILED_PRECONDITION, 'Serving signature key "pixels" not found'),
            (request(), Code.INVALID_ARGUMENT, "Sent extra: {}. Missing but required: {x}"),
            (request(x=ROWS, a=ROWS), Code.INVALID_ARGUMENT, "Sent extra: {a}. Missing but required: {}"),
            (request(X=ROWS), Code.INVALID_ARGUMENT, "Sent extra: {X}. Missing but required: {x}"),
            (request(x=ROWS.astype(np.int64)), Code.INVALID_ARGUMENT, "x to be float but got int64"),
            (request(x=tensor(999, [1])), Code.INVALID_ARGUMENT, "x to be float but got dtype 999"),
            (request(x=ROWS[0]), Code.INVALID_ARGUMENT, "x to have shape (None, 2) but got (2,)"),
            (request(x=tensor(1, [2**40, 2], float_val=[1])), Code.INVALID_ARGUMENT, "x claims"),
            (request(signature="__saved_model_init_op"), Code.INVALID_ARGUMENT, "no tensor of the model"),
            (request(signature="read", path=b"/no/such"), Code.NOT_FOUND, "/no/such"),
            (request(signature="jpeg", jpeg=[b"\xff\xd8"]), Code.INVALID_ARGUMENT, ""),
        ],
        ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
    )
    def test_refusals(
        self, client: Client, sent: predict_pb2.PredictRequest, code: grpc.StatusCode, sentence: str
    ) -> None:
        """Each mistake of a client has TensorFlow Serving's status code and names what was wrong."""
        got, details = refused(lambda: client.prediction.Predict(sent, timeout=DEADLINE_SECONDS))
        assert (got, sentence in details) == (code, True), details

    def test_long_messages_are_cut(self, client: Client) -> None:
        """A status message fits the trailing headers, as in TensorFlow Serving."""
        code, details = refused(lambda: client.predict(name="n" * 5000))
        assert code is Code.NOT_FOUND
        assert details.endswith("...TRUNCATED")

    def test_our_own_mistakes_are_internal(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exception nobody foresaw is INTERNAL, not gRPC's UNKNOWN."""
        monkeypatch.setattr(LoadedModel, "predict", lambda *_: {}["no such key"])
        assert refused(lambda: client.predict(x=ROWS)) == (Code.INTERNAL, "KeyError: 'no such key'")

    def test_takes_and_gives_large_messages(self, client: Client) -> None:
        """Far more than gRPC's 4 MiB, in both directions."""
        answer = client.predict(x=np.ones((2**20, 2), np.float32), output_filter=("y",))
        assert len(answer.outputs["y"].float_val) == 2**21

    def test_takes_tensors_at_any_address(self, saved_models: Path) -> None:
        """A long one is computed on where it lies in its message, behind fields of any length."""
        model = LoadedModel.load("shelver", 1, saved_models / "1")
        x = np.arange(2**15, dtype=np.float32).reshape(-1, 2)
        for length in range(1, 9):
            received = read(request(length * "m", x=x, output_filter=("y",)).SerializeToString())
            assert received.contents == {"x": x.tobytes()}
            answer = model.predict(received.request, contents=received.contents)
            assert (tf.make_ndarray(answer.outputs["y"]) == x).all()

    def test_stops_at_the_deadline(self, saved_models: Path, tmp_path: Path) -> None:
        """A graph that outruns the client's deadline is stopped with DEADLINE_EXCEEDED."""
        model = LoadedModel.load("shelver", 1, saved_models / "1")
        with pytest.raises(StatusError) as caught:
            model.predict(request(signature="gate", path=str(tmp_path / "never").encode()), timeout_seconds=0.1)
        assert caught.value.code is Code.DEADLINE_EXCEEDED

    @pytest.mark.parametrize(
        ("call", "sent"),
        [
            ("Classify", classification_pb2.ClassificationRequest()),
            ("Regress", regression_pb2.RegressionRequest()),
            ("MultiInference", inference_pb2.MultiInferenceRequest()),
        ],
    )
    def test_calls_for_examples_are_refused(self, client: Client, call: str, sent: Any) -> None:
        """The tf.Example calls say that they are not served."""
        code, details = refused(lambda: getattr(client.prediction, call)(sent))
        assert code is Code.UNIMPLEMENTED
        assert details.startswith(f"{call} is not served")


class TestMetadata:
    def ask(self, client: Client, *fields: str, name: str | None = "shelver") -> Any:
        wanted = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        if name is not None:
            wanted.model_spec.name = name
        return client.prediction.GetModelMetadata(wanted, timeout=DEADLINE_SECONDS)

    def test_signatures(self, client: Client) -> None:
        """The signatures come as a SignatureDefMap in an Any, with the version they belong to."""
        answer = self.ask(client, "signature_def")
        assert (answer.model_spec.name, answer.model_spec.version.value) == ("shelver", 1)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert answer.metadata["signature_def"].Unpack(signatures)
        assert signatures.signature_def["serving_default"].inputs["x"].dtype == types_pb2.DT_FLOAT
        assert signatures.signature_def["jpeg"].method_name == "tensorflow/serving/predict"

    @pytest.mark.parametrize(
        ("fields", "name", "code"),
        [
            ((), "shelver", Code.INVALID_ARGUMENT),
            (("signature_def", "assets"), "shelver", Code.INVALID_ARGUMENT),
            (("signature_def",), "nobody", Code.NOT_FOUND),
            (("signature_def",), None, Code.INVALID_ARGUMENT),
        ],
    )
    def test_refusals(self, client: Client, fields: tuple[str, ...], name: str, code: grpc.StatusCode) -> None:
        """signature_def is the one metadata field, and it must be named."""
        assert refused(lambda: self.ask(client, *fields, name=name))[0] is code


class TestStatus:
    def test_lists_versions_newest_first(self, client: Client, publish: Callable[..., Path]) -> None:
        """Every version ever wanted is listed, with its state."""
        publish("shelver", 12)
        publish("shelver", 7)
        eventually(lambda: client.states() == {12: State.AVAILABLE, 1: State.END})
        assert list(client.states()) == [12, 1]
        assert client.status("shelver", 12).status.error_code == 0

    def test_unknown(self, client: Client) -> None:
        """An unknown model or version is NOT_FOUND, no model at all INVALID_ARGUMENT."""
        assert refused(lambda: client.states("nobody")) == (
            Code.NOT_FOUND,
            "Could not find any versions of model nobody",
        )
        assert refused(lambda: client.status("shelver", 9)) == (
            Code.NOT_FOUND,
            "Could not find version 9 of model shelver",
        )
        nothing = get_model_status_pb2.GetModelStatusRequest()
        assert refused(lambda: client.model.GetModelStatus(nothing))[0] is Code.INVALID_ARGUMENT


class TestWatching:
    def test_serves_the_newest(self, publish: Callable[..., Path], start: Callable[[], Client], models: Path) -> None:
        """Of the folders whose names are numbers the highest is served, and only that."""
        publish("shelver", 9)
        publish("shelver", "00000010", factor=2)
        publish("shelver", "11.bak")
        publish("shelver", "latest")
        (models / "shelver" / "12").write_text("a file is no version")
        client = start()
        assert client.factor() == (10, 2)
        assert client.states() == {10: State.AVAILABLE}

    def test_several_models(self, client: Client, publish: Callable[..., Path], models: Path) -> None:
        """A new model's folder is served by itself, beside the others; one without a version is passed over."""
        (models / "empty").mkdir()
        publish("other", 5, factor=2)
        assert eventually(lambda: client.factor("other")) == (5, 2)
        assert client.factor() == (1, 1)
        assert refused(lambda: client.states("empty"))[0] is Code.NOT_FOUND

    def test_swaps_without_dropping_a_request(self, client: Client, publish: Callable[..., Path]) -> None:
        """A new version replaces the old while clients hammer: every request is answered, and the old one ends."""
        answers: list[tuple[int, float]] = []
        failures: list[grpc.RpcError] = []
        enough = threading.Event()

        def hammer() -> None:
            while not enough.is_set():
                try:
                    answers.append(client.factor())
                except grpc.RpcError as error:
                    failures.append(error)

        threads = [threading.Thread(target=hammer) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: len(answers) > 10)
            publish("shelver", 2, factor=2)
            eventually(lambda: client.states() == {2: State.AVAILABLE, 1: State.END})
            switched = len(answers)
            eventually(lambda: len(answers) > switched + 10)
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert set(answers) == {(1, 1), (2, 2)}
        assert set(answers[switched + 2 :]) == {(2, 2)}

    def test_requests_in_flight_keep_their_version(
        self, client: Client, publish: Callable[..., Path], tmp_path: Path
    ) -> None:
        """A replaced version is UNLOADING while a request uses it, answers that request, and only then ends."""
        gate = tmp_path / "gate"
        slow = client.prediction.Predict.future(request(signature="gate", path=str(gate).encode()), timeout=60)
        client.factor()  # sent later on the same connection: the slow one has arrived
        publish("shelver", 2, factor=2)
        eventually(lambda: client.states() == {2: State.AVAILABLE, 1: State.UNLOADING})
        assert client.factor() == (2, 2)
        assert refused(lambda: client.factor(version=1))[0] is Code.NOT_FOUND
        gate.touch()
        assert slow.result().model_spec.version.value == 1
        eventually(lambda: client.states()[1] == State.END)

    def test_failed_requests_do_not_keep_a_version(self, client: Client, publish: Callable[..., Path]) -> None:
        """A version that refused requests, in the graph and before it, still ends when it is replaced."""
        for sent in (request(signature="jpeg", jpeg=[b"\xff\xd8"]), request(), request(signature="none")):
            refused(lambda sent=sent: client.prediction.Predict(sent))
        publish("shelver", 2)
        eventually(lambda: client.states() == {2: State.AVAILABLE, 1: State.END})

    def test_removed_version_gives_way_to_an_older_one(self, client: Client, publish: Callable[..., Path]) -> None:
        """Rolling back is removing the version: the older one is loaded, then the removed one unloaded."""
        newer = publish("shelver", 2, factor=2)
        eventually(lambda: client.factor() == (2, 2))
        newer.rename(newer.with_name(".withdrawn"))
        eventually(lambda: client.states() == {2: State.END, 1: State.AVAILABLE})
        assert client.factor() == (1, 1)

    def test_vanished_model_folder(
        self, client: Client, models: Path, publish: Callable[..., Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        """A model whose folder is gone, as when a disk is, goes on being served, with one line in the log."""
        (models / "shelver").rename(models / ".elsewhere")
        publish("other", 1)
        eventually(lambda: client.factor("other"))  # the folders were looked at, once at least
        publish("other", 2)
        eventually(lambda: client.factor("other")[0] == 2)
        assert client.factor() == (1, 1)
        assert sum("stays as it is" in record.getMessage() for record in caplog.records) == 1

    def test_emptied_model_folder(self, client: Client, models: Path) -> None:
        """A model whose folder is there but holds no version is unloaded: TensorFlow Serving's default."""
        (models / "shelver" / "1").rename(models / ".elsewhere")
        eventually(lambda: client.states() == {1: State.END})
        assert refused(client.factor)[0] is Code.NOT_FOUND

    def test_half_copied_version(
        self, client: Client, publish: Callable[..., Path], saved_models: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A folder without saved_model.pb changes nothing, is told once, and is served when it is complete."""
        folder = publish("shelver", 2, factor=2, spoil=lambda draft: (draft / "saved_model.pb").unlink())
        failed = eventually(lambda: client.status("shelver", 2).status.error_code and client.status("shelver", 2))
        assert failed.state == State.END
        assert failed.status.error_code == Code.NOT_FOUND.value[0]
        assert "no saved_model.pb" in failed.status.error_message
        (folder / "a part").touch()  # it has changed, so it is tried again, to no avail
        publish("other", 1)
        eventually(lambda: client.factor("other"))
        assert client.factor() == (1, 1)
        assert sum("shelver 2 cannot be loaded" in record.getMessage() for record in caplog.records) == 1
        shutil.copy(saved_models / "2" / "saved_model.pb", folder)
        eventually(lambda: client.states() == {2: State.AVAILABLE, 1: State.END})
        assert client.factor() == (2, 2)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda draft: (draft / "saved_model.pb").write_bytes(b"junk"),
            lambda draft: shutil.rmtree(draft / "variables"),
            lambda draft: next((draft / "variables").glob("*.data*")).write_bytes(b""),
        ],
        ids=["junk", "no variables", "cut variables"],
    )
    def test_broken_version(
        self, publish: Callable[..., Path], start: Callable[[], Client], spoil: Callable[[Path], object]
    ) -> None:
        """A version that fails to load ends with the error, and an older one is served in its place."""
        publish("shelver", 1)
        publish("shelver", 2, spoil=spoil)
        client = start()
        assert client.states() == {2: State.END, 1: State.AVAILABLE}
        assert client.status("shelver", 2).status.error_code not in (0, Code.UNKNOWN.value[0])
        assert client.factor() == (1, 1)


class TestReload:
    @pytest.fixture
    def config(self, models: Path) -> Callable[..., dict[str, Any]]:
        def make(name: str = "shelver", **more: Any) -> dict[str, Any]:
            return {"name": name, "base_path": str(models / name), "model_platform": "tensorflow", **more}

        return make

    @pytest.fixture
    def three(self, client: Client, publish: Callable[..., Path]) -> Client:
        """A client of a server with versions 1, 2 and 3, of which 3 is served."""
        publish("shelver", 2, factor=2)
        publish("shelver", 3)
        eventually(lambda: client.states().get(3) == State.AVAILABLE)
        return client

    @pytest.mark.parametrize(
        ("policy", "served"),
        [
            ({"all": {}}, {1, 2, 3}),
            ({"latest": {"num_versions": 2}}, {2, 3}),
            ({"latest": {}}, {3}),
            ({"specific": {"versions": [1]}}, {1}),
            ({"specific": {"versions": [1, 3, 99]}}, {1, 3}),
        ],
        ids=str,
    )
    def test_policies(
        self, three: Client, config: Callable[..., dict[str, Any]], policy: dict[str, Any], served: set[int]
    ) -> None:
        """When the call returns, the versions that the policy names answer, and no others."""
        answer = three.reload(config(model_version_policy=policy))
        assert answer.status.error_code == 0
        assert {number for number, state in three.states().items() if state == State.AVAILABLE} == served
        assert three.factor()[0] == max(served)
        for number in served:
            assert three.factor(version=number)[0] == number

    def test_labels(self, three: Client, config: Callable[..., dict[str, Any]]) -> None:
        """A label stands for a loaded version; labels are replaced as a whole."""
        both = config(model_version_policy={"specific": {"versions": [2, 3]}})
        three.reload(both)
        three.reload({**both, "version_labels": {"stable": 2, "canary": 3}})
        for label, number in (("stable", 2), ("canary", 3)):
            assert three.predict(x=ROWS, label=label).model_spec.version.value == number
        three.reload({**both, "version_labels": {"stable": 3}})
        assert three.predict(x=ROWS, label="stable").model_spec.version.value == 3
        assert refused(lambda: three.predict(x=ROWS, label="canary"))[0] is Code.INVALID_ARGUMENT

    def test_label_to_a_version_that_is_not_loaded(self, three: Client, config: Callable[..., dict[str, Any]]) -> None:
        """Such a label is FAILED_PRECONDITION, even when the same request would load the version; nothing changes."""
        wanted = config(model_version_policy={"all": {}}, version_labels={"stable": 2})
        code, details = refused(lambda: three.reload(wanted))
        assert code is Code.FAILED_PRECONDITION
        assert "version 2 of model shelver" in details
        assert refused(lambda: three.factor(version=2))[0] is Code.NOT_FOUND
        assert refused(lambda: three.predict(x=ROWS, label="stable"))[0] is Code.INVALID_ARGUMENT

    def test_replaces_all_models(
        self, client: Client, publish: Callable[..., Path], config: Callable[..., dict[str, Any]]
    ) -> None:
        """Models not named are unloaded, new ones are loaded, and the MODELS folder is looked through no more."""
        publish("other", 4, factor=2)
        client.reload(config("other"))
        assert client.factor("other") == (4, 2)
        eventually(lambda: client.states() == {1: State.END})
        assert refused(client.factor)[0] is Code.NOT_FOUND
        publish("third", 1)
        publish("other", 5)
        eventually(lambda: client.factor("other")[0] == 5)
        assert refused(lambda: client.factor("third"))[0] is Code.NOT_FOUND
        assert client.reload().status.error_code == 0
        assert refused(lambda: client.factor("other"))[0] is Code.NOT_FOUND

    def test_moves_a_model(self, client: Client, saved_models: Path, config: Callable[..., dict[str, Any]]) -> None:
        """The same version number in another folder is another model."""
        client.reload(config(base_path=str(saved_models), model_version_policy={"specific": {"versions": [1]}}))
        assert client.factor() == (1, 1)
        client.reload(config(base_path=str(saved_models)))
        assert client.factor() == (2, 2)

    @pytest.mark.parametrize(
        ("change", "code", "sentence"),
        [
            ({"base_path": "models/shelver"}, Code.INVALID_ARGUMENT, "absolute path"),
            ({"base_path": "/no/such/folder"}, Code.INVALID_ARGUMENT, "Could not find base path /no/such/folder"),
            ({"model_version_policy": {"specific": {"versions": [9]}}}, Code.NOT_FOUND, "numerical version"),
            ({"model_platform": ""}, Code.INVALID_ARGUMENT, "model_platform"),
            ({"model_platform": "torch"}, Code.INVALID_ARGUMENT, "torch"),
            ({"model_type": 1}, Code.INVALID_ARGUMENT, "deprecated"),
            ({"name": "other"}, Code.INVALID_ARGUMENT, "model other multiple times"),
        ],
        ids=str,
    )
    def test_refusals(
        self,
        client: Client,
        publish: Callable[..., Path],
        config: Callable[..., dict[str, Any]],
        change: dict[str, Any],
        code: grpc.StatusCode,
        sentence: str,
    ) -> None:
        """A configuration that cannot be served is refused with the reason, and all stays as it was."""
        publish("other", 1)
        eventually(lambda: client.factor("other"))
        got, details = refused(lambda: client.reload(config("other"), config() | change))
        assert (got, sentence in details) == (code, True), details
        assert client.factor() == (1, 1)
        publish("shelver", 2, factor=2)
        assert eventually(lambda: client.factor() == (2, 2)), "the folder is watched as before"

    def test_broken_model(
        self, client: Client, publish: Callable[..., Path], models: Path, config: Callable[..., dict[str, Any]]
    ) -> None:
        """When one model does not load, the others of the request are not switched either."""
        publish("shelver", 2, factor=2, spoil=lambda draft: (draft / "saved_model.pb").write_bytes(b"junk"))
        publish("other", 1)
        eventually(lambda: client.factor("other"))
        wanted = config(model_version_policy={"specific": {"versions": [2]}})
        code, details = refused(lambda: client.reload(config("other", base_path=str(models / "shelver")), wanted))
        assert code is Code.UNKNOWN
        assert "model shelver did not become available, version 2" in details
        assert client.factor() == (1, 1)
        assert client.factor("other") == (1, 1)

    def test_only_a_list_of_models(self, client: Client) -> None:
        """A request without a model_config_list is INVALID_ARGUMENT."""
        nothing = model_management_pb2.ReloadConfigRequest()
        assert refused(lambda: client.model.HandleReloadConfigRequest(nothing))[0] is Code.INVALID_ARGUMENT

    def test_deprecated_model_type(self, client: Client, config: Callable[..., dict[str, Any]]) -> None:
        """Old clients that set model_type in place of model_platform are understood."""
        assert client.reload(config(model_platform="", model_type=1)).status.error_code == 0


def put(models: Path, label: str, version: int) -> None:
    """Have MODELS/models.config name a version, in one step."""
    with labelled(models / "shelver", lambda labels: {**labels, label: version}):
        pass


class TestConfigFile:
    @pytest.fixture
    def file(self, models: Path, publish: Callable[..., Path]) -> Path:
        """MODELS/models.config with version 1 as stable and 2 as canary; 3 is published without a label."""
        for version in (1, 2, 3):
            publish("shelver", version, factor=2 if version == 2 else 1)
        for version, label in ((1, "stable"), (2, "canary")):
            put(models, label, version)
        return models / serving_config.FILE

    @pytest.fixture
    def follow(self, models: Path, file: Path) -> Iterator[Client]:
        with ModelServer(models, port=0, poll_seconds=POLL_SECONDS, config_file=file) as server:
            client = Client(server.address)
            yield client
            client.channel.close()

    def test_serves_the_labelled_versions(self, follow: Client) -> None:
        """Both at once, each under its label from the first request on, and no other version."""
        for label, number in (("stable", 1), ("canary", 2)):
            assert follow.predict(x=ROWS, label=label).model_spec.version.value == number
        assert refused(lambda: follow.factor(version=3))[0] is Code.NOT_FOUND

    def test_a_label_moves_to_what_is_loaded(
        self, follow: Client, models: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As TensorFlow Serving has it: else the whole file is refused, and the version it brings is not loaded."""
        put(models, "stable", 3)
        eventually(lambda: "label stable cannot be assigned to version 3" in caplog.text)
        time.sleep(5 * POLL_SECONDS)
        assert follow.states() == {1: State.AVAILABLE, 2: State.AVAILABLE}
        assert follow.predict(x=ROWS, label="stable").model_spec.version.value == 1
        put(models, "stable", 1)
        serving_config.load(models / "shelver", [3])
        eventually(lambda: follow.states().get(3) == State.AVAILABLE)
        put(models, "stable", 3)
        eventually(lambda: follow.predict(x=ROWS, label="stable").model_spec.version.value == 3)
        eventually(lambda: follow.states()[1] == State.END)
        assert follow.predict(x=ROWS, label="canary").model_spec.version.value == 2

    def test_a_new_label_may_wait_for_its_version(
        self, follow: Client, models: Path, publish: Callable[..., Path]
    ) -> None:
        """It names nothing until the version is there and loaded; a label that is taken away is unknown."""

        def answer(label: str) -> object:
            try:
                return follow.predict(x=ROWS, label=label).model_spec.version.value
            except grpc.RpcError as error:
                return error.code()

        with labelled(models / "shelver", without_canary):
            pass
        eventually(lambda: answer("canary") is Code.INVALID_ARGUMENT)
        put(models, "canary", 4)
        eventually(lambda: answer("canary") is Code.NOT_FOUND)
        assert answer("stable") == 1
        publish("shelver", 4, factor=2)
        eventually(lambda: answer("canary") == 4)

    def test_a_broken_file_changes_nothing(self, follow: Client, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        """It is told once, what is served stays, and a mended file is followed."""
        sound = file.read_text()
        for broken in ("model_config_list {", sound.replace("value: 2", "value: 9")):
            file.write_text(broken)
            eventually(lambda: "what is served stays" in caplog.text)
            time.sleep(5 * POLL_SECONDS)
            assert caplog.text.count("what is served stays") == 1
            assert follow.predict(x=ROWS, label="canary").model_spec.version.value == 2
            caplog.clear()
        file.write_text(sound.replace("canary", "other"))
        eventually(lambda: follow.predict(x=ROWS, label="other").model_spec.version.value == 2)

    def test_is_not_read_unless_named(self, file: Path, start: Callable[[], Client]) -> None:
        """A server of the folder serves the newest version, whatever the file says."""
        client = start()
        assert client.factor()[0] == 3
        assert refused(lambda: client.predict(x=ROWS, label="stable"))[0] is Code.INVALID_ARGUMENT

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("nonsense", "is no model config file"),
            ("model_config_list {}", "names no model"),
            (
                'model_config_list { config { name: "a" base_path: "/nowhere" model_platform: "tensorflow" } }',
                "followed",
            ),
            ('model_config_list { config { name: "a" base_path: "relative" } }', "absolute path"),
        ],
    )
    def test_cannot_start(self, content: str, told: str, models: Path) -> None:
        """A file that cannot be obeyed at the start is one sentence."""
        path = models / serving_config.FILE
        path.write_text(content)
        with pytest.raises(ServeError, match=told):
            ModelServer(models, port=0, config_file=path)


class TestWarmUp:
    @pytest.fixture
    def with_requests(self) -> Callable[..., Callable[[Path], None]]:
        def make(*records: bytes) -> Callable[[Path], None]:
            def spoil(draft: Path) -> None:
                (draft / "assets.extra").mkdir()
                with tf.io.TFRecordWriter(str(draft / "assets.extra" / "tf_serving_warmup_requests")) as writer:
                    for record in records:
                        writer.write(record)

            return spoil

        return make

    @staticmethod
    def log(sent: predict_pb2.PredictRequest) -> bytes:
        return prediction_log_pb2.PredictionLog(
            predict_log=prediction_log_pb2.PredictLog(request=sent)
        ).SerializeToString()

    def test_replays_before_serving(
        self, client: Client, publish: Callable[..., Path], tmp_path: Path, with_requests: Callable[..., Any]
    ) -> None:
        """Each recorded Predict request is answered before the version is available; others are passed over."""
        counter = tmp_path / "counter"
        counter.touch()
        append = self.log(request(signature="append", path=str(counter).encode()))
        classify = prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog()).SerializeToString()
        publish("shelver", 2, spoil=with_requests(append, classify, append, append))
        eventually(lambda: client.states().get(2) == State.AVAILABLE)
        assert counter.read_text() == "+++"

    def test_old_version_serves_meanwhile(
        self, client: Client, publish: Callable[..., Path], tmp_path: Path, with_requests: Callable[..., Any]
    ) -> None:
        """A version that is warming up is LOADING; until it is done, the old one answers."""
        gate = tmp_path / "gate"
        spoil = with_requests(self.log(request(signature="gate", path=str(gate).encode())))
        publish("shelver", 2, factor=2, spoil=spoil)
        eventually(lambda: client.states() == {2: State.LOADING, 1: State.AVAILABLE})
        assert client.factor() == (1, 1)
        assert refused(lambda: client.factor(version=2))[0] is Code.NOT_FOUND
        gate.touch()
        eventually(lambda: client.states() == {2: State.AVAILABLE, 1: State.END})

    @pytest.mark.parametrize("case", ["failing", "too many", "no log", "no records"])
    def test_failure_fails_the_version(
        self, client: Client, publish: Callable[..., Path], case: str, with_requests: Callable[..., Any]
    ) -> None:
        """A version whose warm-up fails is not served; the old one stays."""
        fine = self.log(request(x=ROWS[:1]))
        spoil = {
            "failing": with_requests(fine, self.log(request(signature="none"))),
            "too many": with_requests(*[fine] * 1001),
            "no log": with_requests(b"junk"),
            "no records": lambda draft: (
                (draft / "assets.extra").mkdir(),
                (draft / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"junk" * 99),
            ),
        }[case]
        publish("shelver", 2, factor=2, spoil=spoil)
        eventually(lambda: client.status("shelver", 2).status.error_code)
        assert client.states() == {2: State.END, 1: State.AVAILABLE}
        assert client.factor() == (1, 1)


class TestLifeCycle:
    def test_port_taken(self, models: Path, publish: Callable[..., Path]) -> None:
        """A taken port is told in one sentence with the remedy."""
        publish("shelver", 1)
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(ServeError, match=f"^port {port} on 127.0.0.1 is taken: .* choose another with --port$"):
                ModelServer(models, port=port)

    def test_port_taken_by_another_model_server(self, models: Path, publish: Callable[..., Path]) -> None:
        """Two servers never share a port, which gRPC would allow."""
        publish("shelver", 1)
        with ModelServer(models, port=0) as first:
            port = int(first.address.rpartition(":")[2])
            with pytest.raises(ServeError, match="is taken"):
                ModelServer(models, port=port)

    @pytest.mark.parametrize(("host", "remedy"), [("no-such-host.invalid", "--host"), ("192.0.2.1", "--host")])
    def test_foreign_address(self, models: Path, publish: Callable[..., Path], host: str, remedy: str) -> None:
        """An address that is not this machine's is told."""
        publish("shelver", 1)
        with pytest.raises(ServeError, match=remedy):
            ModelServer(models, host=host, port=0)

    def test_missing_folder(self, tmp_path: Path) -> None:
        """A folder that is not there is told before anything starts."""
        with pytest.raises(ServeError, match="is no folder: publish"):
            ModelServer(tmp_path / "none", port=0)

    def test_empty_folder(self, models: Path, saved_models: Path) -> None:
        """A folder without MODEL/VERSION is told, also when it is itself a model's folder."""
        for folder in (models, saved_models):
            with pytest.raises(ServeError, match=f"^{folder} holds no model: publish one with shelver-trainer publish"):
                ModelServer(folder, port=0)

    def test_nothing_loads(self, models: Path, publish: Callable[..., Path]) -> None:
        """A folder with nothing but broken models is told, with the reason."""
        publish("shelver", 3, spoil=lambda draft: (draft / "saved_model.pb").unlink())
        with pytest.raises(ServeError, match=r"no model in .* can be loaded.*shelver 3: there is no saved_model.pb"):
            ModelServer(models, port=0)

    def test_says_what_it_serves(self, models: Path, publish: Callable[..., Path]) -> None:
        """One line names the address, with the port that was chosen, and every model."""
        publish("shelver", 3)
        publish("other", 1)
        with ModelServer(models, port=0) as server:
            assert not server.address.endswith(":0")
            assert str(server) == f"serving 2 models on {server.address}: other 1, shelver 3"

    def test_stop_cancels_what_outlasts_the_grace(self, models: Path, publish: Callable[..., Path]) -> None:
        """A request that does not finish within the grace is cancelled, and the server stops."""
        publish("shelver", 1)
        others = threading.enumerate()  # of the session's own server, where it is up
        server = ModelServer(models, port=0)
        client = Client(server.address)
        slow = client.prediction.Predict.future(request(signature="gate", path=b"/no/such"), timeout=60)
        client.factor()
        server.stop(grace_seconds=0.1)
        assert slow.code() in (Code.CANCELLED, Code.UNAVAILABLE)
        eventually(lambda: not any(each.name.startswith("answer") for each in {*threading.enumerate()} - {*others}))
        client.channel.close()

    def test_a_process_of_its_own(self, models: Path, publish: Callable[..., Path], tmp_path: Path) -> None:
        """`serve` prints one line when it is ready; on SIGTERM it answers what is in flight and exits with 0."""
        publish("shelver", 3)
        command = [sys.executable, "-c", SERVE, str(models)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout
                line = process.stdout.readline()
                assert line.startswith("serving 1 model on 127.0.0.1:")
                assert line.endswith(": shelver 3\n")
                client = Client(line.split()[4].rstrip(":"))
                gate = tmp_path / "gate"
                slow = client.prediction.Predict.future(request(signature="gate", path=str(gate).encode()), timeout=60)
                client.factor()
                process.send_signal(signal.SIGTERM)
                eventually(lambda: refused_now(client))
                gate.touch()
                assert slow.result().model_spec.version.value == 3
                assert process.wait(DEADLINE_SECONDS) == 0
                client.channel.close()
            finally:
                process.kill()


def refused_now(client: Client) -> bool:
    """Whether the server takes new requests no more."""
    try:
        client.factor()
    except grpc.RpcError as error:
        return error.code() is Code.UNAVAILABLE
    return False
