"""The installed commands, as a person types them: what they say when something is wrong."""

import os
import socket
import subprocess
from pathlib import Path

import bson
import pytest

from tests.conftest import command
from tests.pictures import jpeg, listing
from worker.contract.settings import Settings

TREE = """category_id, category_level1 ,category_level2,category_level3
1000000001,MAISON,CUISINE, TASSE
1000000002,MAISON,SALON,LAMPE
"""


def run(name: str, *arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a clean environment with some settings."""
    environment = {**os.environ, **{f"SHELVER_{key.upper()}": value for key, value in settings.items()}}
    return subprocess.run(
        [*command(name), *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=200
    )


def error(done: "subprocess.CompletedProcess[str]") -> str:
    """The error of a command that failed as it should: exit code 1, the last line, no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    start = done.stderr.index("error: ")
    return done.stderr[start:].strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "category_names.csv"
    path.write_text(TREE)
    return path


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "train.bson"
    documents = [listing(each, jpeg(each), category=1000000001 + each % 2) for each in range(1, 21)]
    path.write_bytes(b"".join(map(bson.encode, documents)))
    return path


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("shelver-worker", ["run", "migrate", "show", "settings"]),
        ("shelver-trainer", ["index", "explore", "prepare", "fit", "evaluate", "publish", "submit", "serve"]),
        ("shelver-producer", ["load", "watch", "backfill", "enqueue"]),
    ],
)
def test_help_teaches(name: str, commands: list[str]) -> None:
    """Every command is listed, and every one explains itself."""
    overview = run(name, "--help").stdout
    for each in commands:
        assert f" {each} " in overview
        assert len(run(name, each, "--help").stdout.split()) > 20


def test_serve_says_what_it_is_for() -> None:
    """Nobody puts it into production by mistake."""
    said = " ".join(run("shelver-trainer", "serve", "--help").stdout.split())
    assert "For one machine" in said
    assert "Production runs tensorflow/serving" in said


def test_wrong_settings_are_told_all_at_once() -> None:
    """Each by name with its remedy, and no secret shown."""
    told = error(run("shelver-worker", "migrate", page_size="many", mongo_url="http://me:secret@x", pagesize="1"))
    assert "SHELVER_PAGE_SIZE is 'many'" in told
    assert "SHELVER_MONGO_URL: must start with mongodb://" in told
    assert "SHELVER_PAGESIZE is no setting: did you mean SHELVER_PAGE_SIZE?" in told
    assert "secret" not in told


def test_a_worker_without_tables_says_what_to_run(tmp_path: Path) -> None:
    """Not a page is taken before the store is ready."""
    store = tmp_path / "new.db"
    for expected in ("there is no file", "is at schema none"):
        told = error(run("shelver-worker", "run", database_url=f"sqlite:///{store}"))
        assert expected in told
        assert told.endswith("run shelver-worker migrate")
        store.touch()


def test_show_needs_tables_too(tmp_path: Path) -> None:
    """One sentence, not a stack of SQL."""
    assert "run shelver-worker migrate" in error(
        run("shelver-worker", "show", "1", database_url=f"sqlite:///{tmp_path / 'new.db'}")
    )


def test_watch_on_a_broken_dump_and_no_broker(sqlite_settings: Settings) -> None:
    """The catalog system's call ends within seconds when Redis is away, and names the variable."""
    told = error(
        run("shelver-producer", "enqueue", "1", redis_url="redis://127.0.0.1:9/0", connect_timeout_seconds="1")
    )
    assert "SHELVER_REDIS_URL" in told


