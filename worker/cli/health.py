"""status, live, ready: how the line is, for people, monitoring and probes."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker.contract import settings as configuration

if TYPE_CHECKING:
    from rich.table import Table

    from worker.load import Load
    from worker.status import Status


def status(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, for monitoring")] = False,
) -> None:
    """Tell how the line is: queues, rate, the model in use, what is tried out, every server, rejects by reason.

    Servers are asked all at once, each for SHELVER_CONNECT_TIMEOUT_SECONDS at most, so that one that is down hides
    nothing of the others. Exits with 0 when all of them answer, else with 1.

    Depth counts the pages that wait and in flight those that workers have taken; a page is SHELVER_PAGE_SIZE products
    or fewer. Oldest is how long ago the page in turn was enqueued.
    """
    from worker.status import look

    found = look(configuration.load())
    if as_json:
        typer.echo(json.dumps(_to_json(found), indent=2))
    else:
        _print(found)
    raise typer.Exit(0 if found.answers else 1)


def live() -> None:
    """Tell whether the workers of this machine live: they consume, or there is nothing to consume. For a probe.

    Exits with 0 and one line that says why, or with 1 when no worker runs here, when one has not stamped its file in
    SHELVER_STATE_FOLDER for 30 s although Redis answers, or when one with free children has left waiting pages alone
    for over 60 s. A worker that waits for a server or a model, or whose queues are paused, lives: starting it
    again would not help.
    """
    from worker.probes import live as judge

    alive, why = judge(configuration.load())
    typer.echo(f"{'alive' if alive else 'not alive'}: {why}")
    raise typer.Exit(0 if alive else 1)


def ready() -> None:
    """Tell whether a worker here could predict: every server answers, the model fits and is registered. For a probe.

    Exits with 0, or with 1 and a line for each problem, after SHELVER_CONNECT_TIMEOUT_SECONDS or a little more.
    """
    from worker.status import look

    found = look(configuration.load(), counts_rejects=False)
    for problem in found.problems():
        typer.echo(f"not ready: {problem}")
    if found.problems():
        raise typer.Exit(1)
    typer.echo(f"ready: model {found.model.name} version {found.model.version}")


def _to_json(found: "Status") -> dict[str, object]:
    return {
        "answers": found.answers,
        "queues": None if found.queues is None else [asdict(load) for load in found.queues],
        "products_per_second": found.products_per_second,
        "rollout": found.rollout
        and {"mode": found.rollout.mode, "share": found.rollout.share, "version": found.rollout.version},
        "model": asdict(found.model),
        "dependencies": [asdict(each) for each in found.dependencies],
        "rejects": found.rejects,
    }


def _print(found: "Status") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    servers = Table("server", "address", Column("ms", justify="right"), "state", title="dependencies")
    for each in found.dependencies:
        took = "" if each.milliseconds is None else f"{each.milliseconds:.1f}"
        servers.add_row(each.name, each.address, took, "FAILS" if each.problem else "answers")
    if found.queues is not None:
        console.print(_queues(found.queues))
    console.print(servers)
    if found.rejects:
        told = Table("reason", Column("rejects", justify="right"))
        for reason, count in found.rejects.items():
            told.add_row(reason, f"{count:,}")
        console.print(told)
    if found.products_per_second is not None:
        console.print(f"rate: {found.products_per_second:,.1f} products/s over the last whole minute")
    console.print(f"model: {_model(found)}")
    rollout = found.rollout.told(found.model.canary_version) if found.rollout else "unknown"
    console.print(f"rollout: {rollout}; {_canary(found)}")
    console.print(f"rejects: {'unknown' if found.rejects is None else format(sum(found.rejects.values()), ',')}")
    for problem in found.problems():
        console.print(f"problem: {problem}")


def _queues(queues: "list[Load]") -> "Table":
    from rich.table import Column, Table

    numbers = [Column(name, justify="right") for name in ("depth", "in flight", "oldest")]
    table = Table("queue", *numbers, "state", title="queues, in pages")
    for load in queues:
        oldest = "" if load.oldest_seconds is None else f"{load.oldest_seconds:,.1f} s"
        state = "PAUSED" if load.is_paused else "open"
        table.add_row(load.queue, f"{load.depth:,}", f"{load.in_flight:,}", oldest, state)
    return table


def _model(found: "Status") -> str:
    model = found.model
    asked_by = f" by the label {model.label}" if model.label else ""
    if model.version is None:
        return f"{model.name}{asked_by}, version unknown"
    registered = {True: "registered", False: "NOT registered", None: "registered or not is unknown"}
    return f"{model.name}{asked_by} version {model.version}, {registered[model.is_registered]} in the store"


def _canary(found: "Status") -> str:
    version = found.model.canary_version
    return "no version is labelled canary" if version is None else f"version {version} is labelled canary"


COMMANDS = (status, live, ready)
