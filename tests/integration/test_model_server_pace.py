"""The model server with --pace: it computes nothing, takes its time, and workers store what it says."""

import logging
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2
from typer.testing import CliRunner

from tests.integration.test_model_server import Client, eventually, refused, request, tensor
from tests.pictures import jpeg
from trainer.cli import app
from trainer.run import Run
from trainer.serve.errors import ServeError, StatusError
from trainer.serve.pace import Device, Pace
from trainer.serve.paced import paced
from trainer.serve.requests import PREDICT
from trainer.serve.server import ModelServer
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.pictures import Stacker
from worker.serving import Serving

Code = grpc.StatusCode
SIDE = 180
#: a request has the device for longer than any test waits
FOREVER = Pace(1e300, 0)

PIXELS = np.zeros((3, SIDE, SIDE, 3), np.uint8)
OWNERS = {"product": np.array([7, 7, 8]), "picture": np.array([0, 1, 0], np.int32)}
JPEGS = tensor(types_pb2.DT_STRING, [3], string_val=[jpeg(1), jpeg(2), jpeg(3)])


@pytest.fixture(scope="module")
def fast(models_folder: Path) -> Iterator[ModelServer]:
    """A server that answers at once."""
    with ModelServer(models_folder, port=0, pace=Pace(0, 0)) as server:
        yield server


@pytest.fixture
def clients(fast: ModelServer, model_server: ModelServer) -> Iterator[tuple[Client, Client]]:
    """One of the paced server, one of the real one."""
    both = Client(fast.address), Client(model_server.address)
    yield both
    for each in both:
        each.channel.close()


@pytest.mark.parametrize("signature", Signature)
def test_workers_take_the_answers(fast: ModelServer, run: Run, signature: Signature) -> None:
    """Products of one to four pictures get categories of the model."""
    settings = Settings(serving_address=fast.address, signature=signature.name.lower())
    products = [Product(each, tuple(map(jpeg, range(each, each + each % 4 + 1)))) for each in range(1, 12)]
    batch, _ = Stacker(settings, signature, SIDE).stack(products)
    with closing(Serving(settings)) as serving:
        assert serving.model().side == SIDE
        predictions = serving.predict(batch)
    assert [each.picture_count for each in predictions] == [len(each.pictures) for each in products]
    assert {category for each in predictions for category, _ in each.candidates} == set(run.classes)
    assert len({tuple(each.candidates) for each in predictions}) == 1


@pytest.mark.parametrize(
    ("signature", "pictures"), [("serving_default", {"pixels": PIXELS}), ("jpeg", {"jpeg": JPEGS})]
)
def test_answers_have_the_models_form(
    clients: tuple[Client, Client], signature: str, pictures: dict[str, object]
) -> None:
    """Outputs have the real ones' names, dtypes, shapes and encoding, and pictures are counted as the graph does."""
    owners = {"product": np.array([-1, 2**62, -1]), "picture": np.array([-5, 3, -5], np.int32)}
    ours, real = (each.predict(signature=signature, **pictures, **owners) for each in clients)
    assert ours.model_spec == real.model_spec
    assert ours.outputs.keys() == real.outputs.keys()
    for name, proto in ours.outputs.items():
        assert not proto.tensor_content, name
        got, wanted = tf.make_ndarray(proto), tf.make_ndarray(real.outputs[name])
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), name
        assert sorted(got[0]) == sorted(wanted[0]) if name.endswith("category") else True
    assert list(ours.outputs["pictures"].int_val) == list(real.outputs["pictures"].int_val) == [1, 1, 1]


def test_counts_pictures_as_the_graph_does(clients: tuple[Client, Client]) -> None:
    """However products and pictures are mixed and repeated."""
    chance = np.random.default_rng(1)
    for rows in (0, 1, 2, 40):
        mixed = {
            "pixels": np.zeros((rows, SIDE, SIDE, 3), np.uint8),
            "product": chance.choice([-(2**63), -1, 0, 5, 2**63 - 1], rows),
            "picture": chance.choice([-(2**31), -1, 0, 1, 2**31 - 1], rows).astype(np.int32),
        }
        ours, real = (each.predict(output_filter=("pictures",), **mixed).outputs for each in clients)
        assert ours == real


