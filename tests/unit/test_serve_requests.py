"""How the model server reads requests off the wire: as protobuf does, but for the copies."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from trainer.serve.requests import read
from worker.wire import Pixels

PIXELS = np.arange(3 * 2**17, dtype=np.int64).astype(np.uint8)
LONG = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8, tensor_content=PIXELS.tobytes())


def request(**inputs: tensor_pb2.TensorProto | np.ndarray) -> predict_pb2.PredictRequest:
    """A request with fields before and after the inputs, as TensorFlow's own clients make it."""
    made = predict_pb2.PredictRequest(output_filter=("score",))
    made.model_spec.name = "shelver"
    for name, value in inputs.items():
        made.inputs[name].CopyFrom(value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value))
    return made


def of_worker() -> bytes:
    """A request as it leaves a worker."""
    pictures = Pixels()
    for data in (PIXELS[: len(PIXELS) // 2], PIXELS[len(PIXELS) // 2 :]):
        pictures.append(data.tobytes(), 2**8, 2**8)
    return pictures.request(request(product=np.arange(2)).SerializeToString())


def field(tag: int, content: bytes) -> bytes:
    """A field on the wire."""
    length = len(content)
    size = bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([tag, *size, length]) + content


def whole(message: bytes) -> predict_pb2.PredictRequest:
    """The request that a message holds, with the content that was kept out of it."""
    received = read(message)
    for name, content in received.contents.items():
        received.request.inputs[name].tensor_content = bytes(content)
    return received.request


def outcome(call: Callable[[bytes], predict_pb2.PredictRequest], message: bytes) -> predict_pb2.PredictRequest | None:
    """What it returns; nothing when it refuses the message."""
    try:
        return call(message)
    except DecodeError:
        return None


@pytest.mark.parametrize(
    "inputs", [{"x": LONG}, {"x": LONG, "a": np.arange(9), "z": np.arange(9)}, {"x": LONG, "y": LONG}]
)
def test_a_long_tensor_is_not_copied(inputs: dict[str, tensor_pb2.TensorProto | np.ndarray]) -> None:
    """The first one, whatever is before and behind it."""
    sent = request(**inputs)
    message = sent.SerializeToString()
    (content,) = read(message).contents.values()
    assert content.obj is message
    assert content == LONG.tensor_content
    assert whole(message) == sent


def test_what_workers_send_is_not_copied() -> None:
    """They write pixels first, in the request and in their input."""
    message = of_worker()
    assert read(message).contents == {"pixels": LONG.tensor_content}
    assert whole(message) == predict_pb2.PredictRequest.FromString(message)


@pytest.mark.parametrize(
    "sent",
    [
        request(),
        request(x=PIXELS[:9]),
        request(x=tensor_pb2.TensorProto(version_number=-1, tensor_content=LONG.tensor_content, int_val=[1])),
        request(x=tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=30 * [2**12 * b"x"])),
        request(x=tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[2**17 * b"x"])),
        predict_pb2.PredictRequest(output_filter=20 * ["score"], inputs={"x": LONG}),
        predict_pb2.PredictRequest(),
    ],
)
def test_every_request_is_what_protobuf_reads(sent: predict_pb2.PredictRequest) -> None:
    """Whatever is long in it, if anything is."""
    assert whole(sent.SerializeToString()) == sent


INPUT, NAME, VALUE, CONTENT = 0x12, b"\x0a\x01x", 0x12, field(0x22, LONG.tensor_content)
SHORT, DTYPE = field(0x22, b"1"), b"\x08\x04"
SIX_BYTES_LONG = b"\x22\x80\x80\x88\x80\x80\x00" + LONG.tensor_content


@pytest.mark.parametrize(
    "message",
    [
        field(INPUT, NAME + field(VALUE, CONTENT)) + field(INPUT, NAME + field(VALUE, SHORT)),
        field(INPUT, NAME + field(VALUE, SHORT)) + field(INPUT, NAME + field(VALUE, CONTENT)),
        field(INPUT, NAME + field(VALUE, CONTENT) + field(VALUE, DTYPE)),
        field(INPUT, NAME + field(VALUE, DTYPE) + field(VALUE, CONTENT)),
        field(INPUT, NAME + field(VALUE, CONTENT + SHORT)),
        field(INPUT, NAME + field(VALUE, CONTENT + field(0x22, b""))),
        field(INPUT, NAME + NAME + field(VALUE, CONTENT)),
        field(INPUT, NAME + b"\x10\x01" + field(VALUE, CONTENT)),
        field(INPUT, NAME + field(VALUE, SIX_BYTES_LONG)),
        field(INPUT, NAME + field(VALUE, b"\x0b" + CONTENT)),
        field(INPUT, b"\x0a\x01\xff" + field(VALUE, CONTENT)),
    ],
)
def test_what_no_client_writes_is_protobufs_to_read(message: bytes) -> None:
    """Inputs, values, contents and names that are there twice, not at all, or damaged."""
    expected = outcome(predict_pb2.PredictRequest.FromString, message)
    assert outcome(whole, message) == expected
    assert expected is None or not read(message).contents


@pytest.mark.parametrize(
    "message",
    [
        field(INPUT, field(VALUE, CONTENT) + NAME),
        field(INPUT, field(VALUE, CONTENT)),
        field(INPUT, NAME + field(VALUE, CONTENT + DTYPE)) + field(INPUT, b"\x0a\x01y" + field(VALUE, CONTENT)),
        b"\x7a\x01?" + field(INPUT, NAME + field(VALUE, DTYPE + b"\x78\x05" + CONTENT)) + b"\x1a\x01y",
    ],
)
def test_the_order_of_fields_is_free(message: bytes) -> None:
    """As protobuf has it; and those of a later version are passed over."""
    assert list(read(message).contents.values()) == [LONG.tensor_content]
    assert whole(message) == predict_pb2.PredictRequest.FromString(message)


@pytest.mark.parametrize("sound", [request(x=LONG, product=np.arange(9)).SerializeToString(), of_worker()])
def test_damage(sound: bytes) -> None:
    """A message that is cut short or changed anywhere is read, or refused, as protobuf does it."""
    places = [*range(120), *range(len(sound) - 120, len(sound))]
    for damaged in [sound[:each] for each in places] + [
        sound[:each] + bytes([change]) + sound[each + 1 :] for each in places for change in (0, 0x12, 0x80, 0xFF)
    ]:
        assert outcome(whole, damaged) == outcome(predict_pb2.PredictRequest.FromString, damaged)
