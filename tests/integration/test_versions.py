"""versions, canary, promote, rollback: labels move on a server that follows the file, or one sentence says why not."""

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deploy.local.servers import free_port
from tests.conftest import command
from tests.integration.conftest import register, tiny_network
from tests.integration.queues import wait_for
from tests.integration.secured import Files
from trainer.cli import app
from trainer.publishing.export import EXTRA
from trainer.publishing.labels import LabelError, Labels
from trainer.publishing.replicas import Replica, State, replicas
from trainer.publishing.rollout import RolloutError
from trainer.publishing.serving_config import FILE, labelled, load, read, served
from trainer.run import CATEGORIES, MODEL, Run
from trainer.serve.server import ModelServer
from worker import schema
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings

POLL_SECONDS = 0.05
Said = Callable[..., Result]
Serve = Callable[..., str]


@pytest.fixture
def models(models_folder: Path, tmp_path: Path) -> Path:
    """MODELS with versions 1, 2 and 3 of a model, the first of them stable, and 4 that no server can load."""
    folder = tmp_path / "models"
    for version in (1, 2, 3):
        target = folder / "shelver" / str(version)
        shutil.copytree(models_folder / "shelver" / "1", target, ignore=shutil.ignore_patterns(EXTRA))
    (folder / "shelver" / "4").mkdir()
    (folder / "shelver" / "4" / "saved_model.pb").write_bytes(b"junk")
    label(folder, {"stable": 1})
    return folder