@pytest.mark.parametrize(
    "sent",
    [
        request(name="nobody"),
        request(version=9, pixels=PIXELS, **OWNERS),
        request(signature="pixels", pixels=PIXELS, **OWNERS),
        request(signature="__saved_model_init_op"),
        request(),
        request(pixels=PIXELS),
        request(pixels=PIXELS, extra=PIXELS, **OWNERS),
        request(signature="jpeg", pixels=PIXELS, **OWNERS),
        request(pixels=PIXELS.astype(np.float32), **OWNERS),
        request(pixels=PIXELS[:, 1:], **OWNERS),
        request(pixels=tensor(types_pb2.DT_UINT8, [3, SIDE, SIDE, 3], tensor_content=2**17 * b"x"), **OWNERS),
        request(pixels=tensor(types_pb2.DT_UINT8, [2**40, SIDE, SIDE, 3]), **OWNERS),
        request(pixels=tensor(types_pb2.DT_UINT8, [-1, SIDE, SIDE, 3]), **OWNERS),
        request(pixels=PIXELS, **{**OWNERS, "product": np.array([7, 7, 8], np.int32)}),
        request(pixels=PIXELS, **{**OWNERS, "product": np.int64(7)}),
        request(pixels=PIXELS, **OWNERS, output_filter=("category", "shelf")),
        request(pixels=PIXELS, **OWNERS, output_filter=("score", "score")),
    ],
)
def test_refuses_as_the_model_would(clients: tuple[Client, Client], sent: predict_pb2.PredictRequest) -> None:
    """With the same status and the same sentence."""
    ours, real = (refused(lambda each=each: each.prediction.Predict(sent, timeout=30)) for each in clients)
    assert ours == real


