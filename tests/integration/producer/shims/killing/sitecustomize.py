"""On a watcher's PYTHONPATH: a machine that is lost just before or just after it stores a position."""

import itertools
import os
import signal

from producer.cursors import Cursor

_write = Cursor.write
_count = itertools.count(1)


def _write_and_die(self, position):
    is_last = next(_count) == int(os.environ["KILL_AT_WRITE"])
    if is_last and os.environ["KILL_WHEN"] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    _write(self, position)
    if is_last:
        os.kill(os.getpid(), signal.SIGKILL)


Cursor.write = _write_and_die
