"""The commands that roll a published version out, and back: canary, promote, rollback."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.versions import Models, Name, Server, settings_for
from trainer.publishing import labels
from trainer.publishing.labels import CANARY, STABLE, Change

if TYPE_CHECKING:
    from trainer.publishing.rollout import Rollout

Number = Annotated[
    int | None, typer.Argument(min=1, max=2**31 - 1, metavar="VERSION", help="a published version of the model")
]
Timeout = Annotated[float, typer.Option(min=0, help="seconds that the servers may take over each step")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="write the file and wait for no server")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check everything, say what would be done, and write nothing")]
#: the servers look at the file every 30 s, as it is recommended, and then load
PATIENCE_SECONDS = 180.0


def canary(
    context: typer.Context,
    models: Models,
    version: Number = None,
    none: Annotated[
        bool, typer.Option("--none", help="take the label away, and let go of every version that has no label")
    ] = False,
    name: Name = None,
    server: Server = None,
    timeout: Timeout = PATIENCE_SECONDS,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Try a published version out beside the stable one: have it loaded, then put the label canary on it.

    Which products it is asked about is set by shelver-worker rollout, for workers with SHELVER_MODEL_LABEL=stable:
    those without a label take the newest version that is loaded. Killed or timed out, the same command goes on.
    """
    if (version is None) != none:
        raise typer.BadParameter("give a version, or --none to take the label away")
    rollout = _rollout(models, name, server, timeout, no_wait)
    if version is None:
        _do(rollout, CANARY, labels.without_canary, _again(context, "--none"), dry_run, alone=True)
        return
    rollout.check(version)
    rollout.check_registered(version)
    _do(rollout, CANARY, labels.canary(version), _again(context, version), dry_run, trial(models, version))


def trial(models: Path, version: int) -> str:
    """Return what to do once a version is canary."""
    return (
        "shelver-worker rollout show tells whether workers ask it at once; then shelver-worker rollout shadow or "
        f"canary; when its report passes, shelver-trainer promote {models} {version}"
    )


def promote(
    context: typer.Context,
    models: Models,
    version: Number = None,
    name: Name = None,
    server: Server = None,
    timeout: Timeout = PATIENCE_SECONDS,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Make a version stable, the canary if none is named; the one that was becomes previous, and stays loaded.

    The version is loaded first; only then the labels move, all in one replacement of MODELS/models.config, and canary
    goes. Says so once the server answers under the label stable with it. Killed or timed out, the same command goes on,
    with the version named, as it says.
    """
    rollout = _rollout(models, name, server, timeout, no_wait)
    if version is None:
        version = _told(context, labels.candidate(rollout.labels(), models))
    rollout.check(version)
    rollout.check_registered(version)
    _move_stable(rollout, version, _again(context, version), dry_run)


def rollback(
    context: typer.Context,
    models: Models,
    version: Number = None,
    name: Name = None,
    server: Server = None,
    timeout: Timeout = PATIENCE_SECONDS,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Go back: stable and previous change places. Both are loaded, so it takes no longer than the file to be read.

    With the version named, the same command may be given by several people, and again when it was killed or timed out.
    Without, it is refused when stable is the older of the two: somebody went back already. A stable version that the
    servers cannot load does not become previous. Neither Redis nor the SQL store need be there.
    """
    rollout = _rollout(models, name, server, timeout, no_wait)
    back = labels.former(rollout.labels(), models, version)
    if version is None:
        _told(context, back)
    rollout.check(back)
    _move_stable(rollout, back, _again(context, back), dry_run)


def _told(context: typer.Context, version: int) -> int:
    """Say which version a command takes that was given none, in the words that mean the same whenever it is run."""
    typer.echo(f"version {version} is taken, as by {_again(context, version)}", err=True)
    return version


def _again(context: typer.Context, argument: object) -> str:
    """Return the command for whoever has to run it again: with what it is about, whether or not that was given."""
    given = context.params
    words = ["shelver-trainer", context.info_name, given["models"], argument]
    words += [word for each in ("name", "server") if given[each] for word in (f"--{each}", given[each])]
    return shlex.join(map(str, [*words, "--no-wait"] if given["no_wait"] else words))


def _move_stable(rollout: "Rollout", version: int, again: str, dry_run: bool) -> None:
    was = rollout.labels().get(STABLE, version)
    word = f"shelver-worker rollout off; shelver-producer backfill --predicted-by {was}, for what {was} predicted last"
    _do(rollout, STABLE, labels.stable(version), again, dry_run, "" if was == version else word)


def _do(
    rollout: "Rollout",
    label: str,
    change: Change,
    again: str,
    dry_run: bool,
    next_step: str = "",
    alone: bool = False,
) -> None:
    """Move the label, or say what that would do."""
    verb = "would be" if dry_run else "is"
    after = rollout.plan(change) if dry_run else rollout.move(label, change, again, alone)
    told = [f"{label} {verb} {f'version {after.pop(label)}' if label in after else 'no version'}"]
    told += [f"{each} {verb} version {version}" for each, version in sorted(after.items())]
    asked = "" if dry_run or rollout.timeout_seconds is None else f"; {rollout.settings.serving_address} answers so"
    typer.echo(f"{', '.join(told)} in {rollout.file}{asked}")
    if next_step and not dry_run:
        typer.echo(f"next: {next_step}")


def _rollout(models: Path, name: str | None, server: str | None, timeout: float, no_wait: bool) -> "Rollout":
    from trainer.publishing.rollout import Rollout

    settings = settings_for(name, server)
    return Rollout(models / settings.model_name, settings, None if no_wait else timeout, partial(typer.echo, err=True))


COMMANDS = (canary, promote, rollback)
