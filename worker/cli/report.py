"""rollout report: whether the canary may be promoted."""

import json
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import showing
from worker.cli.reading import Since, reading
from worker.contract.errors import ShelverError
from worker.rollout import CANARY

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.contract.settings import Settings
    from worker.latency import Latency
    from worker.questions.models import Version
    from worker.questions.rollout import Criterion, Measured

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
    max_latency_ratio: Annotated[
        float, typer.Option(min=0, help="how many times as long a call of the canary may take, by the medians")
    ] = 1.5,
    min_products: Annotated[int, typer.Option(min=1, help="that both must have predicted; fewer say too little")] = 500,
    calls: Annotated[int, typer.Option(min=1, help="to each of the two, in turns, for the latency")] = 20,
    latency: Annotated[bool, typer.Option(help="measure it, of the models that the labels are on now")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, for whatever promotes by itself")] = False,
) -> None:
    """Compare the canary with the stable model on products that both predicted, and judge whether to promote it.

    Exits with 0 when every criterion passes, else with 1; too few products are a criterion that fails. `rollout shadow`
    makes products that both predicted, and so does the canary where it answers for what the stable model knew. What is
    right is what a person's verdict says, or else the seller; it is judged once that is known of --min-products.

    --since counts what the canary predicted then or later. After its promotion a canary has lost its label: name both
    versions, with --no-latency.

    $ shelver-worker rollout report --since 2d --max-flips 0.2

    $ shelver-worker rollout report --stable 3 --canary 4 --no-latency
    """
    with reading() as (settings, connection):
        from worker.questions.rollout import Limits, judge, measure

        limits = Limits(
            *(min_products, max_flips, {1: min_agreement_level1, 2: min_agreement_level2}),
            *(max_right_loss, max_score_psi, max_latency_ratio),
        )
        models = (
            _version(settings, connection, stable, settings.model_label),
            _version(settings, connection, canary, CANARY),
        )
        if models[0] == models[1]:
            raise NotMeasured(f"{models[0]} would be compared with itself: name two versions")
        found = measure(connection, *models, since)
    timed = _timed(settings, models, calls) if latency else None
    criteria = judge(found, limits, timed.ratio if timed else None)
    if as_json:
        typer.echo(json.dumps(_to_json(models, found, timed, criteria), indent=2))
    else:
        _print(models, found, timed, criteria)
    raise typer.Exit(0 if all(each.passed for each in criteria) else 1)


def _version(settings: "Settings", connection: "Connection", named: str | None, label: str) -> "Version":
    """Return the model that a person named, or that the label is on."""
    from worker.questions.models import version
    from worker.serving import Serving

    if named is None:
        with closing(Serving(settings, label)) as serving:
            named = str(serving.model().version)
    return version(connection, named, settings.model_name)


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


def _to_json(
    models: "tuple[Version, Version]", found: "Measured", timed: "Latency | None", criteria: "list[Criterion]"
) -> dict[str, Any]:
    of = found.comparison
    sides = {
        name: {"name": model.name, "version": model.version, "right": right, "mean_score": score}
        for name, model, right, score in zip(
            ("stable", "canary"), models, (of.old_right, of.new_right), found.mean_scores, strict=True
        )
    }
    seconds = {"stable": timed.stable_seconds, "canary": timed.canary_seconds} if timed else None
    judged = [{"name": each.name, "value": each.value, "limit": each.limit, "passed": each.passed} for each in criteria]
    return {
        **sides,
        **{"products": of.both, "labelled": of.labelled, "level": found.level, "same": of.same},
        **{"score_psi": found.score_psi, "flips": [dict(row._mapping) for row in found.flips]},
        **{"median_seconds": seconds, "criteria": judged, "passed": all(each.passed for each in criteria)},
    }


def _print(
    models: "tuple[Version, Version]", found: "Measured", timed: "Latency | None", criteria: "list[Criterion]"
) -> None:
    stable, canary = models
    of = found.comparison
    typer.echo(f"stable {stable}, canary {canary}: {of.both:,} products of both, {of.labelled:,} with a known category")
    if of.both:
        showing.print_table(("level", "#the same", "#stable right", "#canary right"), showing.levels(of))
        columns = ("category of the stable model", "#products", "#left it", "#share", "most of them for", "#products")
        showing.print_table(columns, map(showing.flip, found.flips))
        scores = (f"{score:.4f} {name}" for score, name in zip(found.mean_scores, ("stable", "canary"), strict=True))
        typer.echo(f"mean score at level {found.level}: {', '.join(scores)}")
    else:
        typer.echo("shelver-worker rollout shadow has both predict the same products")
    if timed:
        typer.echo(
            f"median call: {1000 * timed.stable_seconds:.1f} ms stable, {1000 * timed.canary_seconds:.1f} canary"
        )
    for each in criteria:
        bound = f"at {'most' if each.is_most else 'least'} {each.limit:,g}"
        typer.echo(f"{'pass' if each.passed else 'FAIL'}  {each.name:<22} {each.value:>10,.4g}  {bound}")
    failed = [each.name for each in criteria if not each.passed]
    if failed:
        typer.echo(f"FAIL: {', '.join(failed)}; version {canary.version} is not to be promoted yet")
    else:
        typer.echo(f"PASS: shelver-trainer promote {canary.version} makes it the stable one")
