"""Classify: pictures from anywhere, the served model's best at each level, and the visit's register."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
import streamlit as st
from pymongo import MongoClient
from pymongo.collection import Collection
from sqlalchemy import delete, update
from streamlit.testing.v1 import AppTest

from deploy.console import resources
from deploy.console.classify.classifying import Source
from deploy.console.classify.fetch import fetch
from deploy.console.text import JOINER, percent
from tests.faults.proxies import PREDICT, ModelProxy
from tests.integration.console.answers import said
from tests.pictures import draw, encode, huge_png, jpeg, listing
from trainer.graph import Classifier
from trainer.publishing.registry import keep_categories
from trainer.run import Run
from worker.catalog import Catalog
from worker.contract.database import Database
from worker.contract.product import Product
from worker.contract.serving_api import predict_pb2
from worker.contract.settings import Settings
from worker.contract.tables import categories
from worker.tensors import from_proto

Open = Callable[..., AppTest]
File = tuple[str, bytes, str]
HOSTILE = "<img src=x onerror=alert(1)> **bold** [a](http://evil.example) :red[no]"


def page() -> None:
    """What Streamlit runs."""
    from deploy.console.classify import page

    page.show()


@pytest.fixture
def open_page(line: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """A new visit to the page on the line's settings, some of them changed."""

    def visit(**changes: object) -> AppTest:
        for name, value in line.model_copy(update=changes).environment().items():
            if value:
                monkeypatch.setenv(name, value)
        test = AppTest.from_function(page, default_timeout=60).run()
        assert not test.exception
        return test

    yield visit
    for each in (resources.serving(), resources.catalog(), resources.store()):
        each.close()
    st.cache_resource.clear()


@pytest.fixture
def products(line: Settings) -> Iterator["Collection[dict[str, object]]"]:
    """The line's catalog, empty again after the test."""
    with MongoClient(line.mongo_url) as client:
        collection = client[line.mongo_database][line.mongo_collection]
        yield collection
        collection.drop()


def file(name: str, data: bytes) -> File:
    return name, data, "image/jpeg"


def press(test: AppTest, label: str) -> AppTest:
    (button,) = [each for each in test.button if each.label == label]
    button.click().run()
    assert not test.exception
    return test


def upload(test: AppTest, *files: File, each: bool = False) -> AppTest:
    test.checkbox[0].set_value(each)
    test.file_uploader[0].set_value(files)
    return press(test, "Classify")


def choose(test: AppTest, source: Source) -> AppTest:
    return test.button_group[0].set_value(source).run()


def bars(test: AppTest) -> list[tuple[int, str]]:
    """Length in percent and name of each bar, from level 1 to level 3, best first."""
    return [(each.value, each.text.partition("** ")[2]) for each in test.get("progress")]


def texts(test: AppTest) -> str:
    return "\n".join(each.value for each in (*test.markdown, *test.caption, *test.warning))


def errors(test: AppTest) -> list[str]:
    """Each sentence that is told, without what keeps it from being Markdown."""
    return [line.replace("\\", "").replace(JOINER, "") for each in test.error for line in each.value.split("  \n")]


def expected(classifier: Classifier, run: Run, *pictures: bytes) -> list[tuple[int, str]]:
    """What the graph says of one product, asked directly."""
    return [(int(100 * score), run.taxonomy.by_id[each].name) for each, score in said(classifier, *pictures)]


def test_a_picture_gets_its_best_four_at_each_level(open_page: Open, classifier: Classifier, run: Run) -> None:
    """Just what the graph says of it, as bars in percent, with the time it took and the model's name and version."""
    test = upload(open_page(), file("cup.jpg", jpeg(1)))
    assert bars(test) == expected(classifier, run, jpeg(1))
    assert len(bars(test)) == 2 + 4 + 4  # the tree has two categories at level 1
    assert "1 picture in" in texts(test)
    assert "for model shelver 1 to answer" in texts(test)
    assert "cup\\.jpg" in texts(test)
    assert errors(test) == []


