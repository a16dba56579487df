"""How things go wrong: a status code and a sentence for clients, one sentence for whoever starts the server."""

import grpc
import tensorflow as tf

from worker.contract.errors import ShelverError

CODES = {code.value[0]: code for code in grpc.StatusCode}
#: TensorFlow starts every error of a graph with this; TensorFlow Serving's clients do not see it
PREAMBLE = "Graph execution error:\n\n"


class ServeError(ShelverError):
    """The server cannot start; one sentence with the remedy."""


class StatusError(Exception):
    """The gRPC status that a request is refused with, or that a version failed to load with."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message

    def without_traceback(self) -> "StatusError":
        """Return an equal one to keep: a traceback would keep the frames, and with them the model, alive."""
        return StatusError(self.code, self.message)


def from_tensorflow(error: tf.errors.OpError) -> StatusError:
    """Return the status for an error of TensorFlow; its codes and gRPC's are the same numbers."""
    return StatusError(
        CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), (error.message or "").removeprefix(PREAMBLE)
    )
