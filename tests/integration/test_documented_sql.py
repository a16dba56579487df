"""docs/analysts.md: its SQL runs as it stands, on either database."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.benchmarks.analysts.page import Question, questions
from tests.benchmarks.analysts.store import fill
from tests.conftest import create_database
from worker.contract.database import Database

PREDICTIONS = 4_000
QUESTIONS = list(questions())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A small store of the kind that the page's answers are of."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}"
    else:
        url = create_database(request.getfixturevalue("postgres_url"))
    fill(url, PREDICTIONS)
    with closing(Database(url, read_only=True)) as database:
        yield database


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_every_question_has_an_answer(filled: Database, question: Question) -> None:
    """No question is of one database alone, or about what is not there."""
    with filled.begin() as connection:
        found = connection.execute(text(question.sql)).all()
    assert found or "product_id = " in question.sql, "one product of the million need not be among these few"
    assert all(value is not None for row in found for value in row)


def test_the_page_has_the_questions_that_analysts_ask() -> None:
    """What is parsed is all of it, each under a name of its own."""
    page = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text(encoding="utf-8")
    assert len(QUESTIONS) == page.count("\n### ") >= 12
    assert len({each.name for each in QUESTIONS}) == len(QUESTIONS)
