"""A report on a canary, for people and as JSON."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from worker.cli import showing

if TYPE_CHECKING:
    from worker.latency import Latency
    from worker.questions.models import Version
    from worker.questions.rollout import Judgement, Measured
    from worker.rollout import Answered


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found out."""

    stable: "Version"
    canary: "Version"
    found: "Measured"
    #: of the canary; None when no rollout of it is known of
    answered: "Answered | None"
    #: None when it was not measured
    latency: "Latency | None"
    judgement: "Judgement"

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        of, latency = self.found.comparison, self.latency
        sides = {
            name: {"name": model.name, "version": model.version, "right": right, "mean_score": score}
            for name, model, right, score in zip(
                ("stable", "canary"),
                *((self.stable, self.canary), (of.old_right, of.new_right), self.found.mean_scores),
                strict=True,
            )
        }
        asked = {"products": self.answered.products, "answered": self.answered.answered} if self.answered else None
        seconds = {"stable": latency.stable_seconds, "canary": latency.canary_seconds} if latency else None
        judged = [
            {"name": each.name, "value": each.value, "limit": each.limit, "passed": each.passed}
            for each in self.judgement.criteria
        ]
        return {
            **sides,
            **{"products": of.both, "labelled": of.labelled, "level": self.found.level, "same": of.same},
            **{"score_psi": self.found.score_psi, "flips": [dict(row._mapping) for row in self.found.flips]},
            **{"share": asked, "median_seconds": seconds, "criteria": judged},
            "not_judged": {each.name: each.why for each in self.judgement.not_judged},
            "passed": self.judgement.passed,
        }

    def print(self) -> None:
        """Print what was measured, then each criterion, and whether to promote the canary on the last line."""
        of = self.found.comparison
        told = f"{of.both:,} products of both, {of.labelled:,} with a known category"
        typer.echo(f"stable {self.stable}, canary {self.canary}: {told}")
        if of.both:
            self._print_comparison()
        else:
            typer.echo("shelver-worker rollout shadow has both predict the same products")
        if asked := self.answered:
            typer.echo(f"answered: {asked.answered:,} of {asked.products:,} products since its rollout began")
        if self.latency:
            stable, canary = (1000 * each for each in (self.latency.stable_seconds, self.latency.canary_seconds))
            typer.echo(f"median call: {stable:.1f} ms stable, {canary:.1f} canary")
        self._print_judgement()

    def _print_comparison(self) -> None:
        found = self.found
        levels = ("level", "#the same", "#stable right", "#canary right")
        showing.print_table(levels, showing.levels(found.comparison))
        columns = ("category of the stable model", "#products", "#left it", "#share", "most of them for", "#products")
        showing.print_table(columns, map(showing.flip, found.flips))
        scores = (f"{score:.4f} {name}" for score, name in zip(found.mean_scores, ("stable", "canary"), strict=True))
        typer.echo(f"mean score at level {found.level}: {', '.join(scores)}")

    def _print_judgement(self) -> None:
        for each in self.judgement.criteria:
            bound = f"at {'most' if each.is_most else 'least'} {each.limit:,g}"
            typer.echo(f"{'pass' if each.passed else 'FAIL'}  {each.name:<22} {each.value:>10,.4g}  {bound}")
        names: dict[str, list[str]] = {}
        for left_out in self.judgement.not_judged:
            names.setdefault(left_out.why, []).append(left_out.name)
        for why, these in names.items():
            typer.echo(f"not judged: {', '.join(these)}; {why}")
        failed = [each.name for each in self.judgement.criteria if not each.passed]
        if failed:
            typer.echo(f"FAIL: {', '.join(failed)}; version {self.canary.version} is not to be promoted yet")
        else:
            typer.echo(f"PASS: shelver-trainer promote MODELS {self.canary.version} makes it the stable one")
