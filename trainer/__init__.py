"""From a BSON dump to a measured, published model. Everything that imports TensorFlow lives here."""

# Before TensorFlow, which has OpenSSL's names for code of another kind: a libpq that is loaded after it takes that for
# its own, and ends the process with its first connection by TLS.
import psycopg  # noqa: F401
