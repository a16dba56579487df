"""TensorFlow Serving's files, read as it reads them, and compared with what Shelver sends and publishes."""

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from trainer.publishing import serving_config
from trainer.publishing.export import BATCH_SIZES
from worker.contract.settings import Settings

FOLDER = Path("deploy/serving")
Field = descriptor_pb2.FieldDescriptorProto

#: tensorflow-serving-api has no modules of these two, so they are declared here, field by field as TensorFlow Serving's
#: session_bundle_config.proto and monitoring_config.proto do; a type with a dot is a message
MESSAGES: dict[str, dict[str, str | int]] = {
    "BatchingParameters": {
        "max_batch_size": ".google.protobuf.Int64Value",
        "batch_timeout_micros": ".google.protobuf.Int64Value",
        "max_enqueued_batches": ".google.protobuf.Int64Value",
        "num_batch_threads": ".google.protobuf.Int64Value",
        "thread_pool_name": ".google.protobuf.StringValue",
        "allowed_batch_sizes": Field.TYPE_INT64,
        "pad_variable_length_inputs": Field.TYPE_BOOL,
        "enable_large_batch_splitting": ".google.protobuf.BoolValue",
        "max_execution_batch_size": ".google.protobuf.Int64Value",
    },
    "PrometheusConfig": {"enable": Field.TYPE_BOOL, "path": Field.TYPE_STRING},
    "MonitoringConfig": {"prometheus_config": ".tensorflow.serving.PrometheusConfig"},
}
REPEATED = {"allowed_batch_sizes"}


def messages() -> dict[str, type[Message]]:
    """Return the classes of MESSAGES by name."""
    file = descriptor_pb2.FileDescriptorProto(name="declared.proto", package="tensorflow.serving", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            added = message.field.add(name=field, number=number, label=Field.LABEL_OPTIONAL)
            added.label = Field.LABEL_REPEATED if field in REPEATED else Field.LABEL_OPTIONAL
            if isinstance(kind, str):
                added.type, added.type_name = Field.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in MESSAGES
    }


@pytest.fixture(scope="module")
def batching():
    """batching.config."""
    return text_format.Parse((FOLDER / "batching.config").read_bytes(), messages()["BatchingParameters"]())


def test_batches_have_the_sizes_that_a_published_model_was_warmed_for(batching) -> None:
    """Else the first batch of a size is slow; and the last size is the largest batch, as TensorFlow Serving demands."""
    assert tuple(batching.allowed_batch_sizes) == BATCH_SIZES
    assert BATCH_SIZES[-1] == batching.max_batch_size.value


def test_a_call_of_a_worker_fits_into_one_batch(batching) -> None:
    """A larger one is refused, and a divided one would cut a product in two."""
    settings = Settings()
    assert settings.max_batch_pictures == batching.max_batch_size.value
    assert batching.HasField("enable_large_batch_splitting")
    assert not batching.enable_large_batch_splitting.value


def test_a_full_queue_is_answered_before_workers_give_up(batching) -> None:
    """The comment on max_enqueued_batches holds: its picture rate, and its gigabytes."""
    pictures = batching.max_enqueued_batches.value * batching.max_batch_size.value
    told = (FOLDER / "batching.config").read_text()
    assert f"does {pictures / Settings().predict_timeout_seconds:.0f} pictures a second" in told
    assert f"are {pictures * 180 * 180 * 3 / 1e9:.1f} GB" in told


def test_as_many_batches_at_once_as_somebody_chose(batching) -> None:
    """The default is the cores of the whole machine, whatever share of it a container has."""
    assert 1 <= batching.num_batch_threads.value <= 8


def test_batching_adds_little_to_the_wait_of_a_person(batching) -> None:
    """`new` promises a second."""
    assert 0 < batching.batch_timeout_micros.value <= 20_000


def test_prometheus_is_answered_where_it_asks() -> None:
    """The path is the one that is scraped."""
    config = text_format.Parse((FOLDER / "monitoring.config").read_bytes(), messages()["MonitoringConfig"]())
    assert config.prometheus_config.enable
    scraped = Path("deploy/monitoring/prometheus.yml").read_text()
    assert f"metrics_path: {config.prometheus_config.path}" in scraped


def test_before_anything_is_published_there_is_no_model() -> None:
    """The server starts with an empty list, and goes from one model_config_list to another, and to nothing else."""
    config = text_format.Parse((FOLDER / "models.config").read_bytes(), ModelServerConfig())
    assert config.WhichOneof("config") == "model_config_list"
    assert not config.model_config_list.config


def test_the_trainer_goes_on_with_the_first_file(tmp_path: Path) -> None:
    """What it publishes is added to the copy that MODELS holds."""
    path = tmp_path / serving_config.FILE
    path.write_bytes((FOLDER / "models.config").read_bytes())
    labelled = serving_config.with_labels(serving_config.read(path), tmp_path / "shelver", {"stable": 1})
    assert [dict(model.version_labels) for model in labelled.model_config_list.config] == [{"stable": 1}]
