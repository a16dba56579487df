"""Each page in a real browser on a filled line, used as a person does."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import delete

from deploy.console.text import percent
from tests.integration.console.answers import said
from tests.integration.console.browser import Served, go, text, upload, visit
from tests.integration.console.conftest import OpenTab
from tests.integration.console.filled import BALLS, shown
from tests.integration.console.stored import BALL, CUP, PLATE, SHELVES, rows_of
from tests.pictures import jpeg
from trainer.graph import Classifier
from trainer.run import Run
from worker.contract.database import Database
from worker.contract.settings import Settings
from worker.contract.tables import verdicts

ALERT = '[data-testid="stAlert"]'
#: what Streamlit keeps its shortcuts in, a moment after their buttons are there
LISTENS = "hotkeys.getAllKeyCodes().some(each => each.shortcut === 'k')"
#: its effects are done by then
IDLE = "new Promise(done => requestIdleCallback(() => done()))"


def bars(place: Page | Locator, count: int) -> list[str]:
    """Percentage and names of each bar, once there are so many."""
    found = place.get_by_test_id("stProgress")
    expect(found).to_have_count(count)
    return [text(each) for each in found.all()]


def test_a_picture_is_uploaded_and_its_best_four_are_read(
    page: Page, console: Served, classifier: Classifier, run: Run, tmp_path: Path
) -> None:
    """As the model answers, after a text file, 200 MB and an address on this machine were told in a sentence each."""
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(200 * 2**20)
    visit(page, "/classify")
    upload(page, "notes.txt", b"dear diary")
    assert text(page.locator(ALERT)) == "notes.txt is neither JPEG nor PNG (starts with b'dear dia')"
    page.locator('input[type="file"]').set_input_files(large)
    expect(page.get_by_test_id("stFileUploader").get_by_role("alert")).to_contain_text("must be 9.0MB or smaller")
    page.get_by_text("Paste an address").click()
    page.get_by_label("Address of a picture on the web").fill(f"{console.url}/shelf.png")
    page.keyboard.press("Enter")
    told = page.locator(ALERT, has_text="public")
    assert text(told) == f"{console.url}/shelf.png is not on the public internet: nothing else is fetched"
    page.get_by_text("Upload pictures").click()
    upload(page, "cup.jpg", jpeg(1))
    best = [f"{percent(score)} {shown(each, run)}" for each, score in said(classifier, jpeg(1))]
    assert bars(page, len(best)) == best
    expect(page.locator(ALERT)).to_have_count(0)


def test_a_shelf_is_filtered_by_words_and_shared_by_its_url(
    page: Page, open_tab: OpenTab, console: Served, run: Run
) -> None:
    """The grid has that shelf alone, so does another visitor who opens the URL; a product has both models' answers."""
    visit(page, "/predictions")
    page.get_by_role("button", name="Shelf:").click()
    page.locator(".st-key-shelf-words input").fill("sport soccer")
    page.locator(f".st-key-shelf-{BALL} button").click()
    expect(page).to_have_url(f"{console.url}/predictions?shelf={BALL}")
    other = open_tab(console)
    visit(other, page.url)
    for tab in (page, other):
        expect(tab.locator('[class*="st-key-open-"] p')).to_have_text([str(each) for each in BALLS])
        assert shown(BALL, run) in text(tab.get_by_role("button", name="Shelf:"))
    page.locator(".st-key-open-12 button").click()
    dialog = page.get_by_role("dialog")
    line = [run.taxonomy.ancestor(BALL, level) for level in (1, 2, 3)]
    best = [f"90.0 % {shown(each, run)}{' seller' * (each == BALL)}" for each in line]
    assert bars(dialog, 2 * (2 + len(SHELVES)))[:3] == best
    newest, older = dialog.locator('[data-testid="stMarkdown"]', has_text=re.compile("^shelver:[12]")).all()
    assert text(newest) == "shelver:2 latest"
    left, right = newest.bounding_box(), older.bounding_box()
    assert left
    assert right
    assert (left["y"], left["x"] < right["x"]) == (right["y"], True)


