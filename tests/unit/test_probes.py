"""`live` reads what workers say of themselves; here the test's own process stands for a worker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_imports import modules_after
from worker import probes
from worker.contract.settings import Settings

Write = Callable[..., Path]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A state folder of its own, and a Redis that is not there."""
    return Settings(state_folder=str(tmp_path), redis_url="redis://:s3cret@127.0.0.1:9/0", connect_timeout_seconds=1)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a state file of a process that runs, some of it changed."""
    monkeypatch.setattr(probes, "STAMP_SECONDS", 0.5)  # this process may be younger than 30 s

    def make(name: str = "worker-1.json", **changes: object) -> Path:
        now = time.time()
        said = {"pid": os.getpid(), "at": now, "queues": ["new"], "unfit": "", "active": 0, "taken_at": now}
        (tmp_path / name).write_text(json.dumps({**said, **changes}))
        return tmp_path / name

    return make


def test_no_worker_at_all_is_told(settings: Settings) -> None:
    """With the folder that was looked into; one that does not exist is as good as an empty one."""
    for each in (settings, settings.model_copy(update={"state_folder": "/nonexistent"})):
        alive, why = probes.live(each)
        assert not alive
        assert f"no worker runs on this machine: {each.state_folder} (SHELVER_STATE_FOLDER)" in why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "has nothing to do"),
        ({"active": 2, "taken_at": 0.0}, "has 2 page"),
        ({"queues": [], "taken_at": 0.0}, "its queues are paused"),
        ({"unfit": "model shelver is not served", "taken_at": 0.0}, "takes no pages: model shelver is not served"),
    ],
)
def test_a_worker_that_stamps_lives(settings: Settings, write: Write, changes: dict[str, object], why: str) -> None:
    """Whatever it waits for: Redis is not even asked."""
    write(**changes)
    alive, told = probes.live(settings)
    assert alive
    assert told.startswith(f"worker {os.getpid()} ")
    assert why in told


@pytest.mark.parametrize("changes", [{"taken_at": 0.0}, {"at": time.time() + 3600}], ids=["idle", "silent"])
def test_while_redis_is_away_a_worker_waits_for_it(settings: Settings, write: Write, changes: dict[str, float]) -> None:
    """Starting it again would help nobody; the password of Redis is not shown."""
    write(**changes)
    alive, told = probes.live(settings)
    assert alive
    assert told.startswith("waiting for Redis: Redis at redis://***@127.0.0.1:9/0 does not answer")
    assert "s3cret" not in told


def test_workers_that_died_do_not_count(settings: Settings, write: Write) -> None:
    """Killed outright they leave their file; their number may be another process's by now, or nobody's yet."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    write("worker-2.json", pid=ended.pid)
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it
    assert not probes.live(settings)[0]
    ended.wait()
    assert not probes.live(settings)[0]
    write("worker-3.json", at=time.time() - 10 * 365 * 24 * 3600)  # before this process began
    assert not probes.live(settings)[0]
    write("worker-1.json")
    assert probes.live(settings)[0]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"7", b"\xff\xfe", b"null", b'{"pid": 1}', b'{"pid": "../../x", "at": 0}', b"[" * 100_000),
        json.dumps(dict.fromkeys(("pid", "at", "queues", "unfit", "active", "taken_at"), "x")).encode(),
        json.dumps(dict.fromkeys(("pid", "at", "queues", "unfit", "active", "taken_at"), 1e300)).encode(),
        b'{"pid": 1, "at": NaN, "queues": [], "unfit": "", "active": 0, "taken_at": 0}',
    ],
    ids=range(12),
)
def test_files_that_are_no_state_are_passed_over(settings: Settings, write: Write, content: bytes) -> None:
    """Anybody may write into a folder under /tmp."""
    write().with_name("worker-0.json").write_bytes(content)
    assert probes.live(settings)[0]
    assert [state.pid for state in probes.read(Path(settings.state_folder))] == [os.getpid()]


def test_live_loads_neither_celery_nor_grpc() -> None:
    """A probe runs every few seconds beside the worker: it must cost little."""
    tops = {name.partition(".")[0] for name in modules_after("import worker.cli, worker.probes")}
    assert not tops & {"celery", "kombu", "grpc", "PIL", "alembic", "redis", "numpy"}
    tops = {name.partition(".")[0] for name in modules_after("import worker.cli, worker.status")}
    assert not tops & {"celery", "kombu", "alembic"}
