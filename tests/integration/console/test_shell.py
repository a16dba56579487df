"""The frame around the console's pages, in a real browser."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from deploy.console.__main__ import app
from deploy.console.listening import CannotServe
from deploy.console.password import FORGET_SECONDS, Gate
from deploy.console.text import JOINER
from deploy.local.processes import Processes
from deploy.local.servers import free_port
from tests.integration.console import names
from tests.integration.console.browser import LINK, Served, go, picture, served, settle, text, upload, visit
from tests.integration.console.conftest import OpenTab
from tests.pictures import jpeg
from worker import schema
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings

PAGES = ["Classify", "Predictions", "Review", "Models", "Operations"]
SECRET = "correct horse battery"  # noqa: S105 - of no console but ours


def links(page: Page) -> list[str]:
    return page.locator(f"{LINK} p").all_inner_texts()


def failures(page: Page) -> int:
    return page.get_by_text("This page has failed").or_(page.locator('[data-testid="stException"]')).count()


def test_every_page_is_a_click_away(page: Page, console: Served) -> None:
    """All five are in the sidebar of a laptop's screen, with a URL each, and what is read is said below."""
    visit(page, "/")
    expect(page).to_have_url(f"{console.url}/classify")
    assert links(page) == PAGES
    for name in PAGES:
        expect(page.locator(LINK, has_text=name)).to_be_in_viewport(ratio=1)
        go(page, name)
        expect(page).to_have_url(f"{console.url}/{name.lower()}")
        assert not failures(page)
        picture(page, name.lower())


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console with a password, on a store that was never migrated."""
    folder = tmp_path_factory.mktemp("locked")
    settings = Settings(database_url=f"sqlite:///{folder / 'store.db'}", console_password=SECRET)
    with served(settings, folder) as running:
        yield running


def enter(page: Page, secret: str) -> None:
    page.get_by_label("Password", exact=True).fill(secret)
    page.get_by_role("button", name="Enter").click()
    settle(page)


def test_only_who_knows_the_password_enters(open_tab: OpenTab, locked: Served) -> None:
    """Wrong ones are slowed down, in new tabs too; the right one leads to what was asked for, and stays unwritten."""
    page, other = open_tab(locked), open_tab(locked)
    visit(page, "/operations")
    visit(other, "/")
    picture(page, "password")
    for tab, given in ((page, "wrong horse"), (other, SECRET)):
        tab.get_by_label("Password", exact=True).fill(given)
    for tab in (page, other):
        tab.get_by_role("button", name="Enter").click()
        expect(tab.get_by_role("alert")).to_contain_text(re.compile("or it came too soon .* wait [12] s"))
    assert not links(page) + links(other)
    assert "sqlite" not in text(page.locator("body"))
    page.wait_for_timeout(2000)
    enter(page, SECRET)
    expect(page.locator(LINK)).to_have_count(5)
    assert page.url == f"{locked.url}/operations"
    visit(other, "/")  # one visitor's way in is no other's
    assert not links(other)
    assert not re.search("horse|battery", locked.log.read_text())


def test_a_store_without_tables_is_one_sentence(open_tab: OpenTab, locked: Served) -> None:
    """It says which store, and what to do."""
    page = open_tab(locked)
    visit(page, "/predictions")
    enter(page, SECRET)
    expect(page.get_by_role("alert")).to_contain_text(
        re.compile(r"store\.db is at schema none.*run shelver-worker migrate")
    )
    assert not failures(page)
    picture(page, "not-migrated")
    assert "Traceback" not in locked.log.read_text()


def test_a_new_tab_gains_nobody_a_try() -> None:
    """Of many passwords at once one is looked at; each wrong one doubles the wait, to a bound, until the right one."""
    now = 0.0
    gate = Gate(lambda: now)

    def enter_often(given: str) -> set[bool]:
        with ThreadPoolExecutor(20) as visitors:
            return set(visitors.map(lambda _: gate.enter(given, SECRET), range(100)))

    waits = []
    for _ in range(6):
        assert enter_often("wrong") == {False}
        waits.append(gate.seconds_closed())
        assert enter_often(SECRET) == {False}
        now += waits[-1]
    assert waits == [2, 4, 8, 16, 32, 32]
    assert enter_often(SECRET) == {True}
    assert enter_often("wr\N{LATIN SMALL LETTER O WITH DIAERESIS}ng \udcff") == {False}
    assert gate.seconds_closed() == 2
    now += FORGET_SECONDS + 1
    gate.enter("wrong", SECRET)
    assert gate.seconds_closed() == 2


NO_PREDICTIONS = ["The store has no predictions yet: shelver-producer backfill enqueues what is in the catalog."]
#: page -> what it says of an empty store, of a model server that is away, or of others
MISSING = {
    "Classify": ["(SHELVER_SERVING_ADDRESS)"],
    "Predictions": NO_PREDICTIONS,
    "Review": NO_PREDICTIONS,
    "Models": ["(SHELVER_SERVING_ADDRESS)", "No model is registered yet: shelver-trainer publish"],
    "Operations": [*(f"(SHELVER_{each})" for each in ("MONGO_URL", "REDIS_URL", "SERVING_ADDRESS")), "no predictions"],
}


def test_what_is_empty_or_down_is_a_sentence_on_every_page(open_tab: OpenTab, tmp_path: Path) -> None:
    """Nothing stored, and MongoDB, Redis and the model server away: each page says what to do, and none fails."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'store.db'}",
        mongo_url=f"mongodb://127.0.0.1:{free_port()}/",
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        serving_address=f"127.0.0.1:{free_port()}",
        connect_timeout_seconds=0.2,
    )
    schema.migrate(settings)
    with served(settings, tmp_path) as console:
        page = open_tab(console)
        visit(page, "/classify")
        upload(page, "cup.jpg", jpeg(1))
        for name, told in MISSING.items():
            go(page, name)
            if name == "Review":
                page.get_by_label("Your name", exact=True).fill("Anna")
                page.keyboard.press("Enter")
            for each in told:
                expect(page.get_by_test_id("stAlert").filter(has_text=each)).to_have_count(1)
            assert links(page) == PAGES
            assert not failures(page)
            picture(page, f"{name.lower()}-servers-down")
        assert "Traceback" not in console.log.read_text()