def test_a_message_that_is_no_request(clients: tuple[Client, Client]) -> None:
    """Is refused as TensorFlow Serving's gRPC refuses it, and the next one is answered."""
    sound = request(pixels=PIXELS, **OWNERS).SerializeToString()
    for client in clients:
        send = client.channel.unary_unary(PREDICT)
        for message in (sound[:-1], sound[: len(sound) // 2], bytes(2**17)):
            assert refused(lambda send=send, message=message: send(message, timeout=30))[0] is Code.INTERNAL
        assert send(sound, timeout=30)


@pytest.mark.parametrize(
    "changed", [{"pixels": PIXELS[:2]}, {"product": np.array([7])}, {"picture": np.array([0, 1], np.int32)}]
)
def test_inputs_that_differ_in_rows(clients: tuple[Client, Client], changed: dict[str, np.ndarray]) -> None:
    """Are refused by the model, and so here."""
    for client in clients:
        code, _ = refused(lambda client=client: client.predict(**{"pixels": PIXELS, **OWNERS, **changed}))
        assert code is Code.INVALID_ARGUMENT


def test_output_filter(clients: tuple[Client, Client]) -> None:
    """Only the outputs asked for are sent."""
    answer = clients[0].predict(pixels=PIXELS, **OWNERS, output_filter=("level1_score", "pictures"))
    assert set(answer.outputs) == {"level1_score", "pictures"}


def test_ends_at_the_deadline(models_folder: Path) -> None:
    """A request waits for its time no longer than its client does, and one behind it for its turn."""
    model = paced(FOREVER)("shelver", 1, models_folder / "shelver" / "1")
    for _ in range(2):
        with pytest.raises(StatusError) as caught:
            model.predict(request(pixels=PIXELS, **OWNERS), timeout_seconds=0.05)
        assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_a_stopping_server_does_not_wait_for_paces(models_folder: Path) -> None:
    """What has not had its time within the grace is cancelled."""
    server = ModelServer(models_folder, port=0, pace=FOREVER)
    client = Client(server.address)
    slow = client.prediction.Predict.future(request(pixels=PIXELS, **OWNERS), timeout=60)
    client.states()
    server.stop(grace_seconds=0.1)
    assert slow.code() in (Code.CANCELLED, Code.UNAVAILABLE)
    client.channel.close()


def test_takes_turns(models_folder: Path, tmp_path: Path) -> None:
    """All models share the device: a request that takes no time is answered, but not once another has its turn."""
    for name in ("one", "other"):
        (tmp_path / name).symlink_to(models_folder / "shelver")
    nothing = request("other", pixels=PIXELS[:0], **{name: each[:0] for name, each in OWNERS.items()})
    with ModelServer(tmp_path, port=0, pace=Pace(0, 1e300)) as server:
        client = Client(server.address)
        assert client.prediction.Predict(nothing, timeout=30).outputs["pictures"].int_val == []
        endless = client.prediction.Predict.future(request("one", pixels=PIXELS, **OWNERS), timeout=60)
        eventually(lambda: waits(client, nothing))
        assert endless.running()  # and is not let go, which would cancel it
        client.channel.close()


def waits(client: Client, sent: predict_pb2.PredictRequest) -> bool:
    """Whether a request has not been answered within a moment."""
    try:
        client.prediction.Predict(sent, timeout=0.2)
    except grpc.RpcError as error:
        return error.code() is Code.DEADLINE_EXCEEDED
    return False


class TestDevice:
    def test_one_at_a_time(self) -> None:
        """A request begins when the one before is done, or when it comes."""
        device = Device()
        assert [device.done_at(now, 5, 100) for now in (10, 11, 12, 40)] == [15, 20, 25, 45]

    def test_takes_no_turn_after_its_deadline(self) -> None:
        """So that the next has it, while one whose deadline ends within its turn has the device to its end."""
        device = Device()
        assert device.done_at(0, 10, 100) == 10
        assert device.done_at(1, 10, 9) == math.inf
        assert device.done_at(2, 10, 15) == 20
        assert device.done_at(3, 10, 100) == 30

    @pytest.fixture
    def hasty_threads(self) -> Iterator[None]:
        """Python goes from thread to thread wherever it can."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(usual)

    @pytest.mark.usefixtures("hasty_threads")
    def test_many_threads(self) -> None:
        """No two have the same turn."""
        device = Device()
        with ThreadPoolExecutor(16) as threads:
            done = threads.map(lambda _: [device.done_at(0, 1, math.inf) for _ in range(500)], range(16))
        assert sorted(each for turns in done for each in turns) == list(range(1, 8001))


class TestPace:
    @pytest.mark.parametrize(
        ("text", "said"), [("5,0.361", "5 ms + 0.361 ms"), ("0,0", "0 ms + 0 ms"), (" 1e1 , 2", "10 ms + 2 ms")]
    )
    def test_read(self, text: str, said: str) -> None:
        """Two numbers of milliseconds."""
        assert str(Pace.read(text)) == f"paced at {said} a picture: answers are not the model's"

    def test_grows_with_pictures(self) -> None:
        """128 pictures at 5,0.361 are 2,500 a second."""
        assert Pace.read("5,0.361").seconds(128) == pytest.approx(0.051208)

    @pytest.mark.parametrize("text", ["x", "1", "", "1,2,3", "-1,2", "nan,1", "inf,0", "1;2"])
    def test_bad_ones_are_told_in_a_sentence(self, text: str, models_folder: Path) -> None:
        """Before anything is loaded."""
        made = CliRunner().invoke(app, ["serve", str(models_folder), "--port", "0", "--pace", text])
        assert made.exit_code == 2
        told = " ".join(made.stderr.replace("│", " ").split())
        assert f"{text!r} must be ALPHA,BETA: two numbers of milliseconds, 0 or more, such as 5,0.361" in told


def test_says_that_answers_are_not_the_models(models_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the line that it starts with, and in the log, once the warm-up has run."""
    caplog.set_level(logging.INFO, "trainer.serve")
    with ModelServer(models_folder, port=0, pace=Pace(5, 0.361)) as server:
        told = "paced at 5 ms + 0.361 ms a picture: answers are not the model's"
        assert str(server) == f"serving 1 model on {server.address}: shelver 1, {told}"
    assert [each.message for each in caplog.records if each.levelname == "WARNING"] == [
        f"{told}; this is for benchmarks, never for production"
    ]
    assert "shelver 1: loaded, 10 warm-up requests answered" in caplog.messages


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    """Only Shelver's have rows that belong to products."""
    model = tf.Module()
    model.double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(model, str(tmp_path / "foreign" / "1"), signatures=model.double)
    with pytest.raises(ServeError, match="foreign 1 is none of Shelver's models.*only these can be served with --pace"):
        ModelServer(tmp_path, port=0, pace=Pace(0, 0))
