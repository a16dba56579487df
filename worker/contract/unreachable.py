"""Why MongoDB or Redis could not be reached: what the client says, and what a server that only hangs up may want."""

import re

#: where what is for machines begins: the server's whole answer, timeouts, the description of the replica set
FOR_MACHINES = re.compile(r", full error| \(configured timeouts|, Timeout:")
#: what becomes of clients without TLS, or without a certificate that the server knows; it seldom says why
HUNG_UP = re.compile(
    "connection closed|reset by peer|broken pipe|EOF occurred|alert certificate required|alert unknown ca",
    re.IGNORECASE,
)


def reason(error: Exception, url: str) -> str:
    """Return the reason in 400 characters at most, and none of the URL but the names of options that it may lack."""
    told = FOR_MACHINES.split(str(error), maxsplit=1)[0][:300]
    return f"{told.rstrip('.')}; {_advice(url.lower())}" if HUNG_UP.search(told) else told


def _advice(url: str) -> str:
    tls, certificate = ("tls=true", "tlsCertificateKeyFile")
    if url.startswith("redis"):
        tls, certificate = ("rediss://", "ssl_certfile")
    if tls not in url and not url.startswith("mongodb+srv"):
        return f"if it speaks TLS, the URL needs {tls}"
    if certificate.lower() not in url:
        return f"if it asks for a certificate, the URL needs {certificate}"
    return f"it may not know the CA of {certificate}"
