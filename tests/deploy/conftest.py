"""The model server of the integration tests, for what is deployed beside it."""

from tests.integration.conftest import classifier, model_server, models_folder, run

__all__ = ["classifier", "model_server", "models_folder", "run"]