@pytest.fixture
def settings(sqlite_settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store that knows versions 1, 2 and 4, named in the environment; nothing listens where the model server is."""
    made = sqlite_settings.model_copy(update={"serving_address": f"127.0.0.1:{free_port()}"})
    for version in (1, 2, 4):
        register(run, made, version)
    monkeypatch.setenv("SHELVER_DATABASE_URL", made.database_url)
    monkeypatch.setenv("SHELVER_SERVING_ADDRESS", made.serving_address)
    return made


@pytest.fixture
def serve(models: Path) -> Iterator[Serve]:
    """Start a model server that follows MODELS/models.config, or the file that is named; return its address."""
    with ExitStack() as stack:

        def start(file: Path = models / FILE) -> str:
            server = ModelServer(models, port=0, poll_seconds=POLL_SECONDS, config_file=file)
            return stack.enter_context(server).address

        yield start


@pytest.fixture
def said(settings: Settings, models: Path) -> Said:
    """Run a command on MODELS in this process; what it raises is in the result."""

    def call(name: str, *arguments: object) -> Result:
        runner = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb"})
        return runner.invoke(app, [name, str(models), *map(str, arguments)])

    return call


def labels(models: Path) -> Labels:
    return served(read(models / FILE), "shelver").labels


def label(models: Path, wanted: Labels) -> None:
    """Give the file these labels, whatever a server makes of them."""
    with labelled(models / "shelver", lambda _: wanted):
        pass


@contextmanager
def waiting(
    name: str, models: Path, version: int, address: str, settings: Settings
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command, which waits for the server to load the version, as a process of its own."""
    arguments = [*command("shelver-trainer"), name, str(models), str(version), "--server", address]
    environment = {**os.environ, **settings.environment()}
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "waiting: " in next(line for line in process.stderr if "waiting" in line)
        yield process


def answers(address: str) -> dict[str, int | None]:
    """The version that a server has under each label."""
    replica = Replica(Settings(serving_address=address), address, "")
    return {label: replica.version_of("shelver", label) for label in ("stable", "canary", "previous")}


def test_out_and_back(said: Said, serve: Serve, models: Path) -> None:
    """Each command is done when the server answers so; repeated, it changes nothing; what was stable stays loaded."""
    address = serve()
    for _ in range(2):
        done = said("canary", 2, "--server", address)
        assert done.exit_code == 0, done.exception
        assert f"canary is version 2, stable is version 1 in {models / FILE}; {address} answers so\n" in done.stdout
        assert "next: shelver-worker rollout show tells whether workers ask it at once; then " in done.stdout
        assert answers(address) == {"stable": 1, "canary": 2, "previous": None}
    promoted = said("promote", "--server", address)
    assert f"version 2 is taken, as by shelver-trainer promote {models} 2 --server {address}\n" in promoted.stderr
    assert f"stable is version 2, previous is version 1 in {models / FILE}; {address} answers so\n" in promoted.stdout
    assert "; shelver-producer backfill --predicted-by 1, for what 1 predicted last" in promoted.stdout
    after = {"stable": 2, "canary": None, "previous": 1}
    assert answers(address) == after
    assert said("promote", 2, "--server", address).exit_code == 0
    assert "canary (previous is version 1, stable is version 2): name" in str(said("promote").exception)
    assert answers(address) == after
    back = said("rollback", "--server", address)
    assert f"version 1 is taken, as by shelver-trainer rollback {models} 1 --server {address}\n" in back.stderr
    with pytest.raises(
        LabelError, match="stable is older .*rollback .*models 1 waits .*models 2 makes version 2 stable"
    ):
        raise said("rollback", "--server", address).exception
    assert said("rollback", 1, "--server", address).exit_code == 0
    assert answers(address) == {"stable": 1, "canary": None, "previous": 2}
    assert said("canary", 2, "--server", address).exit_code == 0
    assert "canary is no version" in said("canary", "--none", "--server", address).stdout
    assert answers(address) == {"stable": 1, "canary": None, "previous": 2}


def test_a_canary_moves(said: Said, serve: Serve, models: Path, settings: Settings, run: Run) -> None:
    """To a version that is loaded first, for the server takes no label otherwise; the one before is let go."""
    register(run, settings, 3)
    address = serve()
    for version in (2, 3):
        assert said("canary", version, "--server", address).exit_code == 0
    assert answers(address)["canary"] == 3
    assert served(read(models / FILE), "shelver").versions == {1, 3}


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("canary", 9), RolloutError, r"version 9 is not in .*shelver \(it holds 1, 2, 3, 4\): publish it"),
        (("promote", 9), RolloutError, "version 9 is not in"),
        (("canary", 3), RolloutError, r"shelver version 3 is not registered in sqlite:.*SHELVER_DATABASE_URL"),
        (("promote", 3), RolloutError, "version 3 is not registered"),
        (("canary", 2, "--name", "other"), RolloutError, r"not in .*other \(it holds none\)"),
        (("canary", 1), LabelError, "version 1 is stable"),
        (("promote",), LabelError, r"no version is canary \(stable is version 1\): .*canary .*models VERSION"),
        (("rollback",), LabelError, r"no version is previous \(stable is version 1\): .*promote .*models VERSION"),
        (("rollback", 2), LabelError, "version 2 is not previous"),
        (
            ("canary", 2),
            RolloutError,
            r"does not answer \(SHELVER_SERVING_ADDRESS\): .*--server.*--no-wait",
        ),
        (("canary", "--none"), RolloutError, "does not answer"),
        (("promote", 2, "--server", "no.such.host.invalid:1"), RolloutError, "nobody knows the host no.such.host"),
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=str)
def test_what_cannot_be_is_told(
    arguments: tuple[object, ...],
    error: type[Exception],
    told: str,
    options: tuple[str, ...],
    said: Said,
    models: Path,
) -> None:
    """One sentence each, with the remedy, and the file is as it was; a dry run says the same."""
    before = (models / FILE).read_bytes()
    with pytest.raises(error, match=told):
        raise said(*arguments, *options).exception
    assert (models / FILE).read_bytes() == before


