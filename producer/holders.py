"""Processes as holders of a cursor: MACHINE:PROCESS:RANDOM."""

import os
import socket
import uuid
from functools import cache
from pathlib import Path


def new_holder() -> str:
    """Return a name that no other has, in this process or elsewhere."""
    return f"{this_machine()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


@cache
def this_machine() -> str:
    """Return what tells where process numbers mean the same: the host, this boot of it, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()[:64]}/{boot[:8]}/{Path('/proc/self/ns/pid').readlink().name[5:-1]}"
    except OSError:
        return f"{socket.gethostname()[:64]}/{uuid.uuid4().hex[:8]}"


def is_dead(holder: str) -> bool:
    """Say whether a holder was a process here that is no more: a restart after a crash need not wait."""
    machine, process, _ = holder.split(":")
    if machine != this_machine():
        return False
    try:
        os.kill(int(process), 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
