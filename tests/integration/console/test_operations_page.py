"""The page of operations, on real servers, some of them down."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest

from deploy.local.servers import free_port
from tests.integration.console.shown import shown, texts
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.contract.tables import predictions, rejects
from worker.control import Control

DETAIL = "picture 1 cannot be read: <b>image</b> **truncated**"
CUP = 1000000001

Show = Callable[..., AppTest]


def page() -> None:
    from deploy.console.operations import page

    page.show()


@pytest.fixture
def settings(line: Settings) -> Iterator[Settings]:
    """The line on queues of its own."""
    settings = line.model_copy(update={"redis_url": line.redis_url.removesuffix("/0") + "/9"})
    yield settings
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()


@pytest.fixture
def show(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Show the page, with settings that differ as given, and one of its tabs open."""

    def run(part: str = "Day by day", **changed: object) -> AppTest:
        return shown(page, settings.model_copy(update=changed), monkeypatch, part)

    return run


@pytest.fixture(scope="module")
def filled(line: Settings, run: Run) -> None:
    """Four predictions of today, one of them late, and a reject."""
    now = datetime.now(UTC)
    same = {
        **{"model_id": 1, "category_id": CUP, "score": 0.4, "margin": 0.3, "picture_count": 1, "queue": "new"},
        **{"level2_id": run.taxonomy.ancestor(CUP, 2), "level2_score": 0.6, "predicted_at": now},
        **{"level1_id": run.taxonomy.ancestor(CUP, 1), "listed_category_id": None},
    }
    rows = [
        same
        | {"product_id": product, "fingerprint": product.to_bytes(16), "level1_score": 0.3 if product == 4 else 0.9}
        | {"queued_at": now - timedelta(seconds=9 if product == 4 else 0.5)}
        for product in (1, 2, 3, 4)
    ]
    reject = {
        "product_id": 2**62,
        "reason": "undecodable",
        "detail": DETAIL,
        "attempts": 3,
        "first_at": now,
        "last_at": now,
    }
    database = Database(line.database_url)
    with database.begin() as connection:
        connection.execute(insert(predictions), rows)
        connection.execute(insert(rejects), reject)
    database.close()


def metrics(test: AppTest) -> dict[str, str]:
    """By label; of several with the same, the first: that of `new`."""
    return {each.label: each.value for each in reversed(test.metric)}


def test_queues_servers_and_model_are_told(show: Show, settings: Settings) -> None:
    """What waits, what is paused, how every server answers and which model does: what ops look for first."""
    with closing(Pages(settings)) as pages, closing(Control(settings)) as control:
        pages.send(Page((1, 2), Queue.NEW))
        control.pause([Queue.BACKFILL])
    test = show()
    told = metrics(test)
    assert (told["depth, pages"], told["in flight, pages"], told["model in use"]) == ("1", "0", "shelver 1")
    assert told["oldest"].endswith(" s")
    assert all(told[server].endswith(" ms") for server in ("MongoDB", "Redis", "SQL store", "model server"))
    assert [each.value for each in test.markdown if "badge" in each.value] == [
        ":green-badge[open]",
        ":orange-badge[paused]",
    ]


def test_an_empty_store_is_told_what_to_do(show: Show, sqlite_settings: Settings) -> None:
    """Where nothing was predicted there is no empty chart, but the commands that start."""
    for part, told in (
        ("Day by day", "shelver-producer backfill"),
        ("Share to review", "shelver-producer backfill"),
        ("Rejects", "There are no rejects"),
    ):
        test = show(part, database_url=sqlite_settings.database_url)
        assert told in texts(test)
        assert not test.get("vega_lite_chart")


@pytest.mark.usefixtures("filled")
def test_days_have_their_predictions_and_lag(show: Show) -> None:
    """Two charts by day, and how many of new were as fast as is promised."""
    test = show()
    assert len(test.get("vega_lite_chart")) == 2
    assert "75.0 % of 4 on new were predicted within one second" in test.caption[-1].value


@pytest.mark.usefixtures("filled")
def test_rejects_are_told_with_reason_and_remedy(show: Show) -> None:
    """Each reason has its number and what to do; each reject its id to the last digit, and its detail as it is."""
    test = show("Rejects")
    reasons, newest = (each.value for each in test.dataframe)
    assert reasons[["reason", "products", "what to do"]].values.tolist() == [
        ["undecodable", 1, "have the picture uploaded again"]
    ]
    assert newest[["product", "reason", "detail", "attempts"]].values.tolist() == [
        [str(2**62), "undecodable", DETAIL, 3]
    ]


@pytest.mark.usefixtures("filled")
def test_the_share_that_goes_to_review_is_drawn(show: Show) -> None:
    """A chart by week."""
    assert len(show("Share to review").get("vega_lite_chart")) == 1


@pytest.mark.usefixtures("filled")
def test_servers_that_are_down_hide_nothing_else(show: Show) -> None:
    """Each is told in a sentence that names its variable, and what the store knows stays."""
    port = free_port()
    test = show(
        redis_url=f"redis://127.0.0.1:{port}/0",
        mongo_url=f"mongodb://127.0.0.1:{port}/",
        serving_address=f"127.0.0.1:{port}",
    )
    assert all(name in texts(test) for name in ("SHELVER_REDIS_URL", "SHELVER_MONGO_URL", "SHELVER_SERVING_ADDRESS"))
    assert metrics(test)["Redis"] == "no answer"
    assert metrics(test)["rejects, products"] == "1"
    assert len(test.get("vega_lite_chart")) == 2


def test_a_store_that_is_down_leaves_what_is_live(show: Show) -> None:
    """Without the store there are no days, but the queues are told."""
    test = show(database_url=f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    assert metrics(test)["SQL store"] == "no answer"
    assert metrics(test)["depth, pages"] == "0"
    assert "SHELVER_DATABASE_URL" in texts(test)
