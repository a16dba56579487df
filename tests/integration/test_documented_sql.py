"""docs/analysts.md: its SQL runs as it stands, on either database."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.benchmarks.analysts.page import Question, questions
from tests.benchmarks.analysts.store import fill
from tests.conftest import create_database
from worker.contract.database import Database

PREDICTIONS = 4_000
ONE_PRODUCT = "what_else_might_this_product_be"
QUESTIONS = list(questions())


@pytest.fixture(scope="module")
def filled(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Database]]:
    """A small store of the kind that the page's answers are of, on either database."""
    urls = [f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}", create_database(postgres_url)]
    for url in urls:
        fill(url, PREDICTIONS)
    with closing(Database(urls[0], read_only=True)) as sqlite, closing(Database(urls[1], read_only=True)) as postgresql:
        yield [sqlite, postgresql]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_every_question_has_the_same_answer_on_both(filled: list[Database], question: Question) -> None:
    """No question is of one database alone, or about what is not there."""
    answers = []
    for database in filled:
        with database.begin() as connection:
            answers.append([[plain(value) for value in row] for row in connection.execute(text(question.sql))])
    if question.name != ONE_PRODUCT:  # of a million, who need not be among these few
        assert answers[0]
    assert answers[0] == answers[1]
    assert all(value is not None for row in answers[0] for value in row)


def plain(value: Any) -> Any:
    """A value as either driver could have given it: SQLite has no times, and PostgreSQL exact numbers beside floats."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return round(float(value), 6) if isinstance(value, int | float | Decimal) else value


def test_the_page_has_the_questions_that_analysts_ask() -> None:
    """What is parsed is all of it, each under a name of its own."""
    page = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text(encoding="utf-8")
    assert len(QUESTIONS) == page.count("\n### ") >= 12
    assert len({each.name for each in QUESTIONS}) == len(QUESTIONS)
