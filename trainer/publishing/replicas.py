"""What the replicas of the model server say of a model, each of them by itself, over TensorFlow Serving's gRPC API."""

import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from trainer.publishing.loaded import Loaded
from worker.contract.errors import Unavailable
from worker.contract.grpc_channel import explain, open_channel
from worker.contract.serving_api import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from worker.contract.settings import Settings

Answer = TypeVar("Answer")

AVAILABLE, END = "AVAILABLE", "END"
#: what a server says of a label that it does not know, or whose version it has not loaded
NO_SUCH_LABEL = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


@dataclass(frozen=True)
class State:
    """What became of a version on one replica."""

    #: START, LOADING, AVAILABLE, UNLOADING or END, as TensorFlow Serving has it
    name: str
    #: why it could not be loaded
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.fault})" if self.fault else self.name


class Replica:
    """One model server. Every method raises Unavailable when it does not answer."""

    def __init__(self, settings: Settings, address: str, name: str):
        """`name` is what its certificate is for."""
        self.address = address
        self._settings = settings.model_copy(update={"serving_address": address})
        self._options = [("grpc.ssl_target_name_override", name)]

    def states(self, model: str) -> dict[int, State]:
        """Return the state of every version that was ever wanted, by number; empty when it knows no such model."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        try:
            answer = self._call(model_service_pb2_grpc.ModelServiceStub, "GetModelStatus", request)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return {}
            raise self._unavailable(error) from error
        kind = get_model_status_pb2.ModelVersionStatus.State
        return {
            each.version: State(kind.Name(each.state), each.status.error_message)
            for each in answer.model_version_status
        }

    def version_of(self, model: str, label: str) -> int | None:
        """Return the version that answers under a label, None when none does."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        request.model_spec.version_label = label
        try:
            answer = self._call(prediction_service_pb2_grpc.PredictionServiceStub, "GetModelMetadata", request)
        except grpc.RpcError as error:
            if error.code() in NO_SUCH_LABEL:
                return None
            raise self._unavailable(error) from error
        return int(answer.model_spec.version.value)

    def loaded(self, model: str, labels: Iterable[str]) -> Loaded:
        """Return which versions it has loaded, and what answers under these labels."""
        versions = frozenset(number for number, state in self.states(model).items() if state.name == AVAILABLE)
        answers = {label: self.version_of(model, label) for label in labels}
        return Loaded(versions, {label: version for label, version in answers.items() if version is not None})

    def lacks_version(self, model: str, version: int) -> str | None:
        """Return why a version does not answer yet, for a person; None when it is loaded."""
        state = self.states(model).get(version)
        if state is not None and state.name == AVAILABLE:
            return None
        why = state or "it has not heard of it"
        return f"the model server at {self.address} has not loaded {model} version {version}: {why}"

    def lacks_label(self, model: str, label: str, version: int | None) -> str | None:
        """Return what answers under a label in a version's stead, for a person; None when that does."""
        found = self.version_of(model, label)
        if found == version:
            return None
        return f"the model server at {self.address} has {_say(found)} of {model} as {label}, not {_say(version)}"

    def _call(self, stub: Any, method: str, request: Any) -> Any:
        with closing(open_channel(self._settings, self._options)) as channel:
            return getattr(stub(channel), method)(request, timeout=self._settings.connect_timeout_seconds)

    def _unavailable(self, error: grpc.RpcError) -> Unavailable:
        told = explain((error.details() or "")[:300], self._settings)
        return Unavailable(
            f"the model server at {self.address} does not answer (SHELVER_SERVING_ADDRESS): {error.code().name}: {told}"
        )


def replicas(settings: Settings) -> list[Replica]:
    """Return the replicas behind SHELVER_SERVING_ADDRESS: those listed, or all that its name stands for now.

    Of a name that has both, IPv4 addresses are taken alone: they are the same servers. Raises Unavailable when nobody
    knows the name.
    """
    address = settings.serving_address
    if "," in address:
        return [Replica(settings, each, each.rpartition(":")[0]) for each in address.split(",")]
    host, _, port = address.rpartition(":")
    name = host.strip("[]")
    try:
        found = {(family, place[0]) for family, *_, place in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise Unavailable(f"nobody knows the host {name} (SHELVER_SERVING_ADDRESS): {error}") from error
    first = min(family for family, _ in found)
    places = sorted(f"[{ip}]" if ":" in ip else ip for family, ip in found if family == first)
    return [Replica(settings, f"{place}:{port}", name) for place in places]


def asked(settings: Settings, question: Callable[[Replica], Answer]) -> dict[str, Answer | Unavailable]:
    """Return by address what each replica behind SHELVER_SERVING_ADDRESS answers, or that it does not."""
    answers: dict[str, Answer | Unavailable] = {}
    try:
        found = replicas(settings)
    except Unavailable as error:
        return {settings.serving_address: error}
    for each in found:
        try:
            answers[each.address] = question(each)
        except Unavailable as error:
            answers[each.address] = error
    return answers


def _say(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
