"""rollout report: whether the canary may be promoted."""

import json
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.reading import Since, reading
from worker.cli.reported import Report
from worker.contract.errors import ShelverError
from worker.rollout import CANARY

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.contract.settings import Settings
    from worker.latency import Latency
    from worker.questions.models import Version
    from worker.rollout import Answered

Named = Annotated[
    str | None, typer.Option(metavar="[NAME:]VERSION", help="the version that the label is on when left out")
]
LARGEST = {"min": 0.0, "max": 1.0}


class NotMeasured(ShelverError):
    """The two cannot be compared."""


def report(
    canary: Named = None,
    stable: Named = None,
    since: Since = None,
    max_flips: Annotated[
        float, typer.Option(**LARGEST, help="share of the products that may be put elsewhere at the finest level")
    ] = 0.15,
    min_agreement_level1: Annotated[
        float, typer.Option(**LARGEST, help="share of the products that must stay where they are at level 1")
    ] = 0.92,
    min_agreement_level2: Annotated[float, typer.Option(**LARGEST, help="the same at level 2")] = 0.88,
    max_right_loss: Annotated[
        float, typer.Option(**LARGEST, help="share of the products that may be right with the stable model alone, net")
    ] = 0.02,
    max_score_psi: Annotated[
        float, typer.Option(min=0, help="how far the scores may shift, by the population stability index")
    ] = 0.25,
    min_answered: Annotated[
        float, typer.Option(**LARGEST, help="share of what it was to answer that it must have, since its rollout began")
    ] = 0.95,
    max_latency_ratio: Annotated[
        float, typer.Option(min=0, help="how many times as long a call of the canary may take, by the medians")
    ] = 1.5,
    min_products: Annotated[int, typer.Option(min=1, help="that both must have predicted; fewer say too little")] = 500,
    calls: Annotated[int, typer.Option(min=1, help="to each of the two, in turns, for the latency")] = 20,
    latency: Annotated[bool, typer.Option(help="measure it, of the models that the labels are on now")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, for whatever promotes by itself")] = False,
) -> None:
    """Compare the canary with the stable model on products that both predicted, and judge whether to promote it.

    Exits with 0 when every criterion passes, else with 1; too few products are a criterion that fails, and what cannot
    be judged is told. `rollout shadow` makes products that both predicted, from the same pictures; `rollout canary`
    makes them only of what the stable model knew and is enqueued again, since a new listing has one answer. What is
    right is what a person's verdict says, or else the seller; it is judged once that is known of --min-products.
    Answered is of all products in the share, since `rollout canary` or `shadow` was last run.

    --since compares what the canary predicted then or later, which leaves out what it knew. After its promotion a
    canary has lost its label: name both versions, with --no-latency.

    $ shelver-worker rollout report --since 2d --max-flips 0.2

    $ shelver-worker rollout report --stable 3 --canary 4 --no-latency
    """
    with reading() as (settings, connection):
        from worker.questions.rollout import Limits, judge, measure

        limits = Limits(
            *(min_products, max_flips, {1: min_agreement_level1, 2: min_agreement_level2}),
            *(max_right_loss, max_score_psi, min_answered, max_latency_ratio),
        )
        models = (
            _version(settings, connection, stable, settings.model_label),
            _version(settings, connection, canary, CANARY),
        )
        if models[0] == models[1]:
            raise NotMeasured(f"{models[0]} would be compared with itself: name two versions")
        found = measure(connection, *models, since)
    timed = _timed(settings, models, calls) if latency else None
    answered = _answered(settings, models[1])
    judgement = judge(found, limits, answered, timed.ratio if timed else None)
    told = Report(*models, found, answered, timed, judgement)
    if as_json:
        typer.echo(json.dumps(told.to_json(), indent=2))
    else:
        told.print()
    raise typer.Exit(0 if judgement.passed else 1)


def _version(settings: "Settings", connection: "Connection", named: str | None, label: str) -> "Version":
    """Return the model that a person named, or that the label is on."""
    from worker.questions.models import version
    from worker.serving import Serving

    if named is None:
        with closing(Serving(settings, label)) as serving:
            named = str(serving.model().version)
    return version(connection, named, settings.model_name)


def _answered(settings: "Settings", canary: "Version") -> "Answered | None":
    from worker.control import Control

    if canary.name != settings.model_name:
        return None
    with closing(Control(settings)) as control:
        return control.answered(canary.version)


def _timed(settings: "Settings", models: "tuple[Version, Version]", calls: int) -> "Latency":
    from worker.latency import measure

    timed = measure(settings, calls)
    for asked, label, model in zip(
        (timed.stable_version, timed.canary_version), (settings.model_label, CANARY), models, strict=True
    ):
        if (settings.model_name, asked) != (model.name, model.version):
            raise NotMeasured(
                f"the latency of {model} cannot be measured: version {asked} is {label or 'the newest'} now; leave the "
                "version out, or add --no-latency"
            )
    return timed