def begin(page: Page, name: str) -> None:
    visit(page, "/review")
    page.get_by_label("Your name", exact=True).fill(name)
    page.keyboard.press("Enter")


def before(page: Page) -> int:
    """The product that is before the reviewer, once the page listens to the keyboard."""
    skip = page.locator('[class*="st-key-K-"]')  # the last of its keys
    expect(skip).to_have_count(1)
    expect(page.locator("input:focus")).to_have_count(0)
    page.wait_for_function(LISTENS)
    page.evaluate(IDLE)
    return int((skip.get_attribute("class") or "").partition("st-key-K-")[2].split()[0])


def press(page: Page, key: str, product_id: int) -> None:
    """Hit a key, and wait until that product is before the reviewer, and no other."""
    page.keyboard.press(key)
    page.wait_for_selector(f".st-key-K-{product_id}")
    assert before(page) == product_id


@pytest.fixture
def database(stocked: Settings) -> Iterator[Database]:
    """The store, without verdicts."""
    with closing(Database(stocked.database_url)) as database:
        with database.begin() as connection:
            connection.execute(delete(verdicts))
        yield database


def test_keys_are_verdicts_in_sql(page: Page, database: Database) -> None:
    """No mouse from the name on: seller right, skip and undo, model right, another shelf by words, a note.

    Letters that are typed before the search is there are lost, and no verdicts.
    """
    begin(page, "Anna")
    assert before(page) == 1
    for key, product_id in (("s", 2), ("k", 3), ("u", 2), ("m", 3)):
        press(page, key, product_id)
    page.keyboard.type("omsuk")
    page.locator(".st-key-review-words input:focus").fill("plate")
    page.wait_for_selector(f".st-key-review-{PLATE}")
    page.locator(".st-key-review-words input:focus").fill("soccer")
    press(page, "Control+Enter", 4)
    page.locator(".st-key-note-4 input").fill("dark")
    page.keyboard.press("Enter")
    assert before(page) == 4
    press(page, "k", 5)
    assert [(row.product_id, row.reviewer, row.decision, row.category_id, row.note) for row in rows_of(database)] == [
        (1, "Anna", "seller", PLATE, None),
        (2, "Anna", "model", CUP, None),
        (3, "Anna", "other", BALL, None),
        (4, "Anna", "skipped", None, "dark"),
        (5, "Anna", "open", None, None),
    ]


def test_two_reviewers_never_see_the_same(page: Page, open_tab: OpenTab, console: Served, database: Database) -> None:
    """Both at once, key by key."""
    reviewers = {"Anna": page, "Ben": open_tab(console)}
    for name, tab in reviewers.items():
        begin(tab, name)
    seen: dict[int, str] = {}
    for _ in range(3):
        handed = {before(tab): name for name, tab in reviewers.items()}
        assert len(handed) == 2
        assert not handed.keys() & seen.keys()
        seen |= handed
        for tab in reviewers.values():
            tab.keyboard.press("m")
        for product_id, name in handed.items():
            expect(reviewers[name].locator(f".st-key-K-{product_id}")).to_have_count(0)
    assert {row.product_id: row.reviewer for row in rows_of(database) if row.decision == "model"} == seen


def axes(page: Page, *titles: str) -> None:
    """Wait until the charts that are drawn have axes with these titles."""
    expect(page.locator('[data-testid="stVegaLiteChart"] svg .role-axis-title')).to_have_text(titles)


def test_charts_have_axes_and_the_served_model_is_named(page: Page) -> None:
    """Of models and of operations; every axis has its title, with its unit."""
    visit(page, "/models")
    expect(page.get_by_text("is served now, and the store has it.")).to_contain_text("shelver:1")
    axes(page, "right (% of products)", "score (probability, %)", "products")
    page.get_by_role("tab", name="Reliability").click()
    reliability = ["mean score (probability, %)", "right (% of products)"]
    axes(page, *reliability, "coverage (% of products)", "precision (% right)")
    go(page, "Operations")
    expect(page.get_by_test_id("stMetric").filter(has_text="model in use")).to_contain_text("shelver 1")
    axes(page, "day (UTC)", "predictions", "day (UTC)", "lag (seconds, logarithmic)")
