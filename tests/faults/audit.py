"""The same questions at the end of every case: is anything lost, doubled, left behind or different?"""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import make_url, select

from tests.faults import report
from tests.faults.line import CHILDREN, Line
from tests.faults.report import Case
from worker.contract.database import Database
from worker.contract.rejects import Reason
from worker.contract.tables import candidates, models, predictions, rejects

#: scores of one picture differ by the order of sums in a batch
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Answer:
    """What is stored of one product under one model version."""

    category_id: int
    #: (category id, score), best first
    ranked: tuple[tuple[int, float], ...]

    def is_like(self, other: "Answer") -> bool:
        """Say whether it has the same categories in the same order, with the same scores."""
        return (
            self.category_id == other.category_id
            and [category for category, _ in self.ranked] == [category for category, _ in other.ranked]
            and all(abs(a - b) <= TOLERANCE for (_, a), (_, b) in zip(self.ranked, other.ranked, strict=True))
        )


#: by product id and model version
Answers = dict[tuple[int, int], Answer]


def read(database_url: str) -> tuple[Answers, dict[int, Reason]]:
    """Return all predictions and rejects; fails when a product has two of a kind."""
    version = select(models.c.version).where(models.c.id == predictions.c.model_id).scalar_subquery()
    query = select(
        predictions.c.product_id, version.label("version"), predictions.c.model_id, predictions.c.category_id
    )
    with closing(Database(database_url)) as database, database.begin() as connection:
        rows = connection.execute(query).all()
        refused = connection.execute(select(rejects.c.product_id, rejects.c.reason)).all()
        ranked: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for row in connection.execute(select(candidates).order_by(candidates.c.rank)):
            listed = ranked.setdefault((row.product_id, row.model_id), [])
            listed.append((row.category_id, row.score))
            assert row.rank == len(listed), f"product {row.product_id} has a rank twice, or misses one"
    answers = {
        (row.product_id, row.version): Answer(row.category_id, tuple(ranked.pop((row.product_id, row.model_id))))
        for row in rows
    }
    assert len(answers) == len(rows), "a product has two predictions of one model"
    assert not ranked, "there are candidates of no prediction"
    assert len(dict(map(tuple, refused))) == len(refused), "a product has two rejects"
    return answers, dict(map(tuple, refused))


def settle(line: Line, seconds: float = 120) -> None:
    """Wait until every id has a row and nothing is on its way."""

    def is_settled() -> bool:
        return not any(line.waiting().values()) and line.count() >= len(line.asked_for)

    line.wait_until(is_settled, "end of the work", seconds)


def check(line: Line, undisturbed: Answers, expected: Mapping[int, Reason] | None = None) -> None:
    """Settle, then fail unless each id has the prediction of the undisturbed run, or the reject that is expected."""
    expected = expected or {}
    settle(line)
    answers, refused = read(line.database_url)
    assert refused == expected
    assert {identity for identity, _ in answers} == line.asked_for - expected.keys()
    different = [key for key, answer in answers.items() if not answer.is_like(undisturbed[key])]
    assert not different, f"{len(different)} answers differ from the undisturbed run's, e.g. of {different[:3]}"
    for worker in line.workers:
        assert worker.is_running, line.logs_end()
    line.wait_until(lambda: len(line.children()) == CHILDREN * len(line.workers), "child in every place", seconds=15)
    logs = line.logs()
    report.CASES.append(
        Case(
            line.name,
            make_url(line.database_url).get_backend_name(),
            len(line.asked_for),
            len(answers),
            len(refused),
            *(logs.count(text) for text in ("page done", "page goes back", " is cut")),
            time.monotonic() - line.started,
        )
    )
