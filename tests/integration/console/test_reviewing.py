"""Claims, verdicts and undo as rows of SQL, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from deploy.console.review.queue import HELD, Queue, Waiting, Walk, remaining
from deploy.console.review.reviewing import Claim, NotYours, Reviewing, clean
from deploy.console.review.tallies import Tally, agreement, tallies
from tests.conftest import create_database
from tests.integration.console.stored import BALL, CUP, HOME, LAMP, PLATE, UNKNOWN, Stored, rows_of, store, tree
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import predictions, verdicts
from worker.contract.verdicts import Decision

DIFFER, UNSURE = Waiting(Queue.DISAGREEMENTS), Waiting(Queue.UNSURE)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with a tree, for all tests of this module."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}"
    if request.param == "postgresql":
        url = create_database(request.getfixturevalue("postgres_url"))
    settings = Settings(database_url=url)
    schema.migrate(settings)
    with closing(Database(settings.database_url)) as database:
        tree(database)
        yield database


@pytest.fixture
def database(migrated: Database) -> Database:
    """The same without predictions and verdicts."""
    with migrated.begin() as connection:
        connection.execute(delete(verdicts))
        connection.execute(delete(predictions))
    return migrated


@pytest.fixture
def reviewing(database: Database) -> Iterator[Reviewing]:
    """Reviews of that store."""
    with closing(Reviewing(Database(database.engine.url.render_as_string(hide_password=False)))) as opened:
        yield opened


def left_open(database: Database, product_id: int, ago: timedelta) -> None:
    """Make a claim look older."""
    with database.begin() as connection:
        was = {"decided_at": datetime.now(UTC) - ago}
        connection.execute(update(verdicts).where(verdicts.c.product_id == product_id).values(was))


def ids(reviewing: Reviewing, walk: Walk) -> list[int]:
    """Skip to the end; return what came."""
    found = []
    while claim := reviewing.next(walk):
        found.append(claim.product_id)
        walk.skipped.add(claim.product_id)
        reviewing.decide(walk.reviewer, claim, Decision.SKIPPED)
    return found


def test_disagreements_come_the_surest_first(database: Database, reviewing: Reviewing) -> None:
    """Only what the seller put elsewhere, by falling score and then id; a queue of a shelf is the model's shelf."""
    store(
        database,
        [
            Stored(1, CUP, 0.5, PLATE),
            Stored(2, CUP, 0.8, CUP),
            Stored(3, CUP, 0.9, UNKNOWN),
            Stored(4, BALL, 0.8, CUP),
            Stored(5, CUP, 0.8, PLATE),
            Stored(6, CUP, 0.95, None),
        ],
    )
    with database.begin() as connection:
        assert remaining(connection, DIFFER, "Anna", datetime.now(UTC), 10) == 4
        assert remaining(connection, DIFFER, "Anna", datetime.now(UTC), 3) == 3
    assert ids(reviewing, Walk("Anna", DIFFER)) == [3, 4, 5, 1]
    assert ids(reviewing, Walk("Ben", Waiting(Queue.DISAGREEMENTS, HOME))) == [3, 5, 1]


def test_what_the_model_is_unsure_of_comes_the_least_sure_first(database: Database, reviewing: Reviewing) -> None:
    """Only what clears no threshold, by rising score, whatever the seller says."""
    store(
        database, [Stored(1, score=0.49), Stored(2, score=0.2, listed=BALL), Stored(3, score=0.5), Stored(4, BALL, 0.3)]
    )
    assert ids(reviewing, Walk("Anna", UNSURE)) == [2, 4, 1]
    assert ids(reviewing, Walk("Ben", Waiting(Queue.UNSURE, HOME))) == [2, 1]


def test_no_product_is_before_two_people(database: Database, reviewing: Reviewing) -> None:
    """Reviewers who ask at the same time get different products, and together all of them."""
    store(database, [Stored(each, CUP, 0.9, PLATE) for each in range(1, 31)])

    def review(name: str) -> list[int]:
        walk, mine = Walk(name, DIFFER), []
        while claim := reviewing.next(walk):
            reviewing.decide(name, claim, Decision.MODEL, CUP)
            mine.append(claim.product_id)
        return mine

    names = ["Anna", "Ben", "Cleo", "Dora"]
    with ThreadPoolExecutor(len(names)) as pool:
        done = zip(names, pool.map(review, names), strict=True)
        given = [(product_id, name) for name, mine in done for product_id in mine]
    assert [product_id for product_id, _ in sorted(given)] == list(range(1, 31))
    assert [(row.product_id, row.reviewer) for row in rows_of(database)] == sorted(given)


