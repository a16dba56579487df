"""What a browser shows after the password was given: a moment at which it ends, signed."""

import hmac
import secrets
import time
from collections.abc import Callable

#: a working day, so that nobody is asked twice in one
LIFE_SECONDS = 12 * 3600


class Passes:
    """Issues passes and knows them again. The key is this process's own: a restart asks everybody anew."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock  # in seconds

    def issue(self) -> str:
        """Return a pass, printable ASCII, for LIFE_SECONDS from now."""
        until = str(int(self._clock()) + LIFE_SECONDS)
        return f"{until}.{self._sign(until)}"

    def is_valid(self, shown: str) -> bool:
        """Tell whether it is one of ours, and has not ended."""
        until, _, signature = shown.partition(".")
        is_ours = hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(until).encode())
        return is_ours and self._clock() < int(until)

    def _sign(self, until: str) -> str:
        return hmac.digest(self._key, until.encode("utf-8", "replace"), "sha256").hex()
