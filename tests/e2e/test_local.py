"""make demo, make up and make down, by the module they call, on a smaller catalog."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from deploy.local import toy
from tests.conftest import command, processes_of

LOCAL = [sys.executable, "-m", "deploy.local"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> toy.ToyCatalog:
    """A toy catalog that trains in seconds."""
    return toy.draw(tmp_path_factory.mktemp("catalog"), products=120, listings=24)


def arguments(catalog: toy.ToyCatalog) -> list[str]:
    given = {"dump": catalog.dump, "categories": catalog.categories, "listings": catalog.listings}
    return [part for name, path in {**given, "labels": catalog.labels}.items() for part in (f"--{name}", str(path))]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for the line; nothing of it may run afterwards."""
    yield tmp_path / "line"
    left = processes_of(tmp_path / "line")
    for process in left:
        process.kill()
    assert not left, "processes were left behind"


def test_the_demo_predicts_every_listing_and_cleans_up(catalog: toy.ToyCatalog, folder: Path, tmp_path: Path) -> None:
    """From a dump to totals, on real servers, in one command."""
    summary = tmp_path / "summary.json"
    done = subprocess.run(
        [*LOCAL, "demo", "--folder", str(folder), "--summary", str(summary), *arguments(catalog)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    totals = json.loads(summary.read_text())
    assert (totals["listed"], totals["predicted"], totals["rejected"]) == (24, 24, 0)
    assert totals["level1"] >= totals["level2"] >= totals["level3"] > 0.2
    assert totals["level3_top5"] >= totals["level3"]
    assert 0 < totals["latency_p50_seconds"] <= totals["latency_p95_seconds"]
    assert totals["pictures_per_second"] > 0
    assert "predicted shelf" in done.stdout
    assert str(folder) in done.stdout.replace("\n", "")
    assert not processes_of(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process(catalog: toy.ToyCatalog, folder: Path, number: signal.Signals) -> None:
    """Ctrl-C, a polite kill, even a kill -9: the servers go with it."""
    with subprocess.Popen(
        [*LOCAL, "demo", "--folder", str(folder), *arguments(catalog)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as demo:
        try:
            wait_for((folder / "logs" / "fit.log").exists, seconds=90)  # MongoDB and Redis run by then
            assert {"mongod", "redis-server"} <= {process.name() for process in processes_of(folder)}
            demo.send_signal(number)
            assert demo.wait(60) != 0
        finally:
            demo.kill()
    wait_for(lambda: not processes_of(folder), seconds=10)


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_a_folder_with_something_else_in_it_is_left_alone(catalog: toy.ToyCatalog, tmp_path: Path) -> None:
    """The demo empties its own folder only."""
    (tmp_path / "precious.txt").write_text("mine")
    done = subprocess.run(
        [*LOCAL, "demo", "--folder", str(tmp_path), *arguments(catalog)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert (tmp_path / "precious.txt").exists()


def test_up_stays_up_and_down_stops_it(folder: Path) -> None:
    """A person lists products with the commands it names, and finds their predictions."""
    started = subprocess.run(
        [*LOCAL, "up", "--folder", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        address = re.search(r"console +(http://127\.0\.0\.1:\d+)", started.stdout)
        assert address
        assert requests.get(address[1], timeout=30).status_code == 200
        again = subprocess.run([*LOCAL, "up", "--folder", str(folder)], cwd=ROOT, capture_output=True, text=True)
        assert "make down stops it" in again.stderr
        exports = (folder / "env").read_text().splitlines()
        variables = dict(line.removeprefix("export ").replace("'", "").split("=", 1) for line in exports)
        environment = {**os.environ, **variables}
        listings = folder / "catalog" / "test.bson"
        subprocess.run([*command("shelver-producer"), "load", str(listings)], env=environment, check=True)
        labels = (folder / "catalog" / "test_labels.csv").read_text().splitlines()
        identity = labels[1].split(",")[0]
        deadline = time.monotonic() + 60
        shown = ""
        while "predicted" not in shown:
            assert time.monotonic() < deadline, shown
            done = subprocess.run(
                [*command("shelver-worker"), "show", identity], env=environment, capture_output=True, text=True
            )
            shown = done.stdout
            time.sleep(0.5)
        assert f"{identity}  predicted" in shown
        assert "model shelver 1" in shown
        assert " > " in shown
    finally:
        stopped = subprocess.run([*LOCAL, "down", "--folder", str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert "stopped; the data stays" in stopped.stdout
    assert not processes_of(folder)