def test_verdicts_are_stored_whole(database: Database, reviewing: Reviewing) -> None:
    """A row says who, what, when, about which model's prediction; an open one has no category yet."""
    store(database, [Stored(each, CUP, 0.9 - each / 100, PLATE) for each in range(1, 6)])
    walk, before = Walk("Anna", DIFFER), datetime.now(UTC)
    given = [
        (Decision.SELLER, PLATE, ""),
        (Decision.MODEL, CUP, "clear"),
        (Decision.OTHER, LAMP, ""),
        (Decision.SKIPPED, None, "too dark"),
    ]
    for decision, category_id, note in given:
        claim = reviewing.next(walk)
        assert claim is not None
        reviewing.decide("Anna", claim, decision, category_id, note)
        walk.skipped.add(claim.product_id)
    assert reviewing.next(walk) == Claim(5, 1)
    rows = rows_of(database)
    assert [(row.product_id, row.decision, row.category_id, row.note) for row in rows] == [
        (1, "seller", PLATE, None),
        (2, "model", CUP, "clear"),
        (3, "other", LAMP, None),
        (4, "skipped", None, "too dark"),
        (5, "open", None, None),
    ]
    assert {(row.reviewer, row.model_id) for row in rows} == {("Anna", 1)}
    assert all(before <= row.decided_at <= datetime.now(UTC) for row in rows)


def test_who_comes_back_gets_the_same(database: Database, reviewing: Reviewing) -> None:
    """A reload, or a second tab, finds what is open, as long as it is of the queue that is asked for."""
    store(database, [Stored(1, CUP, 0.9, PLATE), Stored(2, CUP, 0.8, PLATE), Stored(3, score=0.1)])
    assert reviewing.next(Walk("Anna", DIFFER)) == reviewing.next(Walk("Anna", DIFFER)) == Claim(1, 1)
    assert reviewing.next(Walk("Anna", UNSURE)) == Claim(3, 1)
    assert reviewing.next(Walk("Anna", DIFFER)) == Claim(1, 1)
    assert reviewing.next(Walk("Ben", DIFFER)) == Claim(2, 1)


def test_in_two_tabs_the_first_verdict_counts(database: Database, reviewing: Reviewing) -> None:
    """One person in two tabs has one product open; the tab that comes second is told so."""
    store(database, [Stored(1, CUP, 0.9, PLATE)])
    first, second = (reviewing.next(Walk("Anna", DIFFER)) for _ in range(2))
    assert first is not None
    assert first == second
    reviewing.decide("Anna", first, Decision.SELLER, PLATE)
    with pytest.raises(NotYours, match=r"^product 1 was decided by you, in another tab: nothing was stored$"):
        reviewing.decide("Anna", first, Decision.MODEL, CUP)
    assert rows_of(database)[0].decision == "seller"


def test_what_is_left_open_comes_to_others(database: Database, reviewing: Reviewing) -> None:
    """After ten minutes a product is free; whoever lost it is told who has it, and changes nothing."""
    store(database, [Stored(1, CUP, 0.9, PLATE)])
    claim = reviewing.next(Walk("Anna", DIFFER))
    assert claim is not None
    left_open(database, 1, HELD - timedelta(seconds=30))
    assert reviewing.next(Walk("Ben", DIFFER)) is None
    left_open(database, 1, HELD + timedelta(seconds=1))
    assert reviewing.next(Walk("Ben", DIFFER)) == claim
    with pytest.raises(NotYours, match=r"^product 1 is before Ben now: nothing was stored$"):
        reviewing.decide("Anna", claim, Decision.MODEL, CUP)
    reviewing.decide("Ben", claim, Decision.SELLER, PLATE)
    assert [(row.reviewer, row.category_id) for row in rows_of(database)] == [("Ben", PLATE)]


def test_a_late_verdict_counts_while_nobody_else_came(database: Database, reviewing: Reviewing) -> None:
    """Ten minutes free a product; they do not take it away."""
    store(database, [Stored(1, CUP, 0.9, PLATE)])
    claim = reviewing.next(Walk("Anna", DIFFER))
    assert claim is not None
    left_open(database, 1, timedelta(days=1))
    reviewing.decide("Anna", claim, Decision.MODEL, CUP)
    assert rows_of(database)[0].decision == "model"


def test_what_is_skipped_comes_to_others_alone(database: Database, reviewing: Reviewing) -> None:
    """Not to who skipped it, and not again in the same walk when somebody else has skipped it too."""
    store(database, [Stored(1, CUP, 0.9, PLATE)])
    anna = Walk("Anna", DIFFER)
    assert ids(reviewing, anna) == [1]
    assert reviewing.next(Walk("Anna", DIFFER)) is None
    assert ids(reviewing, Walk("Ben", DIFFER)) == [1]
    assert reviewing.next(anna) is None


def test_undo_puts_a_product_back(database: Database, reviewing: Reviewing) -> None:
    """It is open again with its note, before the same person and nobody else."""
    store(database, [Stored(1, CUP, 0.9, PLATE), Stored(2, CUP, 0.8, PLATE)])
    walk = Walk("Anna", DIFFER)
    claim = reviewing.next(walk)
    assert claim is not None
    done = reviewing.decide("Anna", claim, Decision.MODEL, CUP, "sure")
    assert reviewing.next(walk) == Claim(2, 1)
    assert reviewing.undo("Anna", done) == Claim(1, 1, "sure")
    row = rows_of(database)[0]
    assert (row.decision, row.category_id, row.note) == ("open", None, "sure")
    assert reviewing.next(Walk("Ben", DIFFER)) is None
    assert reviewing.next(walk) == Claim(1, 1, "sure")
    with pytest.raises(NotYours, match="open again"):
        reviewing.undo("Anna", done)