def test_names_are_shown_as_they_are(open_tab: OpenTab, tmp_path: Path) -> None:
    """HTML, Markdown, links, formulas, emoji: of a name that somebody else wrote, each is only text."""
    processes = Processes(tmp_path)
    options = ["--server.address", "127.0.0.1", "--server.port", str(free_port()), "--server.headless", "true"]
    command = [sys.executable, "-m", "streamlit", "run", names.__file__, *options]
    started = processes.start("names", [*command, "--browser.gatherUsageStats", "false"])
    try:
        page = open_tab(Served(started.wait_for(r"URL: (http://\S+)")[1], started.log))
        visit(page, "/")
        page.wait_for_selector(f".st-key-name-{len(names.NAMES) - 1} img")
        settle(page)
        for place, name in enumerate(names.NAMES):
            box = page.locator(f".st-key-name-{place}")
            texts = [each.replace(JOINER, "") for each in box.locator("p").all_inner_texts()]
            assert sorted(texts) == sorted(["one of", *[" ".join(name.split())] * 8])
            assert not box.locator("p").locator("a, img, code, em, strong, del, [style], .katex").count()
    finally:
        processes.stop()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("sqlite:///x fails: *no* such table; run shelver-worker migrate"), r"\*no\* such table"),
        (ZeroDivisionError("of postgresql://me:pw@host"), "This page has failed"),
    ],
)
def test_errors_are_a_sentence(error: Exception, told: str) -> None:
    """Ours as it is, since it says what to do; of others nothing but that there was one."""

    def script(error: Exception) -> None:
        from deploy.console.app import tell

        tell(error)

    shown = AppTest.from_function(script, args=(error,)).run()
    assert not shown.exception
    assert told.replace("\\", "") in shown.error[0].value.replace("\\", "")
    assert "pw@" not in shown.error[0].value


def test_without_a_password_it_serves_this_machine_alone() -> None:
    """To listen for others, one must be set, and the message says which variable."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):  # noqa: S104
        done = CliRunner().invoke(app, ["--host", host])
        assert isinstance(done.exception, CannotServe)
        assert "set SHELVER_CONSOLE_PASSWORD" in str(done.exception)


def test_a_taken_port_is_one_sentence(console: Served) -> None:
    """It names the port, and how to choose another."""
    done = CliRunner().invoke(app, ["--port", console.url.rpartition(":")[2]])
    assert isinstance(done.exception, CannotServe)
    assert "Address already in use; choose with --host and --port" in str(done.exception)


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/_stcore/stream"])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "[x"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_other_sites_reach_nothing_through_a_visitors_browser(
    console: Served, path: str, headers: dict[str, str]
) -> None:
    """Neither under a name of theirs that leads here, nor from a page of theirs; WebSockets no more than the rest."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    more = {**upgrade, **key} if path.endswith("stream") else {}
    assert requests.get(console.url + path, headers={**headers, **more}, timeout=10).status_code == 403
    policy = requests.get(console.url, timeout=10).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy


@pytest.mark.parametrize("line", ["postgresql"], indirect=True)
def test_pages_open_on_postgresql(open_tab: OpenTab, line: Settings, tmp_path: Path) -> None:
    """None fails; the sidebar has the servers' addresses, without user or password."""
    with served(line, tmp_path) as console:
        page = open_tab(console)
        visit(page, "/predictions")
        for name in ("Review", "Models"):
            assert not failures(page)
            go(page, name)
        assert not failures(page)
        read = text(page.locator('[data-testid="stSidebarUserContent"]'))
    assert "postgresql+psycopg://***@" in read
    assert line.mongo_url in read
    assert line.serving_address in read
