"""TensorFlow Serving's official stubs, imported without TensorFlow.

`tensorflow_serving.apis` imports `tensorflow.core...` for a few protobuf messages, and that runs all of
TensorFlow: 3 s and 580 MB a process, against 0.1 s and 34 MB this way. While the stubs are imported, a bare
package object stands for `tensorflow`: it has a search path and no code, so only the messages are loaded.
"""

import importlib.util
import sys
import types

if "tensorflow" in sys.modules:  # whoever has it already need not be tricked
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
else:
    _spec = importlib.util.find_spec("tensorflow")
    if _spec is None or _spec.submodule_search_locations is None:
        raise ImportError("tensorflow is not installed: pip install 'shelver[worker]'")
    _bare = types.ModuleType("tensorflow")
    _bare.__path__ = list(_spec.submodule_search_locations)
    sys.modules["tensorflow"] = _bare
    try:
        from tensorflow_serving.apis import (
            get_model_metadata_pb2,
            get_model_status_pb2,
            model_service_pb2_grpc,
            predict_pb2,
            prediction_service_pb2_grpc,
        )
    finally:
        # Removed afterwards: a later `import tensorflow` must find the real one.
        del sys.modules["tensorflow"]

from tensorflow.core.framework import tensor_pb2, types_pb2

__all__ = [
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "model_service_pb2_grpc",
    "predict_pb2",
    "prediction_service_pb2_grpc",
    "tensor_pb2",
    "types_pb2",
]
