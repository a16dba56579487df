"""Pages as Redis gives them."""

import base64
import json

from worker.contract.messages import Page


def decoded(raw: bytes) -> Page:
    """Return the page of a message, as Celery wrote it."""
    arguments, _, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))
    return Page.from_wire(arguments[0])