def test_serve_needs_a_model_and_a_port(tmp_path: Path) -> None:
    """An empty folder and a taken port are each one sentence with the remedy."""
    assert "shelver-trainer publish" in error(run("shelver-trainer", "serve", tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "shelver" / "1").mkdir(parents=True)
        told = error(run("shelver-trainer", "serve", tmp_path, "--port", port))
    assert f"{port}" in told
    assert "--port" in told


def test_load_tells_where_a_dump_is_damaged(dump: Path, mongo_url: str, sqlite_settings: Settings) -> None:
    """The documents before the damage are there; the exit code says that the dump was not whole."""
    dump.write_bytes(dump.read_bytes()[:-10])
    target = {"mongo_url": mongo_url, "mongo_database": "test_damaged", "database_url": sqlite_settings.database_url}
    done = run("shelver-producer", "load", dump, **target)
    assert "after 19 sound documents" in error(done)
    assert "19 inserted, 0 were there already" in done.stdout
    tolerated = run("shelver-producer", "load", dump, "--tolerate", **target)
    assert tolerated.returncode == 0
    assert "0 inserted, 19 were there already" in tolerated.stdout
    assert "after 19 sound documents" in tolerated.stderr


def test_prepare_tells_what_is_wrong_with_the_categories(dump: Path, tree: Path, tmp_path: Path) -> None:
    """By line, all at once, before any picture is read."""
    arguments = ("prepare", dump, "--categories", tree, "-o", tmp_path / "data")
    tree.write_text(TREE + "1000000001,MAISON,CUISINE,BOL\nx,A,B,C\n1000000003,A,,C\n")
    told = error(run("shelver-trainer", *arguments))
    assert "line 4: category 1000000001 already stands for MAISON > CUISINE > TASSE" in told
    assert "line 5: category_id 'x'" in told
    assert "line 6: category_level2 is empty" in told
    tree.write_text("id,name\n1,x\n")
    told = error(run("shelver-trainer", *arguments))
    assert "line 1: column category_id, category_level1, category_level2, category_level3 is missing" in told
    tree.write_text(TREE.replace("1000000002", "1000000009"))
    assert "1000000002; add their lines to it, or leave them out" in error(run("shelver-trainer", *arguments))
    assert not (tmp_path / "data").exists()


def test_a_dry_run_counts_and_writes_nothing(dump: Path, tree: Path, tmp_path: Path) -> None:
    """Products by side, pictures, classes."""
    done = run("shelver-trainer", "prepare", dump, "--categories", tree, "-o", tmp_path / "data", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "20 products (16 train, 2 validation, 2 test), 20 pictures" in done.stdout
    assert "2 classes of level 3" in done.stdout
    assert not list(tmp_path.glob("data*"))


def test_a_misspelt_field_is_told(dump: Path, tree: Path, tmp_path: Path) -> None:
    """Before TensorFlow is loaded, with the field that was meant."""
    told = error(run("shelver-trainer", "fit", "lite0_head", tmp_path, "--run", tmp_path / "r", "--set", "bach=5"))
    assert "bach is no field: did you mean batch?" in told
    told = error(run("shelver-trainer", "fit", "lite0_head", tmp_path, "--run", tmp_path / "r"))
    assert "is no prepared data" in told
    assert "make it with shelver-trainer prepare" in told


def test_a_damaged_dump_trains_on_what_is_sound(dump: Path, tree: Path, tmp_path: Path) -> None:
    """It is prepared, fitted, judged, compared, submitted and published; only the exit code of `prepare` tells."""
    dump.write_bytes(dump.read_bytes() + b"garbage")
    folder, store = tmp_path / "run", f"sqlite:///{tmp_path / 'store.db'}"
    arguments = ("prepare", dump, "--categories", tree, "--config", "lite0_head", "--test", "0.3", "-o")
    assert "damaged at byte" in error(run("shelver-trainer", *arguments, tmp_path / "data"))
    assert run("shelver-trainer", *arguments, tmp_path / "again", "--tolerate").returncode == 0
    assert "exists: choose another --output" in error(run("shelver-trainer", *arguments, tmp_path / "data"))
    few = ("--set", "phases.0.epochs=2", "--set", "network_side=96")
    fitted = run("shelver-trainer", "fit", "lite0_head", tmp_path / "data", "--run", folder, *few)
    assert fitted.returncode == 0, fitted.stderr
    judged = run("shelver-trainer", "evaluate", folder)
    assert judged.returncode == 0, judged.stderr
    assert (folder / "evaluation" / "report.html").exists()
    assert "lite0_head" in run("shelver-trainer", "compare", folder).stdout
    submission = tmp_path / "submission.csv"
    submitted = run("shelver-trainer", "submit", dump, "--run", folder, "-o", submission, "--tolerate")
    assert submitted.returncode == 0, submitted.stderr
    assert len(submission.read_text().splitlines()) == 21
    assert "run shelver-worker migrate" in error(
        run("shelver-trainer", "publish", folder, tmp_path / "models", database_url=store)
    )
    assert run("shelver-worker", "migrate", database_url=store).returncode == 0
    published = run("shelver-trainer", "publish", folder, tmp_path / "models", database_url=store)
    assert published.returncode == 0, published.stderr
    assert (tmp_path / "models" / "shelver" / "1" / "saved_model.pb").exists()
    assert [each.name for each in (tmp_path / "models" / "shelver").iterdir()] == ["1"]