def test_a_store_that_is_not_there(said: Said, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is made where one was meant to be; going back needs no store."""
    monkeypatch.setenv("SHELVER_DATABASE_URL", f"sqlite:///{models}/none.db")
    for arguments in (("canary", 2), ("promote", 2), ("versions",)):
        with pytest.raises(Unavailable, match="there is no file"):
            raise said(*arguments).exception
    assert not (models / "none.db").exists()
    label(models, {"stable": 2, "previous": 1})
    assert said("rollback", "--no-wait").exit_code == 0
    assert labels(models) == {"stable": 1, "previous": 2}


def test_a_version_that_does_not_load(said: Said, serve: Serve, models: Path) -> None:
    """The server's reason is told; labels stay, and another version can be named."""
    address = serve()
    load(models / "shelver", [4])
    wait_for_state(address, 4, "END")
    with pytest.raises(RolloutError, match=r"has not loaded shelver version 4: END \(.*, after 0 s: .*goes on"):
        raise said("canary", 4, "--server", address, "--timeout", 0).exception
    assert answers(address) == {"stable": 1, "canary": None, "previous": None}
    assert said("promote", 2, "--server", address).exit_code == 0
    assert served(read(models / FILE), "shelver").versions == {1, 2, 4}
    assert said("canary", "--none", "--server", address).exit_code == 0
    assert served(read(models / FILE), "shelver").versions == {1, 2}


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (("rollback", 1), {"stable": 1}),
        (("rollback", 1, "--no-wait"), {"stable": 1}),
        (("promote", 3), {"stable": 3, "previous": 1}),
    ],
    ids=str,
)
def test_away_from_a_version_that_loads_no_more(
    arguments: tuple[object, ...],
    after: Labels,
    said: Said,
    serve: Serve,
    models: Path,
    settings: Settings,
    run: Run,
) -> None:
    """Back, and on to another: it is not waited for, and does not become previous, which a server would refuse."""
    register(run, settings, 3)
    label(models, {"stable": 2, "previous": 1})
    (models / "shelver" / "2" / "saved_model.pb").write_bytes(b"junk")
    address = serve()
    assert answers(address) == {"stable": None, "canary": None, "previous": 1}
    done = said(*arguments, "--server", address)
    assert done.exit_code == 0, done.exception
    assert "version 2 does not become previous: not every server has it loaded\n" in done.stderr
    assert labels(models) == after
    wait_for(lambda: answers(address) == {"stable": None, "canary": None, "previous": None, **after}, 60)


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        (("rollback",), {"stable": 2, "previous": 1}, {"stable": 1, "canary": None, "previous": 2}),
        (("promote",), {"stable": 1, "canary": 2}, {"stable": 2, "canary": None, "previous": 1}),
        (("canary", "--none"), {"stable": 1, "canary": 2}, {"stable": 1, "canary": None, "previous": None}),
    ],
    ids=str,
)
def test_the_command_that_is_told_goes_on(
    arguments: tuple[str, ...],
    before: Labels,
    after: dict[str, int | None],
    said: Said,
    serve: Serve,
    models: Path,
    tmp_path: Path,
) -> None:
    """When the labels are written, and a server is late: it names the version, so that it does not turn round."""
    label(models, before)
    late = tmp_path / "late.config"
    shutil.copy(models / FILE, late)
    address = serve(late)
    with pytest.raises(RolloutError, match=r"after 0 s: .*; then shelver-trainer .* goes on$") as told:
        raise said(*arguments, "--server", address, "--timeout", 0).exception
    _, name, folder, *rest = shlex.split(str(told.value).rpartition("; then ")[2].removesuffix(" goes on"))
    assert (name, folder) == (arguments[0], str(models))
    shutil.copy(models / FILE, late)
    assert said(name, *rest).exit_code == 0
    assert answers(address) == after


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (("promote", 3), {"stable": 3, "previous": 1}),
        (("rollback", 1), {"stable": 1}),
        (("promote", 2), {"stable": 2, "previous": 1}),
        (("canary", 2), {"stable": 1, "canary": 2}),
        (("canary", "--none"), {"stable": 1}),
    ],
    ids=str,
)
def test_a_file_that_servers_refuse_is_mended(
    arguments: tuple[object, ...],
    after: Labels,
    said: Said,
    serve: Serve,
    models: Path,
    settings: Settings,
    run: Run,
) -> None:
    """One that was restored, or written by hand: it is put back to what they answer, and any command goes on."""
    register(run, settings, 3)
    address = serve()
    label(models, {"stable": 3, "previous": 1})
    done = said(*arguments, "--server", address)
    assert done.exit_code == 0, done.exception
    assert f"a server refuses {models / FILE} (previous is version 1, stable is version 3), so it " in done.stderr
    assert labels(models) == after
    assert answers(address) == {"stable": None, "canary": None, "previous": None, **after}


