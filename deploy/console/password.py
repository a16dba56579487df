"""The shared password of the console: who knows it enters, and wrong ones are slowed down for all."""

import hmac
import math
import threading
import time
from collections.abc import Callable

import streamlit as st

#: after the first wrong password; each further one doubles it
FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 32.0
#: after so long without a wrong password, the next one counts as the first
FORGET_SECONDS = 600.0

#: in the session, once the right password was given
ENTERED = "entered"


class Gate:
    """Counts wrong passwords of all visits together, so that a new tab gains nobody a further try."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock  # in seconds
        self._lock = threading.Lock()
        self._delay_seconds = 0.0  # what the last wrong password cost
        self._failed_at = -math.inf

    def seconds_closed(self) -> float:
        """Return for how long no password is looked at; 0 when it is open."""
        return max(0.0, self._failed_at + self._delay_seconds - self._clock())

    def enter(self, given: str, password: str) -> bool:
        """Tell whether the right one was given; while it is closed, none is right."""
        with self._lock:
            if self.seconds_closed():
                return False
            if hmac.compare_digest(_bytes(given), _bytes(password)):
                self._delay_seconds = 0.0
                return True
            self._fail()
            return False

    def _fail(self) -> None:
        now = self._clock()
        if now - self._failed_at > FORGET_SECONDS:
            self._delay_seconds = 0.0
        self._delay_seconds = min(2 * self._delay_seconds or FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS)
        self._failed_at = now


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # a variable may hold any bytes


GATE = Gate()


def has_entered() -> bool:
    """Tell whether this visit gave the right password."""
    return bool(st.session_state.get(ENTERED))


def ask(password: str) -> None:
    """Show the form; once the right one was given, run again without it."""
    with st.columns([1, 1, 1])[1]:
        st.title("Shelver")
        with st.form("password", clear_on_submit=True):
            given = st.text_input("Password", type="password", autocomplete="current-password")
            submitted = st.form_submit_button("Enter", type="primary", width="stretch")
        if submitted and GATE.enter(given, password):
            st.session_state[ENTERED] = True
            st.rerun()
        if submitted:
            wait = math.ceil(GATE.seconds_closed())
            st.error(f"That was not the password, or it came too soon after a wrong one: wait {wait} s and try again.")
        st.caption("It is SHELVER_CONSOLE_PASSWORD, where the console was started.")
