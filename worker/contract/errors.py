"""Errors that a person can mend."""


class ShelverError(Exception):
    """One sentence that says what is wrong and what to do; the commands print it instead of a traceback."""


class Unavailable(ShelverError):
    """A server does not answer for now: waiting can help."""


class QueueUnavailable(Unavailable):
    """Redis did not take a page. What was enqueued before it stays enqueued; enqueueing again is harmless."""


class ModelUnfit(Unavailable):
    """The model is missing, unknown to the store or not one of Shelver's: a person must act."""