def test_pictures_of_one_product_are_averaged(open_page: Open, classifier: Classifier, run: Run) -> None:
    """Several files are one product unless the person says otherwise; then each has an answer of its own."""
    pictures = [jpeg(1), jpeg(2), encode(draw(3), "PNG")]
    files = [file(f"{number}.jpg", data) for number, data in enumerate(pictures)]
    test = upload(open_page(), *files)
    together = expected(classifier, run, *pictures)
    assert bars(test) == together
    assert "0\\.jpg and 2 more" in texts(test)
    assert "3 pictures · shelver 1" in texts(test)
    upload(test, *files, each=True)
    alone = [bar for picture in pictures for bar in expected(classifier, run, picture)]
    assert bars(test) == alone
    assert test.metric[0].value == "4"


def test_the_same_picture_twice_is_two_products(open_page: Open, classifier: Classifier, run: Run) -> None:
    """Though to the model rows with the same pictures are one."""
    test = upload(open_page(), *[file(f"{each}.jpg", jpeg(each % 2)) for each in range(4)], each=True)
    both = [*expected(classifier, run, jpeg(0)), *expected(classifier, run, jpeg(1))]
    assert bars(test) == 2 * both


@pytest.mark.parametrize(("signature", "each"), [("pixels", False), ("jpeg", True)])
def test_damaged_pictures_are_told_and_the_others_go_on(open_page: Open, signature: str, each: bool) -> None:
    """A sentence each, whichever signature the model is asked by."""
    test = upload(
        open_page(signature=signature),
        file("notes.txt", b"dear diary"),
        file("good.jpg", jpeg(1)),
        file("cut.jpg", jpeg(2)[:1500]),
        file("bomb.png", huge_png()),
        file("empty.png", b""),
        each=each,
    )
    notes, cut, bomb, empty = errors(test)
    assert notes == "notes.txt is neither JPEG nor PNG (starts with b'dear dia')"
    assert cut.startswith("cut.jpg is a damaged JPEG (")
    assert bomb == "bomb.png claims 30,000 x 30,000, more than 25,000,000 pixels"
    assert empty == "empty.png is neither JPEG nor PNG (is empty)"
    assert len(bars(test)) == 10
    assert test.metric[0].value == "1"


def test_nothing_sound_is_told_alone(open_page: Open) -> None:
    """No answer, and the page goes on; of many sentences some are counted, and files that are alike have one each."""
    test = upload(open_page(), *[file(f"{number}.jpg", b"text") for number in range(13)], each=True)
    assert len(errors(test)) == 11
    assert errors(test)[-1] == "and 3 more"
    assert bars(test) == []
    upload(test, file("good.jpg", jpeg(1)))
    assert (len(bars(test)), errors(test)) == (10, [])


def test_too_many_and_too_large_pictures_are_told(open_page: Open) -> None:
    """The settings hold here as they do for workers."""
    test = open_page(max_pictures=2, max_picture_bytes=20_000)
    upload(
        test,
        *[file(f"{each}.jpg", jpeg(each)) for each in range(3)],
        file("big.png", encode(draw(1), "PNG", compress_level=0)),
    )
    assert errors(test) == [
        "2.jpg is left out: 2 pictures of a product are used",
        "big.png has 97,470 bytes, more than 20,000",
    ]
    assert "2 pictures · shelver 1" in texts(test)


def test_more_than_a_call_takes_goes_in_several(open_page: Open) -> None:
    """And is shown five at a time."""
    test = upload(
        open_page(max_batch_pictures=3, max_pictures=3),
        *[file(f"{each}.jpg", jpeg(each)) for each in range(7)],
        each=True,
    )
    assert (test.metric[0].value, len(bars(test))) == ("7", 50)
    test.get("pagination")[0].set_value(2).run()
    assert len(bars(test)) == 20


def test_a_product_that_the_model_refuses_is_told_and_the_others_go_on(open_page: Open, line: Settings) -> None:
    """The batch is asked about one by one to find it."""
    bad = Product(0, (jpeg(2),)).picture_key

    def refuse(method: str, request: bytes) -> grpc.StatusCode | None:
        if not method.endswith(PREDICT):
            return None
        asked = from_proto(predict_pb2.PredictRequest.FromString(request).inputs["product"])
        return grpc.StatusCode.INVALID_ARGUMENT if bad in asked.tolist() else None

    with closing(ModelProxy(line.serving_address)) as proxy:
        proxy.fault = refuse
        files = [file(f"{number}.jpg", jpeg(number)) for number in range(1, 4)]
        test = upload(open_page(serving_address=proxy.address), *files, each=True)
    assert errors(test) == ["2.jpg is refused by the model: this is a test"]
    assert test.metric[0].value == "2"


