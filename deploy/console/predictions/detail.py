"""All that the store has of one product: every model's answer, the seller's shelf, the verdict. SQL alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from worker.contract.database import among
from worker.contract.tables import candidates, models, predictions, rejects, verdicts
from worker.contract.views import assignments, category_paths
from worker.questions.shelves import Shelf

#: (category id, score)
Scored = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model says of a product."""

    model_id: int
    #: name:version
    model: str
    #: of the model's classes
    level: int
    is_latest: bool
    predicted_at: datetime
    picture_count: int
    listed_category_id: int | None
    #: the best of level 1, and of level 2
    above: tuple[Scored, Scored]
    #: best first
    candidates: list[Scored]


@dataclass(frozen=True, slots=True)
class Detail:
    """A product as the store knows it."""

    product_id: int
    #: the latest first
    answers: list[Answer]
    #: every category that is named here and is in the tree, by id
    shelves: dict[int, Shelf]
    #: rows of `verdicts`, of the view `assignments` and of `rejects`; None where there is none
    verdict: Row[Any] | None
    assignment: Row[Any] | None
    reject: Row[Any] | None

    @property
    def is_unknown(self) -> bool:
        """Whether the store has nothing of it."""
        return not self.answers and self.verdict is None and self.reject is None

    def answer(self, model_id: int) -> Answer | None:
        """Return what that model says."""
        return next((each for each in self.answers if each.model_id == model_id), None)


def detail(connection: Connection, product_id: int) -> Detail:
    """Return what the store knows of a product, which may be nothing."""
    verdict, assignment, reject = (
        connection.execute(select(each).where(each.c.product_id == product_id)).one_or_none()
        for each in (verdicts, assignments, rejects)
    )
    answers = _answers(connection, product_id)
    named = {each.listed_category_id for each in answers} | {each.category_id for each in (verdict, assignment) if each}
    named |= {category_id for each in answers for category_id, _ in (*each.above, *each.candidates)}
    return Detail(product_id, answers, _shelves(connection, named), verdict, assignment, reject)


def _answers(connection: Connection, product_id: int) -> list[Answer]:
    ranked: dict[int, list[Scored]] = {}
    mine = select(candidates).where(candidates.c.product_id == product_id).order_by(candidates.c.rank)
    for row in connection.execute(mine):
        ranked.setdefault(row.model_id, []).append((row.category_id, row.score))
    told = (
        select(predictions, models.c.name, models.c.version, models.c.level)
        .join(models)
        .where(predictions.c.product_id == product_id)
        .order_by(predictions.c.is_latest.desc(), predictions.c.predicted_at.desc(), models.c.id.desc())
    )
    return [
        Answer(
            row.model_id,
            f"{row.name}:{row.version}",
            row.level,
            row.is_latest,
            row.predicted_at,
            row.picture_count,
            row.listed_category_id,
            ((row.level1_id, row.level1_score), (row.level2_id, row.level2_score)),
            ranked.get(row.model_id, [(row.category_id, row.score)]),
        )
        for row in connection.execute(told)
    ]


def _shelves(connection: Connection, ids: Iterable[int | None]) -> dict[int, Shelf]:
    c = category_paths.c
    wanted = among(connection, c.category_id, sorted({each for each in ids if each is not None}))
    query = select(c.category_id, c.level, c.name, c.name_en, c.path, c.path_en).where(wanted)
    return {row.category_id: Shelf(*row) for row in connection.execute(query)}
