"""python -m deploy.local demo | up | down."""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psutil
import typer
from pymongo import MongoClient
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local import report, toy
from deploy.local.listing import Catalog
from deploy.local.processes import Processes, stop_tree, tail
from deploy.local.stack import Stack
from worker.contract.command import run as run_command
from worker.contract.errors import ShelverError
from worker.contract.settings import PREFIX
from worker.contract.taxonomy import Taxonomy
from worker.contract.urls import redact

ROOT = Path(__file__).resolve().parents[2]
#: what `up` started, for `down`
STATE = "state.json"
#: locked while a demo runs; shows that the folder may be emptied
MARK = ".demo"

app = typer.Typer(
    help="The whole line on one machine, on servers that pip installs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)
Folder = Annotated[Path, typer.Option(file_okay=False, resolve_path=True, help="where everything is kept")]
File = typer.Option(exists=True, dir_okay=False, resolve_path=True)


class LocalError(ShelverError):
    """The local line cannot be started or stopped as asked."""


@app.command()
def demo(
    dump: Annotated[Path | None, File] = None,
    categories: Annotated[Path | None, File] = None,
    listings: Annotated[Path | None, File] = None,
    labels: Annotated[Path | None, File] = None,
    summary: Annotated[
        Path | None, typer.Option(dir_okay=False, resolve_path=True, help="write the totals as JSON")
    ] = None,
    folder: Folder = ROOT / ".local" / "demo",
) -> None:
    """Train on a drawn catalog (or on DUMP), list new products, wait for their predictions, tell, and stop all."""
    given = [each for each in (dump, categories, listings) if each]
    if given and len(given) < 3:
        raise LocalError("a dump of your own needs all of DUMP=, CATEGORIES= and LISTINGS= (and LABELS= for accuracy)")
    with _alone(folder), _stopping(Processes(folder / "logs")) as processes:
        started = time.monotonic()

        def say(what: str) -> None:
            console.print(f"[bold]{time.monotonic() - started:6.1f} s[/]  {what}")

        if not dump or not categories or not listings:
            say("drawing a toy catalog")
            drawn = toy.draw(folder / "catalog")
            dump, categories, listings, labels = drawn.dump, drawn.categories, drawn.listings, drawn.labels
        taxonomy = Taxonomy.from_csv(categories)
        truths = report.read_labels(labels, taxonomy) if labels else {}
        stack = Stack(folder, processes, say)
        database = f"shelver_demo_{time.time_ns()}"  # never the catalog of a server that was there before
        stack.start_servers(database)
        try:
            stack.refuse_used_servers()
            stack.load(dump)
            stack.train(dump, categories)
            stack.start_line()
            _list_and_report(stack, taxonomy, listings, truths, summary)
        finally:
            if "SHELVER_MONGO_URL" in os.environ:
                with MongoClient(os.environ["SHELVER_MONGO_URL"]) as client:
                    client.drop_database(database)
        say(f"done; the data is in {folder}: shelver.db, models/, run/, logs/")


def _list_and_report(
    stack: Stack, taxonomy: Taxonomy, listings: Path, truths: dict[int, int], summary: Path | None
) -> None:
    stack.say(f"listing the products of {listings}")
    catalog = Catalog(stack.environment)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as bars:
            task = bars.add_task("rows stored", total=None)
            listed = catalog.list_all(listings, lambda count: bars.advance(task, count))
            bars.update(task, total=len(listed.listed_at))
    except ShelverError as error:
        logs = "\n".join(tail(stack.folder / "logs" / f"{name}.log") for name in ("watch", "worker"))
        raise LocalError(f"{error}; {logs}") from error
    finally:
        catalog.close()
    rows = report.read_rows(stack.environment["SHELVER_DATABASE_URL"], listed, truths)
    totals = report.summarise(rows, listed, taxonomy)
    report.print_report(console, rows, totals, taxonomy)
    if summary:
        report.write_summary(summary, totals)


@app.command()
def up(folder: Folder = ROOT / ".local" / "up") -> None:
    """Start the whole line and leave it running; its data stays for the next time."""
    if any(_ours(folder)):
        raise LocalError("it is up already: make down stops it")
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder / "logs", outlive_us=True)
    with _stopping(processes, only_on_failure=True):
        drawn = toy.draw(folder / "catalog")
        stack = Stack(folder, processes, console.print)
        stack.start_servers("shelver")
        if not stack.is_published:
            stack.load(drawn.dump)
            stack.train(drawn.dump, drawn.categories)
        stack.start_line()
        page = stack.start_console()
        _keep(stack)
    console.print(_directions(stack, drawn, page))


def _keep(stack: Stack) -> None:
    """Note what runs, for `down`, and the variables that lead to it, for a person's shell."""
    pids = [each.process.pid for each in stack.processes.started]
    noted = [{"pid": pid, "born": psutil.Process(pid).create_time()} for pid in pids]
    ours = {name: value for name, value in stack.environment.items() if name.startswith(PREFIX)}
    with os.fdopen(os.open(stack.folder / "env", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in ours.items())
    (stack.folder / STATE).write_text(json.dumps(noted))


def _directions(stack: Stack, drawn: toy.ToyCatalog, page: str) -> str:
    servers = {
        "MongoDB": "MONGO_URL",
        "Redis": "REDIS_URL",
        "model server": "SERVING_ADDRESS",
        "store": "DATABASE_URL",
    }
    places = {what: redact(stack.environment[PREFIX + name]) for what, name in servers.items()}
    places |= {"console": page, "logs, data": str(stack.folder)}
    where = "\n".join(f"  {what:13} {place}" for what, place in places.items())
    return (
        f"up:\n{where}\n\ntry it:\n  . {stack.folder / 'env'}\n"
        f"  .venv/bin/shelver-producer load {drawn.listings}     # lists new products; the watcher sees them\n"
        "  .venv/bin/shelver-producer backfill     # predicts what was there before, for the console's review\n"
        "  .venv/bin/shelver-worker show ID\n\nmake down stops it."
    )


@app.command()
def down(folder: Folder = ROOT / ".local" / "up") -> None:
    """Stop what `up` started; the data stays."""
    running = list(_ours(folder))
    for pid in reversed(running):
        stop_tree(pid)
    (folder / STATE).unlink(missing_ok=True)
    console.print(f"stopped; the data stays in {folder}" if running else "nothing is up")


def _ours(folder: Path) -> Iterator[int]:
    """Yield the pids that `up` noted and that still run; one may be somebody else's by now: its birth tells."""
    with contextlib.suppress(FileNotFoundError):
        for each in json.loads((folder / STATE).read_text()):
            with contextlib.suppress(psutil.NoSuchProcess):
                if abs(psutil.Process(each["pid"]).create_time() - each["born"]) < 1:
                    yield each["pid"]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Have the folder, empty, to ourselves; one that is not a demo's is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARK).exists():
        raise LocalError(f"{folder} holds something else: name an empty folder")
    with (folder / MARK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LocalError(f"another demo runs in {folder}: wait for it, or name another --folder") from error
        for each in folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif each.name != MARK:
                each.unlink()
        yield


@contextmanager
def _stopping(processes: Processes, only_on_failure: bool = False) -> Iterator[Processes]:
    """Stop everything at the end, whether by success, failure, Ctrl-C, or a polite kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background job ignores SIGINT otherwise
        signal.signal(number, signal.default_int_handler)
    try:
        yield processes
    except BaseException:
        processes.stop()
        raise
    if not only_on_failure:
        processes.stop()


if __name__ == "__main__":
    run_command(app)
