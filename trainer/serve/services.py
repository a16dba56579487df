"""TensorFlow Serving's two gRPC services over the models, and how an error becomes a status."""
# ruff: noqa: N802  (gRPC names its methods)

import functools
import logging
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from trainer.serve import config
from trainer.serve.errors import StatusError
from trainer.serve.models import Models
from trainer.serve.requests import Received

SIGNATURE_FIELD = "signature_def"
#: a status travels in the trailing headers, which have little room; TensorFlow Serving cuts here too
MAX_MESSAGE_LENGTH = 1024

logger = logging.getLogger("trainer.serve")

Method = Callable[[Any, Any, grpc.ServicerContext], Message]


def _answering(method: Method) -> Method:
    """Answer a StatusError with its status, and any other exception with INTERNAL, never UNKNOWN."""

    @functools.wraps(method)
    def answer(self: object, request: Message, context: grpc.ServicerContext) -> Message:
        try:
            return method(self, request, context)
        except StatusError as fault:
            code, message = fault.code, fault.message
        except Exception as error:
            logger.exception("%s failed", method.__name__)
            code, message = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        cut = f"{message[:MAX_MESSAGE_LENGTH]}...TRUNCATED" if len(message) > MAX_MESSAGE_LENGTH else message
        return context.abort(code, cut)

    return answer


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def _refuse(call: str) -> NoReturn:
    raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"{call} is not served here: send Predict")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the calls for tf.Example are refused."""

    def __init__(self, models: Models):
        self._models = models

    @_answering
    def Predict(self, received: Received, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        """Run a signature of a model, at most until the client's deadline."""
        _check_spec(received.request)
        model = self._models.find(received.request.model_spec)
        return model.predict(received.request, context.time_remaining(), received.contents)

    @_answering
    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, _: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Return the signatures of a model, the only metadata there is."""
        _check_spec(request)
        unknown = [field for field in request.metadata_field if field != SIGNATURE_FIELD]
        if unknown:
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, f"Metadata field {unknown[0]} is not supported")
        if not request.metadata_field:
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, f"metadata_field must name {SIGNATURE_FIELD}")
        model = self._models.find(request.model_spec)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = model.name
        response.model_spec.version.value = model.version
        response.metadata[SIGNATURE_FIELD].Pack(signatures)
        return response

    @_answering
    def Classify(self, _: classification_pb2.ClassificationRequest, __: grpc.ServicerContext) -> Message:
        """Refuse: the models here take tensors."""
        _refuse("Classify")

    @_answering
    def Regress(self, _: regression_pb2.RegressionRequest, __: grpc.ServicerContext) -> Message:
        """Refuse: the models here take tensors."""
        _refuse("Regress")

    @_answering
    def MultiInference(self, _: inference_pb2.MultiInferenceRequest, __: grpc.ServicerContext) -> Message:
        """Refuse: the models here take tensors."""
        _refuse("MultiInference")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """What is served, and the order to serve something else."""

    def __init__(self, models: Models):
        self._models = models

    @_answering
    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, _: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Return the state of one version or, newest first, of all."""
        _check_spec(request)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._models.status(request.model_spec):
            status = response.model_version_status.add(version=version.number, state=version.state)
            status.status.error_code = version.fault.code.value[0] if version.fault else 0
            status.status.error_message = version.fault.message if version.fault else ""
        return response

    @_answering
    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, _: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serve other models; answer when they are loaded."""
        models, labels = config.read(request.config)
        logger.info(
            "asked to serve %s", ", ".join(f"{model.name} from {model.folder}" for model in models) or "nothing"
        )
        self._models.reload(models, labels)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.error_code = 0  # set, as TensorFlow Serving sets it
        return response
