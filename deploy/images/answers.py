"""python -m deploy.images.answers URL: whether a server says that it is well, for images that have no curl."""

import http.client
import sys
import urllib.request

#: above what any server here may take; whoever asks mostly has less patience
TIMEOUT_SECONDS = 20


def main(url: str) -> int:
    """Return 0 when a GET of the address is answered with success, else 1 after a line that says why."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the image's own, by its healthcheck
            return 0
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{url} does not answer: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
