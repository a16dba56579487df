"""TFRecords written without TensorFlow are those that TensorFlow reads."""

from pathlib import Path

import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.prepare import tfrecord

FEATURES = st.dictionaries(
    st.text(min_size=1, max_size=20),
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.lists(st.binary(max_size=300), max_size=4)),
    max_size=4,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FEATURES, min_size=1, max_size=4))
def test_tensorflow_reads_what_is_written(tmp_path: Path, examples: list[dict[str, int | list[bytes]]]) -> None:
    """Any integers and bytes, names of any alphabet, lengths beyond one varint byte."""
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"".join(tfrecord.record(tfrecord.example(each)) for each in examples))
    read = [tf.train.Example.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(path))]
    for found, expected in zip(read, examples, strict=True):
        values = {
            name: feature.int64_list.value[0] if feature.HasField("int64_list") else list(feature.bytes_list.value)
            for name, feature in found.features.feature.items()
        }
        assert values == expected