def test_nobody_lets_go_of_what_another_has_loaded(
    said: Said, serve: Serve, models: Path, settings: Settings, run: Run, tmp_path: Path
) -> None:
    """A promotion that waits for its version is not undone by another's canary."""
    register(run, settings, 3)
    other = tmp_path / "other.config"
    shutil.copy(models / FILE, other)
    address = serve(other)
    with waiting("promote", models, 3, address, settings) as process:
        assert said("canary", 2, "--no-wait").exit_code == 0
        shutil.copy(models / FILE, other)
        wait_for(lambda: labels(models)["stable"] == 3, 60)
        shutil.copy(models / FILE, other)
        assert process.wait(60) == 0
    assert answers(address) == {"stable": 3, "canary": 2, "previous": 1}


def test_a_dry_run_writes_nothing(said: Said, serve: Serve, models: Path) -> None:
    """It says what would be, and not what to do next."""
    address = serve()
    before = (models / FILE).read_bytes()
    done = said("promote", 2, "--server", address, "--dry-run")
    assert done.stdout == f"stable would be version 2, previous would be version 1 in {models / FILE}\n"
    assert (models / FILE).read_bytes() == before


def test_without_a_server(said: Said, settings: Settings, models: Path, run: Run) -> None:
    """Labels that a server would refuse to move wait for their version, which is told; the same command goes on."""
    register(run, settings, 3)
    done = said("canary", 2, "--no-wait")
    assert f"canary is version 2, stable is version 1 in {models / FILE}\n" in done.stdout
    with pytest.raises(
        RolloutError, match="canary stays on version 2 until version 3, .*then run .*canary .* 3 --no-wait"
    ):
        raise said("canary", 3, "--no-wait").exception
    assert labels(models) == {"stable": 1, "canary": 2}
    assert served(read(models / FILE), "shelver").versions == {1, 2, 3}
    assert said("canary", 3, "--no-wait").exit_code == 0
    assert said("promote", "--no-wait").exit_code == 0
    assert labels(models) == {"stable": 3, "previous": 1}


def test_without_waiting_for_a_server(
    said: Said, serve: Serve, models: Path, settings: Settings, run: Run, tmp_path: Path
) -> None:
    """One that answers is believed: a label does not move before it has the version, however often that is wanted."""
    register(run, settings, 3)
    late = tmp_path / "late.config"
    shutil.copy(models / FILE, late)
    address = serve(late)
    for _ in range(2):
        with pytest.raises(RolloutError, match=f"until version 3, .*models 3 --server {address} --no-wait again"):
            raise said("promote", 3, "--no-wait", "--server", address).exception
        assert labels(models) == {"stable": 1}
    shutil.copy(models / FILE, late)
    wait_for_state(address, 3)
    assert said("promote", 3, "--no-wait", "--server", address).exit_code == 0
    assert labels(models) == {"stable": 3, "previous": 1}


def test_killed_between_the_steps(said: Said, serve: Serve, models: Path, settings: Settings, tmp_path: Path) -> None:
    """The labels hold, the version is asked for, and the same command goes on."""
    other = tmp_path / "other.config"
    shutil.copy(models / FILE, other)
    address = serve(other)  # which does not follow the file
    with waiting("promote", models, 2, address, settings) as process:
        process.send_signal(signal.SIGKILL)
    assert labels(models) == {"stable": 1}
    assert served(read(models / FILE), "shelver").versions == {1, 2}
    following = serve()
    assert said("promote", 2, "--server", following).exit_code == 0
    assert answers(following) == {"stable": 2, "canary": None, "previous": 1}


def test_every_replica_counts(said: Said, serve: Serve, models: Path, tmp_path: Path) -> None:
    """The label moves when all have the version loaded; the one that lags is named."""
    other = tmp_path / "other.config"
    shutil.copy(models / FILE, other)
    quick, slow = serve(), serve(other)
    both = f"{slow},{quick}"
    with pytest.raises(RolloutError, match=f"{slow} has not loaded shelver version 2: it has not heard of it"):
        raise said("canary", 2, "--server", both, "--timeout", 0).exception
    wait_for_state(quick, 2)
    assert "AVAILABLE at 1 of 2" in said("versions", "--server", both).stdout
    shutil.copy(models / FILE, other)
    wait_for_state(slow, 2)
    with pytest.raises(RolloutError, match=f"{slow} has no version of shelver as canary, not version 2, after 0 s"):
        raise said("canary", 2, "--server", both, "--timeout", 0).exception
    shutil.copy(models / FILE, other)
    assert said("canary", 2, "--server", both).exit_code == 0
    assert answers(slow) == answers(quick) == {"stable": 1, "canary": 2, "previous": None}


