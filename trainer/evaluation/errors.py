"""Why a run cannot be judged."""

from worker.contract.errors import ShelverError


class EvaluationError(ShelverError):
    """The run cannot be judged, or the report cannot be written."""
