"""What each process loads: TensorFlow belongs to the trainer alone, and its import is 3 seconds and 580 MB."""

import subprocess
import sys

import pytest


def modules_after(statements: str) -> set[str]:
    """Run statements in a fresh interpreter; return the names of the modules it has loaded then."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statements}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_worker_never_loads_tensorflow() -> None:
    """All of the worker, its tasks included, has the official stubs and not TensorFlow's Python."""
    loaded = modules_after("import worker.serving, worker.pipeline, worker.tasks, worker.cli")
    assert {"tensorflow_serving.apis.predict_pb2", "worker.pipeline"} <= loaded
    assert not {name for name in loaded if name.startswith(("tensorflow.python", "keras"))}
    assert "tensorflow" not in loaded  # the bare package that stood for it is gone


def test_a_workers_children_carry_no_command_but_their_own() -> None:
    """What a worker has imported when it forks is in the memory of every child."""
    loaded = modules_after("import worker.cli, worker.logs, worker.schema, worker.tasks, celery.bin.worker")
    assert "worker.schema" in loaded
    assert not tops(loaded) & {"alembic", "mako", "prompt_toolkit", "flower", "pandas", "pyarrow"}


def test_the_producer_loads_no_tensorflow_grpc_or_pillow() -> None:
    """The catalog system imports it into its own process: it must stay small."""
    loaded = modules_after("from producer import enqueue; import producer.cli")
    assert "producer.cli.serving" in loaded
    assert not tops(loaded) & {"tensorflow", "tensorflow_serving", "keras", "grpc", "PIL"}
    assert not tops(loaded) & {"fastapi", "uvicorn", "limits"}  # an extra


def test_the_catalog_systems_calls_load_nothing() -> None:
    """Django or FastAPI may import them anywhere: what a call needs is loaded by the first call."""
    loaded = modules_after(
        "from producer import Queue, QueueUnavailable, Reason, Standing, Status, Unavailable, enqueue, status"
    )
    libraries = {"celery", "kombu", "redis", "pymongo", "bson", "sqlalchemy", "pydantic", "fastapi", "typer", "numpy"}
    assert "producer.calls" in loaded
    assert not tops(loaded) & {*libraries, "tensorflow", "tensorflow_serving", "keras", "grpc", "PIL"}


def test_the_catalog_systems_calls_are_imported_faster_than_celery() -> None:
    """The best of three in fresh interpreters each: a web process that never calls them pays next to nothing."""

    def seconds(statement: str) -> float:
        timed = f"import time; begun = time.perf_counter(); {statement}; print(time.perf_counter() - begun)"
        arguments = [sys.executable, "-c", timed]
        return min(float(subprocess.run(arguments, capture_output=True, check=True).stdout) for _ in range(3))

    assert seconds("from producer import enqueue, status") < seconds("from celery import Celery")


def test_the_contract_loads_no_process() -> None:
    """What everybody imports brings nobody's libraries along."""
    names = "product messages signature taxonomy tables settings dump database rejects broker command address errors"
    loaded = modules_after(f"import {', '.join(f'worker.contract.{name}' for name in names.split())}")
    assert not tops(loaded) & {"tensorflow", "tensorflow_serving", "keras", "grpc", "PIL", "celery"}
    assert {name for name in loaded if name.startswith("worker.") and not name.startswith("worker.contract")} == set()


def test_commands_start_without_tensorflow() -> None:
    """`shelver-trainer --help` answers at once: TensorFlow is loaded by the command that needs it."""
    assert not tops(modules_after("import trainer.cli")) & {"tensorflow", "keras", "tensorflow_serving", "celery"}


@pytest.mark.parametrize("first", ["worker.contract.serving_api", "tensorflow"])
def test_tensorflow_can_be_imported_too(first: str) -> None:
    """Before or after the stubs, the real TensorFlow works in the same process, and both share one set of messages."""
    second = "tensorflow" if first == "worker.contract.serving_api" else "worker.contract.serving_api"
    statements = f"""
import {first}
import {second}
import tensorflow as tf
from worker.contract.serving_api import predict_pb2
request = predict_pb2.PredictRequest()
request.inputs["x"].CopyFrom(tf.make_tensor_proto(tf.constant([1.5]) * 2))
assert tf.make_ndarray(request.inputs["x"]).tolist() == [3.0]
"""
    loaded = modules_after(statements)
    assert "tensorflow.python" in loaded
    assert "worker.contract.serving_api" in loaded
