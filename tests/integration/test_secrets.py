"""No password, token or key is ever written or shown: by no process, at no level, whether all is well or nothing is.

Every secret of the line begins with the same word, which is looked for in whatever can be read afterwards.
"""

import os
import sys
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient
from typer import Typer
from typer.testing import CliRunner

from deploy.local.processes import Processes, Started
from deploy.local.servers import free_port
from producer.cli import app as producer_commands
from tests.conftest import command
from tests.integration.conftest import register
from tests.integration.console.shown import shown, texts
from tests.integration.secured import Secured, acting, as_seller, secured
from tests.pictures import listing
from trainer.run import Run
from worker.cli import app as worker_commands
from worker.contract.messages import Page
from worker.contract.sender import Pages

SECRET = "hunter2"  # noqa: S105
TOKEN = f"{SECRET}-api-0123456789"
SHIM = Path("tests/faults/shims/failing")
WORKER = (
    ("status",),
    ("status", "--json"),
    ("ready",),
    ("settings",),
    ("show", "1"),
    ("rejects", "list"),
    ("migrate",),
)
PRODUCER = (("backfill", "--dry-run"), ("reconcile", "--dry-run"))


class Heard:
    """All that was written or shown, by where."""

    def __init__(self, line: Secured, folder: Path):
        self.line = line
        self.folder = folder
        self.processes = Processes(folder / "ours")
        self.texts: dict[str, str] = {}
        ours = {"api_token": TOKEN, "console_password": f"{SECRET}-console"}
        rest = {"metrics_port": free_port(), "shutdown_seconds": 1}
        self.settings = line.settings.model_copy(update=ours | rest)

    def start(self, name: str, arguments: list[str], role: str, **changes: object) -> Started:
        """Start a process that fails while the file FAIL_WHILE is there."""
        settings = acting(role, self.settings).model_copy(update=changes)
        shim = {"PYTHONPATH": str(SHIM), "FAIL_WHILE": str(self.folder / "fail")}
        return self.processes.start(name, arguments, {**os.environ, **settings.environment(), **shim})

    def run(self, when: str, app: Typer, role: str, arguments: tuple[str, ...]) -> None:
        """Run a command, and keep even the traceback that would be printed if nobody had foreseen its error."""
        made = CliRunner().invoke(app, arguments, env=acting(role, self.settings).environment())
        trace = "".join(traceback.format_exception(made.exception)) if made.exception else ""
        self.texts[f"{' '.join(arguments)} {when}"] = made.output + trace

    def run_all(self, when: str) -> None:
        for arguments in WORKER:
            self.run(when, worker_commands, "owner" if arguments == ("migrate",) else "worker", arguments)
        for arguments in PRODUCER:
            self.run(when, producer_commands, "producer", arguments)

    def fetch(self, when: str, url: str, token: str = "", body: bytes | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:  # noqa: S310
                self.texts[f"{url} {when}"] = f"{answer.headers}{answer.read().decode()}"
        except urllib.error.HTTPError as error:
            self.texts[f"{url} {when} {error.code}"] = f"{error.headers}{error.read().decode()}"

    def process_list(self) -> None:
        """Keep what `ps` shows of every process of this machine."""
        for process in psutil.process_iter(["pid", "cmdline", "name"]):
            self.texts[f"ps {process.pid}"] = f"{process.info['name']} {' '.join(process.info['cmdline'] or [])}"

    def files(self) -> None:
        for path in (self.folder / "ours", Path(self.settings.state_folder)):
            for file in path.rglob("*"):
                if file.is_file():
                    self.texts[str(file)] = file.read_bytes().decode(errors="replace")


@pytest.fixture(scope="module")
def heard(models_folder: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """A line that worked, failed in its own code, and lost all of its servers, with all that could be read of it."""
    folder = tmp_path_factory.mktemp("secrets")
    with secured(folder, models_folder, SECRET) as line:
        register(run, acting("trainer", line.settings))
        heard = Heard(line, folder)
        try:
            _live(heard)
            yield heard
        finally:
            heard.processes.stop()


def _live(heard: Heard) -> None:
    run = [*command("shelver-worker"), "run", "--concurrency", "1"]
    worker = heard.start("worker", [*run, "--loglevel", "DEBUG"], "worker", log_format="json")
    heard.start("watch", [*command("shelver-producer"), "watch"], "producer", metrics_port=free_port())
    api = heard.start("api", [*command("shelver-producer"), "api", "--port", "0"], "producer", metrics_port=free_port())
    exporter = heard.start("exporter", [*command("shelver-worker"), "exporter", "--port", "0"], "reader")
    console = heard.start("console", [sys.executable, "-m", "deploy.console", "--port", "0"], "console")
    worker.wait_for("celery@\\S+ ready")
    urls = [each.wait_for(r"http://[\d.:]+")[0] for each in (api, exporter, console)]
    with MongoClient(as_seller(heard.settings.mongo_url)) as client:
        client[heard.settings.mongo_database][heard.settings.mongo_collection].insert_one(listing(1))
    worker.wait_for("page done")
    _ask("well", heard, *urls)
    heard.process_list()
    _fail(heard, worker)
    for server in heard.line.processes.started:
        server.process.kill()
    _ask("down", heard, *urls)
    worker.wait_for("Connection to broker lost")
    worker.wait_for("Cannot connect to rediss")
    # in text, from its start on
    heard.start("worker-text", run, "worker", metrics_port=0).wait_for("Cannot connect to rediss")
    heard.processes.stop()
    heard.files()


def _ask(when: str, heard: Heard, api: str, exporter: str, console: str) -> None:
    heard.run_all(when)
    heard.fetch(when, f"{api}/health")
    heard.fetch(when, f"{api}/listings/1", TOKEN)
    heard.fetch(when, f"{api}/listings/1/prediction", TOKEN)
    heard.fetch(when, f"{api}/listings", TOKEN, b'{"ids": [1]}')
    heard.fetch(when, f"{api}/listings", TOKEN, TOKEN.encode())
    heard.fetch(when, f"{api}/listings/2", f"{TOKEN}-of-another")
    heard.fetch(when, f"{exporter}/metrics")
    heard.fetch(when, f"http://127.0.0.1:{heard.settings.metrics_port}/metrics")
    heard.fetch(when, console)
    heard.fetch(when, f"{console}/login", body=f"password={SECRET}-wrong".encode())


def _fail(heard: Heard, worker: Started) -> None:
    """Have our own code raise what nobody foresaw, with every client and its URL in the frames below."""
    (heard.folder / "fail").touch()
    with closing(Pages(heard.settings)) as pages:
        pages.send(Page((1,)))
    worker.wait_for("page goes back after an unforeseen error")
    (heard.folder / "fail").unlink()


def test_no_secret_is_written_or_shown(heard: Heard) -> None:
    """Logs in text and JSON, answers, metrics, state files, output of commands, tracebacks, the list of processes."""
    assert [place for place, text in heard.texts.items() if SECRET in text] == []


def operations() -> None:
    from deploy.console.operations import page

    page.show()


def test_the_console_shows_none(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page of operations names each server that is gone, without how one gets in."""
    told = texts(shown(operations, acting("console", heard.settings), monkeypatch, "Day by day"))
    assert "rediss://***@" in told
    assert SECRET not in told


def test_what_was_read_is_what_would_have_shown_one(heard: Heard) -> None:
    """Else finding nothing would prove nothing."""
    log = heard.texts[str(heard.folder / "ours" / "worker.log")]
    for part in ('"level": "debug"', "nobody foresaw this", "Traceback", "rediss://shelver:**@"):
        assert part in log
    assert "rediss://***@" in heard.texts["status down"]
    assert "mongodb://***@" in heard.texts["ready down"]
    assert "postgresql+psycopg://***@" in heard.texts["migrate down"]
    assert any("shelver-worker" in text for place, text in heard.texts.items() if place.startswith("ps "))
    assert any(place.endswith("503") for place in heard.texts)
    assert any(place.endswith("401") for place in heard.texts)
    assert any("shelver_pages_total" in text for text in heard.texts.values())
    assert any("shelver_dependency_up" in text for text in heard.texts.values())
