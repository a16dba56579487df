"""A page as the worker's main process sees it, which lives when the child that has the page dies."""

from collections.abc import Callable
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker import state
from celery.worker.request import Request


class PageRequest(Request):
    """A page in a child's hands. Whatever becomes of it, its message is acknowledged or goes back; none is deleted."""

    #: is told the id of a page whose child has died, or was killed at the hard time limit
    tell_death: Callable[[str], None]

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Take note of a child's death, unless it was told to die."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        is_expected = self._already_cancelled or self._already_revoked or self.acknowledged or _is_stopping()
        if isinstance(error, WorkerLostError) and not is_expected:
            type(self).tell_death(self.id)
        return super().on_failure(exc_info, *args, **options)

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Take note of the hard limit; of the soft one the child itself hears."""
        if not soft and not _is_stopping():
            type(self).tell_death(self.id)
        return super().on_timeout(soft, timeout)

    def reject(self, requeue: bool = False) -> Any:
        """Give the message back. Celery would delete that of a task which raised anything but Reject."""
        return super().reject(requeue=True)


def _is_stopping() -> bool:
    # None while it runs; else an exit code, and 0 is one too
    return state.should_stop is not None or state.should_terminate is not None
