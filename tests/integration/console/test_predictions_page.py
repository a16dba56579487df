"""The page of predictions without a browser, on a real store and a real catalog."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from deploy.console.predictions.page import NBSP
from deploy.console.predictions.thumbnails import NO_PICTURE, WITHDRAWN
from deploy.local.servers import free_port
from tests.integration.console.shown import texts
from tests.integration.console.stored import BALL, CUP, HOME, LAMP, PLATE, UNKNOWN, Stored, forget, store, tree, visited
from tests.pictures import jpeg
from worker import schema
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.taxonomy import path_id
from worker.questions.selection import Selection


def day(number: int) -> datetime:
    """Midnight in UTC, so many days into November."""
    return datetime(2026, 10, 31, tzinfo=UTC) + timedelta(days=number)


Visit = Callable[..., AppTest]


def page() -> None:
    from deploy.console.predictions import page

    page.show()


def filters_alone() -> None:
    import streamlit as st

    from deploy.console.predictions.filters import filters

    st.session_state["selection"] = filters()


@pytest.fixture(scope="module")
def settings(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """30 products: all but one on CUP by the latest model, the first ones with something odd."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}"
    settings = Settings(database_url=url, mongo_url=mongo_url, mongo_database="test_predictions_page")
    schema.migrate(settings)
    rows = [Stored(each, CUP, 0.9 - each / 100, CUP, 2) for each in range(5, 31)]
    rows += [Stored(1, LAMP, 0.99, PLATE, 2), Stored(1, BALL, 0.4, PLATE, 1, is_latest=False)]
    rows += [Stored(2, CUP, 0.98, UNKNOWN), Stored(3, CUP, 0.97, None), Stored(4, BALL, 0.3)]
    with closing(Database(url)) as database:
        tree(database)
        store(database, rows)
    pictures = {each: [jpeg(each)] for each in range(1, 31) if each != 3}
    pictures |= {2: [b"<html>", jpeg(2)[:300]], 1: [jpeg(1), b"\xff\xd8\xff", jpeg(31)]}
    with MongoClient(mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        listings.insert_many(
            {"_id": each, "imgs": [{"picture": data} for data in all_of]} for each, all_of in pictures.items()
        )
        yield settings
        client.drop_database(settings.mongo_database)


@pytest.fixture
def visit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """Open the page with filters, and other settings where `settings` are given."""

    def visit(settings: Settings = settings, **query: object) -> AppTest:
        return visited(page, settings, monkeypatch, **query)

    yield visit
    forget()


def named(test: AppTest, label: str) -> Button:
    """The button with this label."""
    return next(each for each in test.button if each.label == label)


def opened(test: AppTest) -> list[str]:
    """The ids of the products in the grid, in order."""
    return [each.label for each in test.button if each.key and each.key.startswith("open-")]


def test_the_grid_has_pictures_and_shelves(visit: Visit) -> None:
    """24 of them, best first, with names in both languages as they are, and the seller's shelf where it differs."""
    test = visit()
    assert opened(test) == [str(each) for each in (1, 2, 3, *range(5, 26))]
    assert [each.proto.imgs[0].alt for each in test.image][:4] == ["product 1", NO_PICTURE, WITHDRAWN, "product 5"]
    told = texts(test)
    assert "1 to 24 of 30" in told
    assert "<b>LAMPE</b> *à* :\u2060smile: · LAMP" in told
    assert "seller] ASSIETTE · PLATE" in told
    assert "seller] 4711, no shelf" in told
    assert told.count("seller]") == 2


def test_pages_follow_each_other(visit: Visit) -> None:
    """Next and previous; other filters begin with the first page again."""
    test = visit()
    named(test, "Next").click().run()
    assert opened(test) == ["26", "27", "28", "29", "30", "4"]
    assert "25 to 30 of 30" in texts(test)
    assert named(test, "Next").disabled
    named(test, "Previous").click().run()
    assert opened(test)[0] == "1"
    named(test, "Next").click().run()
    test.selectbox(key="seller").set_value("differs").run()
    assert opened(test) == ["1", "2", "4"]
    assert "1 to 3 of 3" in texts(test)


@pytest.mark.parametrize(
    ("query", "selection"),
    [
        ({"shelf": HOME, "score": ["0.2", "0.9"]}, Selection(HOME, 1, 0.2, 0.9)),
        ({"model": "shelver:1", "assignment": "review"}, Selection(model_id=1)),
        (
            {"assignment": "level2", "seller": "agrees", "days": "2026-11-03"},
            Selection(assignment="level2", disagrees=False, since=day(3), until=day(4)),
        ),
        (
            {"days": ["2026-11-30", "2026-11-04"], "seller": "differs"},
            Selection(None, 3, None, None, None, day(4), day(31), None, True),
        ),
    ],
)
def test_a_link_has_the_filters(
    query: dict[str, object], selection: Selection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the URL asks for is what is selected; a day alone is that day."""
    assert visited(filters_alone, settings, monkeypatch, **query).session_state["selection"] == selection


def test_a_link_with_nonsense_shows_everything(visit: Visit) -> None:
    """What is no filter is left out; a shelf that nobody knows is told."""
    query = {"shelf": "*x*", "model": "none:1", "score": "a", "days": "0", "assignment": "<b>", "seller": ""}
    test = visit(**query)
    assert len(opened(test)) == 24
    assert [each.value for each in test.warning] == [r"No shelf has the id \*x\*: all are shown. Pick one by its name."]


def test_a_shelf_is_found_by_words(visit: Visit) -> None:
    """Words of either language, then one of what they find; or down the tree, level by level, and up again."""
    test = visit()
    test.session_state["shelf-picker"] = True
    test.run()
    test.text_input(key="shelf-words").set_value("sport soccer").run()
    test.button(key=f"shelf-{BALL}").click().run()
    assert test.query_params["shelf"] == str(BALL)
    assert opened(test) == ["4"]
    test.session_state["shelf-picker"] = True
    test.run()
    assert [test.selectbox(key=f"shelf-level{level}").value for level in (1, 3)] == [path_id("SPORT"), BALL]
    test.selectbox(key="shelf-level1").set_value(HOME).run()
    assert test.query_params["shelf"] == str(HOME)
    assert "(99.0 % at level 1)" in texts(test).replace(NBSP, " ")


def test_a_product_has_all_that_is_known(visit: Visit) -> None:
    """A click opens its pictures, and what every model says, side by side."""
    test = visit()
    test.button(key="open-1").click().run()
    assert test.query_params["product"] == "1"
    alts = [each.proto.imgs[0].alt for each in test.image][24:]
    assert alts == ["picture 1 of product 1", NO_PICTURE, "picture 3 of product 1"]
    bars = [each.proto.text.replace("\\", "") for each in test.progress]
    lamp = "<b>LAMPE</b> *à* :\u2060smile: · LAMP"
    latest = ["**99.0 %** MAISON · HOME", "**99.0 %** SALON · LOUNGE", f"**99.0 %** {lamp}", "**49.5 %** TASSE · CUP"]
    assert bars[:5] == [*latest, "**24.8 %** ASSIETTE · PLATE :orange-badge[seller]"]
    older = ["**40.0 %** SPORT", "**40.0 %** BALLON · BALL", "**40.0 %** FOOTBALL · SOCCER"]
    assert bars[6:9] == older
    told = texts(test)
    assert "MAISON > CUISINE > ASSIETTE" in told
    assert "HOME > KITCHEN > PLATE" in told
    assert "Assigned by the model, at level 3" in told
    assert told.index("**shelver:2**") < told.index("**shelver:1**")


def test_an_unknown_id_is_told(visit: Visit) -> None:
    """In a sentence, above everything else as it was."""
    test = visit()
    for typed in ("77", "-5"):
        test.text_input(key="product").set_value(typed).run()
        assert f"nothing of product {typed}: is the id right" in texts(test)
    for typed in ("<b>", "9" * 30, "\xb2"):
        test.text_input(key="product").set_value(typed).run()
        assert f"{typed} is no product's id, which is a whole number." in texts(test)
    assert len(test.warning) == 1
    assert len(opened(test)) == 24


def test_without_mongodb_there_are_no_pictures(settings: Settings, visit: Visit) -> None:
    """The rest is there, and what to do."""
    away = settings.model_copy(
        update={"mongo_url": f"mongodb://127.0.0.1:{free_port()}/", "connect_timeout_seconds": 0.2}
    )
    test = visit(away, product="1")
    assert len(opened(test)) == 24
    assert texts(test).count("(SHELVER_MONGO_URL)") == len(test.error) == 2
    assert not test.image


def test_an_empty_store_says_what_to_do(visit: Visit, sqlite_settings: Settings) -> None:
    """Predictions have to be made first; filters that leave nothing are told apart from that."""
    test = visit(sqlite_settings)
    assert [each.value for each in test.info] == [
        "The store has no predictions yet: `shelver-producer backfill` enqueues what is in the catalog."
    ]
    test = visit(sqlite_settings, seller="differs")
    assert [each.value for each in test.info] == ["No prediction passes these filters: take one away."]
