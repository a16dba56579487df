"""On a worker's PYTHONPATH: a decoder with a bug, which takes the whole process with it on pictures of a kind."""

import os
import signal

from PIL import Image

MARK = b"this picture kills"
_decode = Image.frombytes


def _kill_or_decode(mode, size, data, *arguments):
    if MARK in data:
        os.kill(os.getpid(), signal.SIGKILL)
    return _decode(mode, size, data, *arguments)


Image.frombytes = _kill_or_decode
