"""The way to the model server, plain or by TLS, and what is to be done when there is none.

Apart from the other settings of a connection, because whoever imports this imports gRPC.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from worker.contract.address import target
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings, variable

#: settings that name what TLS needs
FILES = ("serving_ca_file", "serving_certificate_file", "serving_key_file")
#: by a part of what gRPC says
CAUSES = {
    "certificate has expired": "its certificate has expired: give the server a new one",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not by the CA in SHELVER_SERVING_CA_FILE",
    "Hostname Verification": "its certificate is not for the name in SHELVER_SERVING_ADDRESS",
    "WRONG_VERSION_NUMBER": "it speaks no TLS: unset SHELVER_SERVING_CA_FILE",
}
HUNG_UP = "Socket closed"


def open_channel(settings: Settings, options: Sequence[tuple[str, Any]]) -> grpc.Channel:
    """Return a channel to SHELVER_SERVING_ADDRESS with gRPC's own `options`, by TLS where a CA file is set.

    The files are read now, so that a channel opened after a certificate was renewed has the new one; raises Unavailable
    when one cannot be read. The server must have a certificate for the name in the address.
    """
    where = target(settings.serving_address)
    if not settings.serving_ca_file:
        return grpc.insecure_channel(where, options)
    ca, certificate, key = (_read(settings, name) for name in FILES)
    return grpc.secure_channel(where, grpc.ssl_channel_credentials(ca, key, certificate), options)


def explain(detail: str, settings: Settings) -> str:
    """Return why the model server could not be reached, for a person: what gRPC says, or what that means."""
    for part, meaning in CAUSES.items():
        if part in detail:
            return meaning
    if HUNG_UP not in detail:
        return detail
    if not settings.serving_ca_file:
        return f"{detail}; if it speaks TLS, set SHELVER_SERVING_CA_FILE"
    if not settings.serving_certificate_file:
        return (
            f"{detail}; if it asks for a certificate, set SHELVER_SERVING_CERTIFICATE_FILE and SHELVER_SERVING_KEY_FILE"
        )
    return f"{detail}; does it trust the CA of SHELVER_SERVING_CERTIFICATE_FILE?"


def _read(settings: Settings, name: str) -> bytes | None:
    path = getattr(settings, name)
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise Unavailable(f"{path} ({variable(name)}) cannot be read: {error.strerror}") from error
