"""The channel to the model server: as large as the model's messages, opened late, told why it was refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from tests.pictures import encode, stacked
from worker.channel import LARGEST_MESSAGE_BYTES, Channel, Limits, limits
from worker.contract.serving_api import predict_pb2
from worker.contract.settings import Settings
from worker.model import Model
from worker.pictures import Batch
from worker.serving import Refused, Serving
from worker.tensors import to_proto
from worker.wire import Encoded, Pictures

MEGABYTE = 2**20


def request_bytes(pictures: Pictures, rows: int) -> int:
    """A whole request's size on the wire, with names as long as they may be."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "m" * 100, "serving_default"
    owners = (("product", np.full(rows, -1, np.int64)), ("picture", np.full(rows, 4095, np.int32)))
    for key, values in owners:
        request.inputs[key].CopyFrom(to_proto(values))
    return len(pictures.request(request.SerializeToString()))


@pytest.mark.parametrize(("rows", "side"), [(1, 32), (128, 180), (64, 384)])
def test_the_largest_batch_of_pixels_fits(rows: int, side: int) -> None:
    """The limit holds a full batch and little more."""
    size = request_bytes(stacked(np.zeros((rows, side, side, 3), np.uint8)), rows)
    found = limits(Settings(max_batch_pictures=rows, max_pictures=1), Model(1, side)).request_bytes
    assert size < found <= max(size + 2 * MEGABYTE, Limits().request_bytes)


def test_the_largest_batch_of_jpegs_fits() -> None:
    """Pictures as large as they may be stored, or the noise that PNG cannot make smaller."""
    settings = Settings(signature="jpeg", max_batch_pictures=4, max_pictures=4, max_picture_bytes=3 * MEGABYTE)
    noise = np.random.default_rng(1).integers(0, 256, (600, 600, 3), np.uint8)
    from PIL import Image

    png = encode(Image.fromarray(noise), "PNG", compress_level=1)
    for picture in (b"x" * settings.max_picture_bytes, png):
        assert request_bytes(Encoded([picture] * 4), 4) < limits(settings, Model(1, 600)).request_bytes
    tiny = Settings(signature="jpeg", max_batch_pictures=4, max_pictures=4, max_picture_bytes=1)
    assert request_bytes(Encoded([png] * 4), 4) < limits(tiny, Model(1, 600)).request_bytes


def test_a_model_that_does_not_say_its_side_gets_room_for_any_picture() -> None:
    """A picture that is not plain JPEG travels at its own size then."""
    settings = Settings(signature="jpeg", max_batch_pictures=1, max_pictures=1, max_picture_pixels=2_000_000)
    assert limits(settings, Model(1, None)).request_bytes > 3 * 2_000_000


def test_an_answer_fits_however_it_is_written() -> None:
    """Ids as long as they get, one after the other, for every row and level."""
    settings, scores = Settings(), 3 * 500
    response = predict_pb2.PredictResponse()
    for level in ("", "level2_", "level1_"):
        response.outputs[f"{level}category"].int64_val.extend([-1] * (128 * 500))
        response.outputs[f"{level}score"].float_val.extend([0.5] * (128 * 500))
    found = limits(settings, Model(1, 180, scores)).answer_bytes
    assert response.ByteSize() < found < 2 * response.ByteSize()
    assert limits(settings, Model(1, 180, None)).answer_bytes > found
    assert limits(settings, Model(1, 180, 3)).answer_bytes == Limits().answer_bytes


def test_no_limit_is_larger_than_a_message_can_be() -> None:
    """protobuf writes 2 GiB; a larger batch is cut, not sent."""
    settings = Settings(signature="jpeg", max_batch_pictures=4096, max_picture_bytes=2**40)
    assert limits(settings, Model(1, None, 10**9)) == Limits(LARGEST_MESSAGE_BYTES, LARGEST_MESSAGE_BYTES)


def test_nothing_is_opened_before_the_first_call() -> None:
    """A channel that was opened before a fork would hang in the child; fitting it and closing it open none either."""
    channel = Channel(Settings())
    channel.fit(Model(1, 180, 30))
    channel.close()
    assert channel._opened is None


def test_a_channel_is_opened_anew_when_its_messages_grow_and_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it stays, whatever the model says of itself."""
    channel = Channel(Settings())
    channel.call("Predict")
    first = channel._opened
    channel.fit(Model(1, 180, 30))
    channel.call("Predict")
    second = channel._opened
    channel.fit(Model(2, 180, 30))
    channel.call("Predict")
    assert first is not second is channel._opened
    monkeypatch.setattr("worker.channel.LIFE_SECONDS", -1)
    channel.call("Predict")
    assert channel._opened is not second
    channel.close()


class Refusing(grpc.GenericRpcHandler):
    """A server that refuses everything, at length."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "node é failed " + "x" * 50_000)
            return b""

        return grpc.unary_unary_rpc_method_handler(refuse)


@pytest.fixture
def refusing() -> Iterator[str]:
    options = (("grpc.max_metadata_size", MEGABYTE), ("grpc.so_reuseport", 0))
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Refusing()], options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_a_refusal_with_a_long_reason_is_one(refusing: str) -> None:
    """gRPC's own limit would make RESOURCE_EXHAUSTED of it, and the page would wait for a server that is well."""
    client = Serving(Settings(serving_address=refusing))
    batch = Batch([], stacked(np.zeros((1, 2, 2, 3), np.uint8)), np.array([5], np.int64), np.array([0], np.int32))
    with pytest.raises(Refused, match="^node é failed x{200}"):
        client.predict(batch)
    client.close()
