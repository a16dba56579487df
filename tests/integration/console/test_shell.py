"""The frame around the console's pages, in a real browser."""

import re
import socket
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
from deploy.console.entrance import COOKIE, MAX_BODY_BYTES
from deploy.console.passes import Passes
from deploy.console.resources import SharedServing
from deploy.console.text import JOINER
from deploy.local.processes import Processes
from deploy.local.servers import free_port
from tests.integration.console import names
from tests.integration.console.browser import LINK, Served, go, picture, served, settle, text, upload, visit
from tests.integration.console.conftest import OpenTab
from tests.pictures import jpeg
from worker import schema
from worker.contract.errors import Unavailable
from worker.contract.listening import CannotServe
from worker.contract.settings import Settings

PAGES = ["Classify", "Predictions", "Review", "Models", "Operations"]
SECRET = "correct horse battery"  # noqa: S105 - of no console but ours
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


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
    store = folder / "store.db"
    store.touch()
    with served(Settings(database_url=f"sqlite:///{store}", console_password=SECRET), folder) as running:
        yield running


def enter(page: Page, secret: str) -> None:
    page.get_by_label("Password", exact=True).fill(secret)
    page.keyboard.press("Enter")


def test_only_who_knows_the_password_enters(open_tab: OpenTab, locked: Served) -> None:
    """Wrong ones are slowed down, and the right one leads to what was asked for, once a browser; none is written."""
    page, other = open_tab(locked), open_tab(locked)
    page.goto("/operations?part=Rejects")
    other.goto("/")
    picture(page, "password")
    for tab, given, told in ((page, "wrong horse", "not the password: wait [12] s"), (other, SECRET, "too soon after")):
        enter(tab, given)
        expect(tab.get_by_role("alert")).to_contain_text(re.compile(told))
    picture(page, "password-wrong")
    assert "sqlite" not in text(page.locator("body")) + text(other.locator("body"))
    page.wait_for_timeout(2000)
    enter(page, SECRET)
    expect(page.locator(LINK)).to_have_count(5)
    assert page.url == f"{locked.url}/operations?part=Rejects"
    settle(page)
    page.reload()
    expect(page.locator(LINK)).to_have_count(5)
    page.goto(f"data:text/html,<a href='{locked.url}/classify'>mail</a>")
    page.get_by_role("link", name="mail").click()  # of another site, which gets no strict cookie sent
    expect(page.locator(LINK)).to_have_count(5)
    (cookie,) = [each for each in page.context.cookies() if each["name"] == COOKIE]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    other.goto(f"data:text/html,<a href='{locked.url}/classify'>mail</a>")
    other.get_by_role("link", name="mail").click()  # one visitor's way in is no other's
    expect(other.get_by_label("Password", exact=True)).to_be_focused()
    assert not re.search("horse|battery", locked.log.read_text())


@pytest.mark.parametrize("shown", [None, "", "1.2", Passes().issue()], ids=["none", "empty", "short", "strange"])
def test_before_the_password_streamlit_is_not_reached(locked: Served, shown: str | None) -> None:
    """No WebSocket, upload, figure or file of it; probes may ask whether it is there."""

    def status(method: str, path: str, **headers: str) -> int:
        cookie = {} if shown is None else {"Cookie": f"{COOKIE}={shown}"}
        everything = {**headers, **cookie}
        return requests.request(
            method, locked.url + path, headers=everything, timeout=10, allow_redirects=False
        ).status_code

    assert status("GET", "/predictions", Accept="text/html") == 303
    for path in ("/", "/_stcore/metrics", "/_stcore/host-config", "/static/favicon.png", "/favicon.png", "/login/x"):
        assert status("GET", path) == 401
    assert status("PUT", "/_stcore/upload_file/a/b") == 401
    assert status("GET", "/_stcore/stream", **UPGRADE) == 403
    assert status("GET", "/_stcore/health") == 200


def test_the_form_takes_nothing_else_and_leads_nowhere_else(locked: Served) -> None:
    """Other bodies are refused unread, pages of others are not led to, and a cookie of https stays with https."""

    def post(body: str, next_: str = "/", **headers: str) -> requests.Response:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        options = {"params": {"next": next_}, "headers": {**kind, **headers}, "allow_redirects": False}
        return requests.post(f"{locked.url}/login", body, timeout=10, **options)

    for body in ("", "other=x", "password=x&password=y", "password=\xe9", "password=" + "x" * MAX_BODY_BYTES):
        assert post(body).status_code == 400
    right = f"password={SECRET.replace(' ', '+')}"
    assert post(right, Origin="http://evil.example").status_code == 403
    assert post(right, "//evil.example").headers["Location"] == "/"
    entered = post(right, "/review?queue=1", Origin=locked.url.replace("http:", "https:"))
    assert entered.headers["Location"] == "/review?queue=1"
    assert "secure" in entered.headers["Set-Cookie"].lower().split("; ")
    assert "secure" not in post(right).headers["Set-Cookie"].lower().split("; ")


def test_a_store_without_tables_is_one_sentence(open_tab: OpenTab, locked: Served) -> None:
    """It says which store, and what to do."""
    page = open_tab(locked)
    page.goto("/predictions")
    enter(page, SECRET)
    expect(page.get_by_role("alert")).to_contain_text(
        re.compile(r"store\.db is at schema none.*run shelver-worker migrate")
    )
    assert not failures(page)
    picture(page, "not-migrated")
    assert "Traceback" not in locked.log.read_text()


@pytest.fixture
def silent() -> Iterator[str]:
    """HOST:PORT of a server that takes connections and says nothing, as one does that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield "{}:{}".format(*listener.getsockname())


def test_a_store_that_hangs_holds_up_no_page(open_tab: OpenTab, silent: str, tmp_path: Path) -> None:
    """Pages that need it say so, and the others are there."""
    settings = Settings(database_url=f"postgresql://{silent}/shelver", connect_timeout_seconds=0.2)
    with served(settings, tmp_path) as console:
        page = open_tab(console)
        visit(page, "/classify")
        expect(page.get_by_role("button", name="Classify", exact=True)).to_be_visible()
        for name in ("Predictions", "Models", "Operations"):
            go(page, name)
            told = page.get_by_test_id("stAlert").filter(has_text=f"{silent}/shelver does not answer")
            expect(told.filter(has_text="choose the page again")).to_have_count(1)
        assert not failures(page)


def test_a_call_that_takes_long_holds_up_no_other(silent: str) -> None:
    """Who would have to wait for another's call to the model is told to try again."""
    settings = Settings(serving_address=silent, predict_timeout_seconds=0.1, connect_timeout_seconds=3)
    serving = SharedServing(settings)

    def told(_: int) -> str:
        with pytest.raises(Unavailable) as raised:
            serving.model()
        return str(raised.value)

    with ThreadPoolExecutor(2) as visits:
        assert sum("busy with what others asked" in each for each in visits.map(told, range(2))) == 1
    serving.close()


def test_a_table_gives_away_no_formulas(page: Page) -> None:
    """Streamlit's own download of what is shown, which quotes nothing, is not there; its search is."""
    visit(page, "/models")
    page.get_by_test_id("stDataFrame").first.hover()
    expect(page.get_by_role("button", name="Search").first).to_be_visible()
    toolbar = page.get_by_test_id("stElementToolbarButton")
    hidden = toolbar.filter(has=page.locator('[aria-label*="CSV"]'))
    expect(hidden.first).to_be_attached()
    for button in hidden.all():
        expect(button).to_be_hidden()


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
    more = UPGRADE if path.endswith("stream") else {}
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
