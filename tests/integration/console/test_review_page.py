"""The page for reviewers without a browser, on a real store and a real catalog."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from pymongo import MongoClient
from sqlalchemy import delete, text
from streamlit.testing.v1 import AppTest

from deploy.console.review.visit import Visit as ReviewVisit
from deploy.local.servers import free_port
from tests.integration.console.shown import texts
from tests.integration.console.stored import (
    BALL,
    CUP,
    LAMP,
    PLATE,
    UNKNOWN,
    Stored,
    forget,
    rows_of,
    store,
    tree,
    visited,
)
from tests.pictures import jpeg
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import verdicts
from worker.contract.verdicts import Decision

Visit = Callable[..., AppTest]


def page() -> None:
    import streamlit

    from deploy.console.review import page

    if "is_elsewhere" not in streamlit.session_state:
        page.show()


@pytest.fixture(scope="module")
def settings(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Four products whose sellers see them elsewhere than the model; the tree lacks the shelf of the second."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}"
    settings = Settings(database_url=url, mongo_url=mongo_url, mongo_database="test_review_page")
    schema.migrate(settings)
    with closing(Database(url)) as database:
        tree(database)
        listed = {1: PLATE, 2: UNKNOWN, 3: LAMP, 4: PLATE}
        store(database, [Stored(each, CUP, 0.9 - each / 100, shelf) for each, shelf in listed.items()])
        store(database, [Stored(5, CUP, 0.2, CUP)])
    with MongoClient(mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        listings.insert_many({"_id": each, "imgs": [{"picture": jpeg(each)}]} for each in range(1, 6))
        yield settings
        client.drop_database(settings.mongo_database)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The store, without verdicts."""
    with closing(Database(settings.database_url)) as opened:
        with opened.begin() as connection:
            connection.execute(delete(verdicts))
        yield opened


