"""The shared password of the console: who knows it enters, and wrong ones are slowed down."""

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable

#: after an address's first wrong password; each further one doubles it
FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 32.0
#: after so long without a wrong password, the next one counts as the first
FORGET_SECONDS = 600.0
#: whose wrong passwords are remembered; the longest unheard of is forgotten for a new one
MOST_ADDRESSES = 10_000
#: wrong passwords a minute of all addresses together, after which nobody's is looked at until the next
MOST_WRONG = 60
MINUTE_SECONDS = 60.0


class Gate:
    """Counts wrong passwords by address and altogether. For one thread."""

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = password.encode("utf-8", "surrogateescape")  # a variable may hold any bytes
        self._clock = clock  # in seconds
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()  # when last, and the delay it cost
        self._minute_began, self._wrong = -math.inf, 0

    def seconds_closed(self, address: str) -> float:
        """Return for how long no password from there is looked at; 0 when it is open."""
        failed_at, delay_seconds = self._failures.get(address, (-math.inf, 0.0))
        opens_at = self._minute_began + MINUTE_SECONDS if self._wrong >= MOST_WRONG else -math.inf
        return max(0.0, failed_at + delay_seconds - self._clock(), opens_at - self._clock())

    def enter(self, address: str, given: bytes) -> bool:
        """Tell whether the right one was given; while it is closed, none is right."""
        if self.seconds_closed(address):
            return False
        if hmac.compare_digest(given, self._password):
            self._failures.pop(address, None)
            return True
        self._fail(address)
        return False

    def _fail(self, address: str) -> None:
        now = self._clock()
        if now - self._minute_began >= MINUTE_SECONDS:
            self._minute_began, self._wrong = now, 0
        self._wrong += 1
        failed_at, delay_seconds = self._failures.pop(address, (now, 0.0))
        if now - failed_at > FORGET_SECONDS:
            delay_seconds = 0.0
        self._failures[address] = (now, min(2 * delay_seconds or FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS))
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