def wait_for_state(address: str, version: int, state: str = "AVAILABLE") -> None:
    replica = Replica(Settings(serving_address=address), address, "")
    wait_for(lambda: getattr(replica.states("shelver").get(version), "name", "") == state, 60)


def test_publishing_a_canary_tells_what_is_next(run: Run, models: Path, settings: Settings, tmp_path: Path) -> None:
    """Above all, that workers may ask it at once: a trial may be on."""
    made = replace(run, folder=tmp_path / "run")
    made.folder.mkdir()
    made.write()
    shutil.copy(run.folder / CATEGORIES, made.folder)
    tiny_network(run).save(made.folder / MODEL)
    done = CliRunner().invoke(app, ["publish", str(made.folder), str(models), "--label", "canary", "--dry-run"])
    assert done.exit_code == 0, done.exception
    assert "next: shelver-worker rollout show tells whether workers ask it at once; then" in done.stdout
    assert done.stdout.endswith(f"shelver-trainer promote {models} 5\n")


def test_versions_wherever_they_are(said: Said, serve: Serve, models: Path, settings: Settings, run: Run) -> None:
    """A row for each, newest first, with what is missing; the scores; what the server says, if only nothing."""
    register(run, settings, 7)
    load(models / "shelver", [4])
    address = serve()
    found = json.loads(said("versions", "--json", "--server", address).stdout)
    assert (found["model"], found["servers"]) == ("shelver", {address: None})
    rows = {each["number"]: each for each in found["versions"]}
    assert list(rows) == [7, 4, 3, 2, 1]
    assert [rows[each]["has_folder"] for each in rows] == [False, True, True, True, True]
    assert [rows[each]["is_registered"] for each in rows] == [True, True, False, True, True]
    assert rows[1]["labels"] == ["stable"]
    assert rows[1]["states"] == {address: {"name": "AVAILABLE", "fault": ""}}
    assert rows[4]["states"][address]["fault"]
    assert rows[7]["metrics"] == run.metrics
    assert (rows[3]["published_at"], rows[3]["metrics"], rows[3]["states"]) == (None, {}, {})
    drawn = said("versions", "--server", address)
    assert [line.split("│")[1].strip() for line in drawn.stdout.splitlines() if line.startswith("│")] == list("74321")
    for word in ("stable", "missing", "62.50%", "AVAILABLE", "END"):
        assert word in drawn.stdout
    assert f"warning: version 4 is not loaded at {address}: " in drawn.stderr
    silent = said("versions")
    assert silent.exit_code == 0
    assert "no answer" in silent.stdout
    assert f"warning: the model server at {settings.serving_address} does not answer" in silent.stderr
    assert "no version of none is known: shelver-trainer publish makes one" in said("versions", "--name", "none").stdout


def test_versions_in_either_store(database_url: str, said: Said, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite and PostgreSQL alike."""
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    register(run, settings, 5)
    monkeypatch.setenv("SHELVER_DATABASE_URL", database_url)
    found = json.loads(said("versions", "--json").stdout)
    assert next(each["number"] for each in found["versions"] if each["is_registered"]) == 5
    assert found["versions"][0]["published_at"].endswith("+00:00")


def test_replicas_that_speak_tls(models: Path, tmp_path: Path) -> None:
    """Asked at its own address, each shows a certificate for the name that stands for all; another name is refused."""
    files = Files.made(tmp_path / "certificates")
    with ModelServer(
        models, port=0, config_file=models / FILE, ssl_config_file=files.ssl_config("elsewhere")
    ) as server:
        settings = Settings(
            serving_address=server.address.replace("127.0.0.1", "localhost"),
            serving_ca_file=files["ca.pem"],
            serving_certificate_file=files["client.pem"],
            serving_key_file=files["client.key"],
        )
        (replica,) = replicas(settings)
        assert replica.address == server.address
        with pytest.raises(Unavailable, match="its certificate is not for the name"):
            replica.states("shelver")
        named = Replica(settings, server.address, "elsewhere.example")
        assert named.states("shelver") == {1: State("AVAILABLE")}
        assert named.version_of("shelver", "stable") == 1
