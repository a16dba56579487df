"""The page of models, on a real store and a real model server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update
from streamlit.testing.v1 import AppTest

from deploy.local.servers import free_port
from tests.integration.conftest import register
from tests.integration.console.shown import shown, texts
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import categories, predictions

HOSTILE = "<b>TASSE</b> **x** :smile: $y$"
CUP, PLATE, FOOTBALL = 1000000001, 1000000002, 1000000004
PRODUCTS = 60

Show = Callable[..., AppTest]


def page() -> None:
    from deploy.console.models import page

    page.show()


@pytest.fixture
def show(line: Settings, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Show the page on the line, with settings that differ as given, and one of its tabs open."""

    def run(part: str = "Scores", **changed: object) -> AppTest:
        return shown(page, line.model_copy(update=changed), monkeypatch, part)

    return run


@pytest.fixture(scope="module")
def filled(line: Settings, run: Run) -> None:
    """Predictions of two models, a week apart: the first says cup of all, the second plate of every third."""
    register(run, line, 2)
    now = datetime.now(UTC)
    rows = [
        {
            **{"product_id": product, "model_id": model, "category_id": category, "score": 0.5 + product / 200},
            **{"margin": 0.3, "level2_id": run.taxonomy.ancestor(category, 2), "level2_score": 0.9},
            **{"level1_id": run.taxonomy.ancestor(category, 1), "level1_score": 0.95, "picture_count": 1},
            **{"fingerprint": product.to_bytes(16), "listed_category_id": CUP, "queue": "new"},
            **{"queued_at": at, "predicted_at": at, "is_latest": model == 2},
        }
        for model, at in ((1, now - timedelta(weeks=1)), (2, now))
        for product in range(1, PRODUCTS + 1)
        for category in [PLATE if model == 2 and product % 3 == 0 else CUP]
    ]
    database = Database(line.database_url)
    with database.begin() as connection:
        connection.execute(insert(predictions), rows)
        connection.execute(update(categories).where(categories.c.id == CUP).values(name=HOSTILE))
    database.close()


def test_the_served_model_is_told_and_found_in_the_store(show: Show, sqlite_settings: Settings, run: Run) -> None:
    """A visitor sees at once which version answers now, and every registered one with its test scores."""
    register(run, sqlite_settings)
    test = show(database_url=sqlite_settings.database_url)
    assert "**shelver:1** is served now, and the store has it" in texts(test)
    assert test.dataframe[0].value[["model", "right 3", "threshold 2"]].to_dict("records") == [
        {"model": "shelver:1", "right 3": 0.625, "threshold 2": 0.75}
    ]


def test_a_model_without_predictions_is_told_what_to_do(show: Show, sqlite_settings: Settings, run: Run) -> None:
    """A store without predictions has no empty chart: it says how they come."""
    register(run, sqlite_settings)
    for part, told in (
        ("Reliability", "shelver-producer backfill"),
        ("Two models", "There is one model only"),
        ("Drift", "two weeks"),
    ):
        test = show(part, database_url=sqlite_settings.database_url)
        assert told in texts(test)
        assert not test.get("vega_lite_chart")


def test_a_store_without_models_is_told_what_to_do(show: Show, sqlite_settings: Settings) -> None:
    """Where nothing is registered, the page names the command that registers, and that workers wait for it."""
    test = show(database_url=sqlite_settings.database_url)
    assert "shelver-trainer publish" in texts(test)
    assert "the store does not know it" in texts(test)


@pytest.mark.usefixtures("filled")
def test_a_model_server_that_is_down_hides_nothing_else(show: Show) -> None:
    """Its sentence names the variable, and the store's answers stay."""
    test = show(serving_address=f"127.0.0.1:{free_port()}")
    assert "SHELVER_SERVING_ADDRESS" in texts(test)
    assert len(test.get("vega_lite_chart")) == 2


@pytest.mark.usefixtures("filled")
def test_the_wanted_precision_gives_threshold_and_coverage(show: Show) -> None:
    """Two thirds are right whatever the score: 60 % is reached by all of them, 95 % by none."""
    test = show("Reliability")
    assert len(test.get("vega_lite_chart")) == 2
    assert "No threshold makes 95 % right" in texts(test)
    test.slider(key="precision").set_value(60).run()
    assert "**100.0 %** of products are covered, and **66.7 %** of those are right" in texts(test)


@pytest.mark.usefixtures("filled")
def test_categories_are_counted_and_shown_as_they_are_written(show: Show) -> None:
    """The table has how many of a category's products are right; a name is data, whatever it holds."""
    test = show("Categories")
    assert test.dataframe[1].value[["category", "products", "right"]].to_dict("records") == [
        {"category": HOSTILE, "products": 40, "right": 40},
        {"category": "ASSIETTE", "products": 20, "right": 0},
    ]


@pytest.mark.usefixtures("filled")
def test_two_models_are_compared(show: Show) -> None:
    """What moved from where to where is told at each level, and which of the two is right more often."""
    test = show("Two models")
    assert [each.value for each in test.metric] == ["0.0 %", "0.0 %", "33.3 %"]
    assert "shelver:1 is right more often, by 33.3 % of products at level 3" in texts(test)
    assert test.dataframe[1].value.iloc[0].to_list() == [HOSTILE, None, 60, 20, 1 / 3, "ASSIETTE", None, 20]


@pytest.mark.usefixtures("filled")
def test_drift_between_two_weeks_has_its_reading(show: Show) -> None:
    """A third of the products moved: the index says that this is much, and the table has which part is whose."""
    test = show("Drift")
    products, mix, scores = test.metric
    assert (products.value, scores.value) == ("60 → 60", "0.000")
    assert mix.delta.startswith("much change")
    assert test.dataframe[1].value["after"].to_list() == [20, 40]
    test.selectbox(key="after").set_value(test.selectbox(key="before").value).run()
    assert "Choose two different weeks" in texts(test)


@pytest.mark.usefixtures("filled")
def test_drift_between_two_models_is_that_of_the_same_products(show: Show) -> None:
    """What moved is the models' doing: there is no chance to be told of."""
    test = show("Drift")
    test.segmented_control(key="between").set_value("two models").run()
    products, mix, _ = test.metric
    assert (products.value, mix.delta) == ("60 → 60", "much change")
    assert test.dataframe[1].value["after"].to_list() == [20, 40]