def test_nothing_chosen_is_told(open_page: Open) -> None:
    """In each of the ways that need something."""
    test = press(open_page(), "Classify")
    assert errors(test) == ["choose a picture first"]
    assert errors(press(choose(test, Source.URL), "Classify")) == ["paste the address of a picture first"]


class Site(BaseHTTPRequestHandler):
    """A shop's website."""

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        body = jpeg(1)
        self.send_response(200 if self.path == "/cup.jpg" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def shop() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def paste(test: AppTest, url: str) -> AppTest:
    test.text_input[0].set_value(url)
    return press(test, "Classify")


def test_a_picture_on_the_web_is_fetched(
    open_page: Open, shop: str, classifier: Classifier, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the public internet, that is: where this shop stands for it, its pictures are classified."""
    test = choose(open_page(), Source.URL)
    paste(test, f"{shop}/cup.jpg")
    assert errors(test) == [f"{shop}/cup.jpg is not on the public internet: nothing else is fetched"]
    monkeypatch.setattr("deploy.console.classify.inputs.fetch", partial(fetch, is_allowed=lambda _: True))
    paste(test, f" {shop}/cup.jpg ")
    assert bars(test) == expected(classifier, run, jpeg(1))
    paste(test, f"{shop}/gone.jpg")
    assert errors(test) == [f"{shop}/gone.jpg answers with status 404, not with a picture"]
    assert bars(test) == []


def test_a_drawn_product_is_compared_with_its_seller(
    open_page: Open, products: "Collection[dict[str, object]]", classifier: Classifier, run: Run
) -> None:
    """Its pictures are averaged, and the page says whether the model agrees; a shelf out of the tree is a number."""
    best = expected(classifier, run, jpeg(1), jpeg(2))[6][1]
    (category,) = [each.id for each in run.taxonomy.level(3) if each.name == best]
    products.insert_one(listing(42, jpeg(1), jpeg(2), category=category))
    test = press(choose(open_page(), Source.CATALOG), "Draw a product")
    assert "product 42" in texts(test)
    assert "2 pictures · shelver 1" in texts(test)
    assert f"The seller's category: **{best}** :green-badge[the model agrees]" in texts(test)
    products.replace_one({}, {**listing(42, jpeg(1), b"text", category=77)} | {"_id": 42})
    press(test, "Draw a product")
    assert "The seller's category: **77, which is not in the tree** :orange-badge[the model differs]" in texts(test)
    assert errors(test) == ["picture 2 of product 42 is neither JPEG nor PNG (starts with b'text')"]
    assert "no name in the store" not in texts(test)


def test_a_draw_passes_over_what_is_no_product(line: Settings, products: "Collection[dict[str, object]]") -> None:
    """Listings that are filtered out, without pictures or with an id that is no integer; None when nothing is left."""
    bad = [{"_id": "x", "imgs": [{"picture": b"x"}]}, {"_id": 1}, listing(2, b"x") | {"status": "gone"}]
    with closing(Catalog(line.model_copy(update={"mongo_filter": '{"status": {"$ne": "gone"}}'}))) as catalog:
        assert catalog.draw() is None
        products.insert_many(bad)
        assert catalog.draw() is None
        products.insert_many([listing(each, b"x", category=5) for each in range(10, 14)])
        drawn = [catalog.draw() for _ in range(60)]
        assert {each.id for each in drawn if each} == {10, 11, 12, 13}
        assert {(each.pictures, each.category_id) for each in drawn if each} == {((b"x",), 5)}


def test_an_empty_catalog_is_told(open_page: Open) -> None:
    """With what to do."""
    test = press(choose(open_page(), Source.CATALOG), "Draw a product")
    (told,) = errors(test)
    assert "no product could be drawn" in told
    assert "shelver-producer load" in told


def test_marks_make_the_accuracy(open_page: Open) -> None:
    """Given on the card or in the register, changed, taken back; they stay when something else is tried."""
    test = open_page()
    assert "Everything you try is listed here" in texts(test)
    upload(test, file("a.jpg", jpeg(1)), file("b.jpg", jpeg(2)), each=True)
    assert [each.value for each in test.metric] == ["2", "0", percent(None)]
    test.button_group(key="card 1").set_value("right").run()
    test.button_group(key="row 2").set_value("wrong").run()
    assert [each.value for each in test.metric] == ["2", "2", "50.0 %"]
    assert (test.button_group(key="row 1").value, test.button_group(key="card 2").value) == ("right", "wrong")
    assert sorted(test.dataframe[0].value["Right"]) in ([1], [0, 1])
    test.button_group(key="row 2").set_value("right").run()
    upload(test, file("c.jpg", jpeg(3)))
    assert [each.value for each in test.metric] == ["3", "2", "100.0 %"]
    test.button_group(key="row 1").set_value(None).run()
    assert [each.value for each in test.metric] == ["3", "1", "100.0 %"]
    assert test.dataframe[0].value["Marked"].sum() == 1


def test_the_register_is_paged_and_downloaded(open_page: Open) -> None:
    """Ten at a time, newest first; the file has all."""
    test = upload(open_page(), *[file(f"{each}.jpg", jpeg(each)) for each in range(12)], each=True)
    rows = [each.key for each in test.button_group if each.key and each.key.startswith("row")]
    assert rows == [f"row {number}" for number in range(12, 2, -1)]
    assert test.get("download_button")[0].label == "Download as CSV"


@pytest.fixture
def database(line: Settings, run: Run) -> Iterator[Database]:
    """The line's store, with its categories as they were after the test."""
    with closing(Database(line.database_url)) as database:
        yield database
        with database.begin() as connection:
            connection.execute(delete(categories))
            keep_categories(connection, run.taxonomy.categories)


def test_names_are_shown_in_both_languages_and_as_they_are(open_page: Open, database: Database) -> None:
    """HTML and Markdown in a name are text to a person; a missing translation is told once."""
    test = upload(open_page(), file("a.jpg", jpeg(1)))
    assert "English names are missing: shelver-trainer translate --store" in texts(test)
    with database.begin() as connection:
        connection.execute(update(categories).values(name=HOSTILE, name_en="Cup"))
    test.run()
    assert "English names are missing" not in texts(test)
    for _, shown in bars(test):
        assert shown.endswith("· Cup")
        assert shown.startswith("\\<img src\\=x onerror\\=alert\\(1\\)\\> \\*\\*bold\\*\\* \\[a\\]\\(http\\:")


def test_a_category_without_a_name_is_its_number(open_page: Open, database: Database) -> None:
    """With what to do about it."""
    with database.begin() as connection:
        connection.execute(delete(categories))
    test = upload(open_page(), file("a.jpg", jpeg(1)))
    assert all(name.isdecimal() for _, name in bars(test))
    assert "publish the model with shelver-trainer publish" in texts(test)


def test_a_store_that_is_away_costs_the_names_alone(open_page: Open, tmp_path: Path) -> None:
    """Categories are numbers, and the sentence says why."""
    test = upload(open_page(database_url=f"sqlite:///{tmp_path / 'none' / 'store.db'}"), file("a.jpg", jpeg(1)))
    assert len(bars(test)) == 10
    assert "Categories are shown by number" in texts(test)
    assert "SHELVER\\_DATABASE\\_URL" in texts(test)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"serving_address": "127.0.0.1:9", "connect_timeout_seconds": 0.2},
            "does not answer (SHELVER_SERVING_ADDRESS)",
        ),
        ({"model_name": "another"}, "does not serve another (SHELVER_MODEL_NAME)"),
    ],
    ids=["away", "no such model"],
)
def test_a_model_that_does_not_answer_is_told(open_page: Open, changes: dict[str, object], told: str) -> None:
    """One sentence, no answer, and the page stays."""
    test = upload(open_page(**changes), file("a.jpg", jpeg(1)))
    (error,) = errors(test)
    assert told in error
    assert bars(test) == []
    assert test.file_uploader


def test_a_catalog_that_is_away_is_told(open_page: Open) -> None:
    """The other ways to ask go on."""
    away = open_page(mongo_url="mongodb://127.0.0.1:9/", connect_timeout_seconds=0.2)
    test = press(choose(away, Source.CATALOG), "Draw a product")
    (error,) = errors(test)
    assert "MongoDB at mongodb://127.0.0.1:9/ does not answer (SHELVER_MONGO_URL)" in error
    upload(choose(test, Source.UPLOAD), file("a.jpg", jpeg(1)))
    assert (len(bars(test)), errors(test)) == (10, [])
