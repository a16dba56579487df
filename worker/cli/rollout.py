"""rollout show, canary, shadow, off, report: try a new model out before all products are asked of it."""

from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer

from worker.cli.report import report
from worker.contract import settings as configuration
from worker.contract.errors import ShelverError
from worker.contract.settings import Settings
from worker.outcome import Side
from worker.rollout import CANARY, OFF, Rollout

app = typer.Typer(
    name="rollout",
    help="Try a new model out on a share of the products, compare it with the stable one, and stop; workers follow "
    "from their next page on. In order: shelver-trainer canary MODELS VERSION, rollout shadow, rollout report, rollout "
    "canary, rollout report, shelver-trainer promote MODELS, rollout off.",
    no_args_is_help=True,
)


class NotRolledOut(ShelverError):
    """The canary is not tried out; workers go on as before."""


def to_share(text: str) -> float:
    """Return a share of the products, above 0 and up to 1."""
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if 0 < share <= 1:
        return share
    raise typer.BadParameter(f"{text!r} is no share: write a number above 0 and up to 1, as 0.05; `off` is for none")


Share = Annotated[
    float,
    typer.Option(
        parser=to_share,
        metavar="SHARE",
        help="of all products, above 0 and up to 1; chosen by a hash of the id, so that a product stays in it",
    ),
]


@app.command()
def show() -> None:
    """Tell what is being tried out, and which versions the stable model and the canary are."""
    from worker.control import Control

    settings = configuration.load()
    with closing(Control(settings)) as control:
        rollout = control.rollout()
    label = settings.model_label
    asked_by = f"labelled {label}" if label else "the newest, as SHELVER_MODEL_LABEL is not set"
    stable, canary = _found(settings, label), _found(settings, CANARY)
    typer.echo(f"rollout: {rollout.told(canary if isinstance(canary, int) else None)}")
    for named, found in ((f"stable, {asked_by}", stable), (f"canary, labelled {CANARY}", canary)):
        typer.echo(f"{named}: {f'version {found}' if isinstance(found, int) else f'none: {found}'}")
    if rollout != OFF:
        typer.echo("next: shelver-worker rollout report compares the two, shelver-worker rollout off ends it")
    elif isinstance(canary, int):
        typer.echo("next: shelver-worker rollout shadow --share 0.05")
    else:
        typer.echo("next: shelver-trainer canary MODELS VERSION")


@app.command()
def canary(share: Share = 0.05) -> None:
    """Have the canary, instead of the stable model, answer for a share of the products.

    What it answers counts: it is the product's latest prediction. Where it is missing, fails or refuses, the stable
    model answers as ever; so it does for what is left of a page after a quarter of SHELVER_PREDICT_TIMEOUT_SECONDS.

    It is a rollout of the version that is labelled canary now: one that is labelled so later is asked about nothing
    until this is run again. Refused unless that version is registered in the store and answers, and SHELVER_MODEL_LABEL
    is set, here and for the workers: without it they ask for the newest version, which is the canary.

    $ shelver-worker rollout canary --share 0.05
    """
    _begin(Rollout(Side.CANARY, share), "answers for them instead of")


@app.command()
def shadow(share: Share = 0.05) -> None:
    """Have the canary answer for a share of the products beside the stable model, so that the two can be compared.

    Both answers are stored, and the stable model's stays the latest: no assignment changes. Once the canary is
    promoted, products that are enqueued again have its answer at once. What it takes is time of the model server,
    and of workers: a page is done when both have answered. Refused as `canary` is.

    $ shelver-worker rollout shadow --share 0.2
    """
    _begin(Rollout(Side.SHADOW, share), "is asked about them beside")


@app.command()
def off() -> None:
    """Have the stable model answer for every product again. What the canary has answered stays until it is asked again.

    $ shelver-producer backfill --predicted-by 4   # has the stable model answer what version 4 has, on the slow queue
    """
    from worker.control import Control

    with closing(Control(configuration.load())) as control:
        was = control.rollout()
        control.roll_out(OFF)
    typer.echo(f"off, after {was}" if was != OFF else "off, as it was")
    if was.side is Side.CANARY:
        typer.echo("next, unless it is promoted: shelver-producer backfill --predicted-by VERSION")


app.command()(report)


def _begin(rollout: Rollout, does: str) -> None:
    from worker.control import Control

    settings = configuration.load()
    stable, tried = _versions(settings)
    with closing(Control(settings)) as control:
        control.roll_out(replace(rollout, version=tried))
    typer.echo(f"{rollout}: version {tried} {does} version {stable}, from each worker's next page on")
    typer.echo("next: shelver-worker rollout report compares the two, shelver-worker rollout off ends it")


def _versions(settings: Settings) -> tuple[int, int]:
    """Return the versions of the stable model and the canary; raises NotRolledOut, ModelUnfit or Unavailable."""
    from worker.asking import Stable
    from worker.canary import Canary
    from worker.serving import Serving
    from worker.store import Store

    if settings.model_label in ("", CANARY):
        raise NotRolledOut(
            f"SHELVER_MODEL_LABEL is {settings.model_label or 'not set'}, so that workers ask the canary about every "
            "product: set it to stable, here and for them, and start them again"
        )
    with closing(Store(settings)) as store, closing(Serving(settings)) as serving:
        stable = Stable(settings, serving, store).check().version
        with closing(Canary(settings, store)) as tried:
            canary = tried.check().version
    if canary == stable:
        raise NotRolledOut(
            f"version {stable} is labelled both {settings.model_label} and canary: label another with shelver-trainer "
            "canary MODELS VERSION"
        )
    return stable, canary


def _found(settings: Settings, label: str) -> int | str:
    """Return which version a label is on, or why that cannot be said."""
    from worker.serving import Serving

    try:
        with closing(Serving(settings, label)) as serving:
            return serving.model().version
    except ShelverError as error:
        return str(error)
