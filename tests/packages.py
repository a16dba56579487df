"""Programs that come with Debian's packages, for the tests that need one."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def installed(package: str, program: str) -> str:
    """Return the path of a program, whose Debian package is installed where it is missing; fails without it."""
    if found := shutil.which(program):
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # Tests run in two processes at once, and apt-get does not wait for another.
        with (Path(tempfile.gettempdir()) / "shelver-tests-apt-get.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not shutil.which(program):
                quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(["apt-get", "update", "--quiet"], check=False, env=quietly)
                install = ["apt-get", "install", "--yes", "--quiet", package]
                subprocess.run(install, check=False, env=quietly)
    return shutil.which(program) or pytest.fail(f"there is no {program}: apt-get install {package}")
