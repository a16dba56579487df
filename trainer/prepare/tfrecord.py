"""Write TFRecord files of tf.train.Example without TensorFlow: its import would cost every process 3 s and 580 MB.

The formats: tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of it, data, masked CRC-32C of it) and
tensorflow/core/example/example.proto. A test reads them back with TensorFlow.
"""

from collections.abc import Mapping, Sequence
from struct import pack

import google_crc32c

#: field 1 and field 2 with a length, as protobuf tags them
_FIRST, _SECOND = b"\x0a", b"\x12"
#: tf.train.Feature: bytes_list = 1, int64_list = 3
_BYTES_LIST, _INT64_LIST = b"\x0a", b"\x1a"


def record(data: bytes) -> bytes:
    """Return one record of a TFRecord file."""
    length = pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def example(features: Mapping[str, int | Sequence[bytes]]) -> bytes:
    """Return a serialised tf.train.Example of integers and lists of bytes; features in order of name."""
    entries = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, int):
            feature = _INT64_LIST + _sized(_FIRST + _sized(_varint(value)))
        else:
            feature = _BYTES_LIST + _sized(b"".join(_FIRST + _sized(each) for each in value))
        entries.append(_FIRST + _sized(_FIRST + _sized(name.encode()) + _SECOND + _sized(feature)))
    return _FIRST + _sized(b"".join(entries))


def _checksum(data: bytes) -> bytes:
    value = google_crc32c.value(data)
    return pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    if value < 0:  # two's complement in 64 bits, as protobuf has it
        value += 2**64
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
