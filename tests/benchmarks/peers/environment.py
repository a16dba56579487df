"""A virtual environment for each peer, made on demand and kept while what it needs is the same."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parents[2] / ".local" / "peers"


def requirements(name: str) -> Path:
    """Return the file with what a peer needs, all of it pinned."""
    return HERE / f"{name}.txt"


def make(name: str) -> tuple[Path, float]:
    """Return the folder of a peer's programs, and the seconds that it took to install them: 0 when they were there."""
    folder, needed = FOLDER / name, requirements(name).read_text()
    installed, started = folder / "installed.txt", time.monotonic()
    if installed.exists() and installed.read_text() == needed:
        return folder / "bin", 0.0
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements(name))
    subprocess.run([folder / "bin" / "python", *install], check=True)
    installed.write_text(needed)  # the last thing: what was broken off is made anew
    return folder / "bin", time.monotonic() - started