@pytest.fixture
def visit(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """Open the page as somebody, with other settings where `settings` are given."""

    def visit(name: str = "Anna", settings: Settings = settings) -> AppTest:
        test = visited(page, settings, monkeypatch)
        test.text_input[0].set_value(name)
        return test.button[0].click().run()

    yield visit
    forget()


def press(test: AppTest, key: str, product_id: int) -> None:
    """Click the button with this shortcut."""
    test.button(key=f"{key}-{product_id}").click().run()


def test_keys_become_verdicts(visit: Visit, database: Database) -> None:
    """One key a product: the model right, its second candidate, the seller's shelf by that way, skipped."""
    test = visit("  Anna \t")
    assert "Product [1](predictions?product=1)" in texts(test)
    test.text_input(key="note-1").set_value(" a *note* ")
    press(test, "M", 1)
    assert test.button(key="S-2").disabled
    assert test.button(key="S-2").help == f"The tree has no shelf {UNKNOWN} at level 3."
    press(test, "2", 2)
    press(test, "S", 3)
    press(test, "K", 4)
    assert "Nothing waits here" in texts(test)
    assert "**3** by you today · **3** by all · model right in **33 %**" in texts(test)
    assert [(row.product_id, row.reviewer, row.decision, row.category_id, row.note) for row in rows_of(database)] == [
        (1, "Anna", "model", CUP, "a *note*"),
        (2, "Anna", "other", PLATE, None),
        (3, "Anna", "seller", LAMP, None),
        (4, "Anna", "skipped", None, None),
    ]


def test_undo_goes_back_one_by_one(visit: Visit, database: Database) -> None:
    """The newest first, and what was open meanwhile comes again."""
    test = visit()
    press(test, "M", 1)
    press(test, "K", 2)
    for product_id in (2, 1):
        next(each for each in test.button if each.label == "Undo").click().run()
        assert test.button(key=f"K-{product_id}")
    assert next(each for each in test.button if each.label == "Undo").disabled
    press(test, "S", 1)
    assert [(row.product_id, row.decision) for row in rows_of(database)] == [(1, "seller"), (2, "open"), (3, "open")]


def test_another_shelf_is_searched(visit: Visit, database: Database) -> None:
    """Words of either language find shelves of level 3; the seller's own counts as the seller's."""
    test = visit()
    press(test, "O", 1)
    test.text_input(key="note-1").set_value("round")
    test.text_input(key="review-words").set_value("sport soccer").run()
    test.button(key=f"review-{BALL}").click().run()
    press(test, "O", 2)
    test.text_input(key="review-words").set_value("home").run()
    assert not [each for each in test.button if each.label.startswith("MAISON")]
    test.button(key=f"review-{CUP}").click().run()
    press(test, "O", 3)
    test.text_input(key="review-words").set_value(str(LAMP)).run()
    test.button(key=f"review-{LAMP}").click().run()
    assert [(row.product_id, row.decision, row.category_id, row.note) for row in rows_of(database)] == [
        (1, "other", BALL, "round"),
        (2, "model", CUP, None),
        (3, "seller", LAMP, None),
        (4, "open", None, None),
    ]


def test_letters_typed_ahead_are_no_verdicts(visit: Visit, database: Database) -> None:
    """What still arrives of the keys when the search is open does nothing, and the search shows none of them."""
    test = visit()
    press(test, "M", 1)
    open_: ReviewVisit = test.session_state["review"]
    assert open_.claim
    open_.search(open_.done[-1].claim, True)
    assert not open_.is_searching
    press(test, "O", 2)
    open_.decide(open_.claim, Decision.MODEL, CUP)
    open_.undo(open_.done[-1])
    assert {each.label for each in test.button} == {"Back", "Somebody else"}
    assert [(row.product_id, row.decision) for row in rows_of(database)] == [(1, "model"), (2, "open")]


def test_the_first_of_new_words_is_picked(visit: Visit, database: Database) -> None:
    """Ctrl+Enter before their shelves are shown: the first that has them, none where none has."""
    test = visit()
    press(test, "O", 1)
    test.text_input(key="review-words").set_value("sport").run()
    test.text_input(key="review-words").set_value("sport plate")
    test.button(key=f"review-{BALL}").click().run()
    assert "No shelf has all these words." in texts(test)
    test.text_input(key="review-words").set_value("home").run()
    test.text_input(key="review-words").set_value("home lamp")
    test.button(key=f"review-{CUP}").click().run()
    assert [(row.product_id, row.decision, row.category_id) for row in rows_of(database)] == [
        (1, "other", LAMP),
        (2, "open", None),
    ]


def test_a_store_that_is_away_takes_nothing_along(visit: Visit, database: Database) -> None:
    """Product, note and keys stay; the same key works once the store is back."""
    test = visit()
    press(test, "M", 1)
    test.text_input(key="note-2").set_value("round")
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE verdicts RENAME TO away"))
    try:
        for key in ("M-2", "U-1"):
            test.button(key=key).click().run()
            assert "nothing was stored, hit the key again when this is mended: sqlite" in texts(test)
            assert len([*test.warning, *test.error, *test.exception]) == 1
    finally:
        with database.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO verdicts"))
    press(test, "M", 2)
    assert "nothing was stored" not in texts(test)
    assert [(row.product_id, row.decision, row.note) for row in rows_of(database)] == [
        (1, "model", None),
        (2, "model", "round"),
        (3, "open", None),
    ]


def test_undo_hit_twice_takes_back_one(visit: Visit, database: Database) -> None:
    """The key is of the verdict that was shown beside it."""
    test = visit()
    press(test, "M", 1)
    press(test, "M", 2)
    open_: ReviewVisit = test.session_state["review"]
    last = open_.done[-1]
    press(test, "U", 2)
    open_.undo(last)
    assert [(row.product_id, row.decision) for row in rows_of(database)] == [(1, "model"), (2, "open"), (3, "open")]
    press(test, "U", 1)
    open_.undo(last)
    assert [row.decision for row in rows_of(database)] == ["open"] * 3


def test_undo_outlives_a_reload(visit: Visit, database: Database) -> None:
    """Whoever begins anew takes back what they decided before."""
    press(visit(), "M", 1)
    test = visit()
    press(test, "U", 1)
    assert [(row.product_id, row.decision) for row in rows_of(database)] == [(1, "open"), (2, "open")]


def test_names_come_with_their_path(visit: Visit) -> None:
    """The seller's and the model's, in both languages, for names repeat in the tree."""
    told = texts(visit())
    for french, english in (("ASSIETTE", "PLATE"), ("TASSE", "CUP")):
        assert f"MAISON > CUISINE > {french}  \nHOME > KITCHEN > {english}" in told


def test_a_note_waits_for_its_verdict(visit: Visit, database: Database) -> None:
    """Whatever page is looked at meanwhile."""
    test = visit()
    test.text_input(key="note-1").set_value("round").run()
    test.session_state["is_elsewhere"] = True
    test.run()
    del test.session_state["is_elsewhere"]
    test.run()
    press(test, "M", 1)
    assert rows_of(database)[0].note == "round"


def test_who_lost_a_product_is_told(visit: Visit, database: Database) -> None:
    """The verdict is not stored, and the next product is there."""
    test = visit()
    with database.begin() as connection:
        connection.execute(verdicts.update().values(reviewer="<b>Ben</b>"))
    press(test, "M", 1)
    assert "product 1 is before <b>Ben</b> now: nothing was stored" in texts(test)
    assert [(row.product_id, row.reviewer, row.decision) for row in rows_of(database)] == [
        (1, "<b>Ben</b>", "open"),
        (2, "Anna", "open"),
    ]
    press(test, "M", 2)
    assert "Ben" not in texts(test)


def test_the_other_queue_has_what_the_model_is_unsure_of(visit: Visit) -> None:
    """Where seller and model agree there is one key for both."""
    test = visit()
    test.segmented_control(key="review-queue").set_value("unsure").run()
    assert "**0** wait" in texts(test)  # beside the one that is shown
    assert test.button(key="S-5").help == "Seller and model say the same: M if they are right."
    test.selectbox(key="review-shelf").set_value(test.selectbox(key="review-shelf").options[-1]).run()
    assert "Nothing waits here" in texts(test)


def test_a_name_is_needed(visit: Visit, database: Database) -> None:
    """Nothing is handed out without one."""
    test = visit(" \u200b ")
    assert "Verdicts go with a name: type yours." in texts(test)
    assert rows_of(database) == []


def test_without_pictures_no_verdict(visit: Visit, settings: Settings) -> None:
    """What does not answer is told, and the product may be skipped."""
    away = f"mongodb://127.0.0.1:{free_port()}/"
    test = visit(settings=settings.model_copy(update={"mongo_url": away, "connect_timeout_seconds": 0.2}))
    assert "(SHELVER_MONGO_URL)" in texts(test)
    assert all(test.button(key=f"{key}-1").disabled for key in "SM23O")
    press(test, "K", 1)
    assert not test.button(key="K-2").disabled


def test_an_empty_store_says_what_to_do(visit: Visit, sqlite_settings: Settings) -> None:
    """Predictions have to be made first."""
    told = texts(visit(settings=sqlite_settings))
    assert "The store has no predictions yet: `shelver-producer backfill` enqueues what is in the catalog." in told
