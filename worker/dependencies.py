"""A server is asked how it is, in a thread that can be given up."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from worker.contract.errors import ShelverError
from worker.contract.settings import Settings
from worker.contract.urls import redact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dependency:
    """A server that the worker cannot do without."""

    name: str
    #: without a password
    address: str
    #: from connecting to the first answer; None when something is wrong with it
    milliseconds: float | None
    #: why nothing can be done with it
    problem: str | None


class Asked(threading.Thread, Generic[T]):
    """A question to a server, in a thread that holds up nobody: neither the other questions nor the command's end."""

    def __init__(
        self, server: str, url: str, variable: str, question: "Callable[[Asked[T], Settings], T]", settings: Settings
    ):
        super().__init__(name=server, daemon=True)
        self._address, self._variable = redact(url), variable
        self._question, self._settings = question, settings
        self._milliseconds: float | None = None
        self._problem: str | None = None
        self.result: T | None = None
        self.start()

    def run(self) -> None:
        """Ask; an error nobody foresaw must not hide how the other servers are."""
        try:
            self.result = self._question(self, self._settings)
        except ShelverError as error:
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001 - its text might hold a password
            self._problem = f"{self.name} at {self._address} fails ({self._variable}) with {type(error).__name__}"

    def timed(self, function: Callable[[], object]) -> None:
        """Measure how long the first answer takes, a good one or not."""
        begun = time.monotonic()
        try:
            function()
        finally:
            self._milliseconds = (time.monotonic() - begun) * 1000

    def told(self, deadline: float) -> Dependency:
        """Wait until `deadline` on the monotonic clock, and return how the server is."""
        self.join(max(0.0, deadline - time.monotonic()))
        problem = self._problem
        if self.is_alive():
            problem = (
                f"{self.name} at {self._address} does not answer ({self._variable}) within "
                f"{self._settings.connect_timeout_seconds:g} s"
            )
        return Dependency(self.name, self._address, None if problem else self._milliseconds, problem)
