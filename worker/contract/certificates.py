"""Files of certificates and keys, checked when the settings are read: they are there, and go together."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def readable(path: str) -> str:
    """Return the path of a file that can be read, or nothing; raises ValueError."""
    try:
        if path:
            Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return path


def authority(path: str) -> str:
    """Return the path of a file with certificates of authorities, or nothing; raises ValueError."""
    try:
        if readable(path):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError("holds no certificate in PEM") from None
    return path


OptionalFile = Annotated[str, AfterValidator(readable)]
OptionalAuthority = Annotated[str, AfterValidator(authority)]


def mismatches(ca_file: str, certificate_file: str, key_file: str, address: str) -> Iterator[str]:
    """Yield what is wrong with the files, a sentence each, that a client of the model server at `address` uses."""
    ca, certificate, key = (f"SHELVER_SERVING_{each}_FILE" for each in ("CA", "CERTIFICATE", "KEY"))
    if bool(certificate_file) != bool(key_file):
        yield f"{certificate} and {key} go together: set both or neither"
    if (certificate_file or key_file) and not ca_file:
        yield f"{certificate} and {key} need {ca}: without it nothing is encrypted"
    if ca_file and "," in address:
        yield (
            f"{ca} needs one name in SHELVER_SERVING_ADDRESS, as certificates are for names: let a DNS name stand for "
            "all replicas instead of a list"
        )
    try:
        if certificate_file and key_file:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(certificate_file, key_file, password="")  # else OpenSSL would ask a person
    except ssl.SSLError as error:
        told = error.reason or "OpenSSL does not say why"
        yield f"{certificate} and {key} must hold a certificate and its key, in PEM and without a passphrase ({told})"