def test_undo_leaves_what_others_changed(database: Database, reviewing: Reviewing) -> None:
    """A skip that somebody else has taken up since stays theirs."""
    store(database, [Stored(1, CUP, 0.9, PLATE)])
    claim = reviewing.next(Walk("Anna", DIFFER))
    assert claim is not None
    done = reviewing.decide("Anna", claim, Decision.SKIPPED)
    assert reviewing.next(Walk("Ben", DIFFER)) == claim
    with pytest.raises(NotYours, match="before Ben"):
        reviewing.undo("Anna", done)
    assert [(row.reviewer, row.decision) for row in rows_of(database)] == [("Ben", "open")]


def test_a_note_of_who_skipped_comes_to_the_next(database: Database, reviewing: Reviewing) -> None:
    """Why one person could not tell may help another."""
    store(database, [Stored(1, CUP, 0.9, PLATE)])
    claim = reviewing.next(Walk("Anna", DIFFER))
    assert claim is not None
    reviewing.decide("Anna", claim, Decision.SKIPPED, note="too dark")
    assert reviewing.next(Walk("Ben", DIFFER)) == Claim(1, 1, "too dark")


def test_who_comes_back_may_undo(database: Database, reviewing: Reviewing) -> None:
    """What they did since a moment, the latest last; not what is open, and nobody else's."""
    store(database, [Stored(each, CUP, 0.9 - each / 100, PLATE) for each in range(1, 7)])
    done = []
    for name, decision in [("Anna", Decision.MODEL), ("Ben", Decision.MODEL), *[("Anna", Decision.SKIPPED)] * 2]:
        claim = reviewing.next(Walk(name, DIFFER))
        assert claim is not None
        done.append(reviewing.decide(name, claim, decision, CUP if decision is Decision.MODEL else None, "why"))
    reviewing.next(Walk("Anna", DIFFER))
    assert reviewing.last("Anna", done[0].decided_at) == [done[0], *done[2:]]
    assert reviewing.last("Anna", done[2].decided_at) == done[2:]
    assert reviewing.undo("Anna", reviewing.last("Anna", done[0].decided_at)[-1]) == Claim(4, 1, "why")


def test_a_walk_goes_on_where_it_was(database: Database, reviewing: Reviewing) -> None:
    """What ranks higher and came in meanwhile comes when the walk begins anew: at its end, or after ten minutes."""
    store(database, [Stored(each, CUP, 0.8 - each / 100, PLATE) for each in range(1, 4)])
    walk = Walk("Anna", DIFFER)
    claim = reviewing.next(walk)
    assert claim is not None
    reviewing.decide("Anna", claim, Decision.MODEL, CUP)
    store(database, [Stored(9, CUP, 0.99, PLATE)])
    assert ids(reviewing, walk) == [2, 3, 9]
    store(database, [Stored(8, CUP, 0.5, PLATE), Stored(7, CUP, 0.4, PLATE)])
    claim = reviewing.next(walk)
    assert claim == Claim(8, 1)
    reviewing.decide("Anna", claim, Decision.MODEL, CUP)
    store(database, [Stored(10, CUP, 0.98, PLATE)])
    walk.began_at = datetime.now(UTC) - HELD - timedelta(seconds=1)
    assert reviewing.next(walk) == Claim(10, 1)


def test_tallies_count_by_reviewer(database: Database, reviewing: Reviewing) -> None:
    """Verdicts alone, today's apart; the model is right in its share of all of them."""
    store(database, [Stored(each, CUP, 0.9 - each / 100, PLATE) for each in range(1, 7)])
    given = [("Anna", Decision.MODEL, CUP), ("Anna", Decision.SELLER, PLATE), ("Anna", Decision.SKIPPED, None)]
    given += [("Anna", Decision.MODEL, CUP), ("Ben", Decision.OTHER, LAMP)]
    for name, decision, category_id in given:
        walk = Walk(name, DIFFER)
        claim = reviewing.next(walk)
        assert claim is not None
        reviewing.decide(name, claim, decision, category_id)
    reviewing.next(Walk("Cleo", DIFFER))
    left_open(database, 1, timedelta(days=2))
    with database.begin() as connection:
        told = tallies(connection, datetime.now(UTC) - timedelta(hours=1))
        assert told == [Tally("Anna", 2, 1, 2, 0), Tally("Ben", 1, 0, 0, 1)]
        assert agreement(told) == 0.5
        assert agreement([]) is None
        assert tallies(connection, datetime.now(UTC))[0].today == 0


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Anna \t Lee ", "Anna Lee"),
        ("A\0nn\u202ea\udc80", "A nn a"),
        (" \n\u200b", ""),
        ("Ame\u0301lie", "Am\xe9lie"),
    ],
)
def test_names_are_one_line_of_text(typed: str, kept: str) -> None:
    """Blanks, control characters and what no database takes are left out; the same letters are the same name."""
    assert clean(typed, 200) == kept
    assert len(clean("x" * 300, 200)) == 200
