"""Lines, a console on one that is filled, and a browser, shared by tests as far as they can be."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pymongo import MongoClient

from tests.conftest import create_database
from tests.integration.conftest import register
from tests.integration.console.browser import SCREEN, TIMEOUT_MILLISECONDS, Served, served, watch
from tests.integration.console.filled import fill
from tests.packages import installed
from trainer.run import Run
from worker import schema
from worker.contract.settings import Settings

OpenTab = Callable[[Served], Page]
FAILED = pytest.StashKey[bool]()


def _line(request: pytest.FixtureRequest, database_url: str) -> Settings:
    """Return settings of a line whose every server is real, on an empty catalog and a migrated store."""
    settings = Settings(
        mongo_url=request.getfixturevalue("mongo_url"),
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=request.getfixturevalue("redis_url"),
        database_url=database_url,
        serving_address=request.getfixturevalue("model_server").address,
        connect_timeout_seconds=2,
    )
    schema.migrate(settings)
    register(request.getfixturevalue("run"), settings)
    return settings


@pytest.fixture(scope="module")
def line(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a line of the module's own, whose every server is real; nothing is listed or predicted yet.

    The store is SQLite; @pytest.mark.parametrize("line", ["postgresql"], indirect=True) makes it PostgreSQL. Tests that
    do it go last in their module: the line is made anew for them.
    """
    if getattr(request, "param", "sqlite") == "postgresql":
        return _line(request, create_database(request.getfixturevalue("postgres_url")))
    return _line(request, f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}")


@pytest.fixture(scope="package")
def stocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Iterator[Settings]:
    """A line that is filled; tests write no more than verdicts."""
    settings = _line(request, f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}")
    fill(settings, run)
    yield settings
    with MongoClient(settings.mongo_url) as client:
        client.drop_database(settings.mongo_database)


@pytest.fixture(scope="package")
def console(stocked: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The console on that filled line: its URL, and its log."""
    with served(stocked, tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Gone after the last test of this folder: Playwright's event loop would be in others' way."""
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=installed("chromium", "chromium"), args=[*sandbox, "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenTab]:
    """A function that opens a new visitor's tab on a console, for paths without its address.

    Pages must ask nobody but the console. If the test fails, what was seen last stays.
    """
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with ExitStack() as stack:
        opened: list[tuple[Page, Served, list[str]]] = []

        def open_(console: Served) -> Page:
            context = stack.enter_context(browser.new_context(base_url=console.url, viewport=SCREEN))
            context.set_default_timeout(TIMEOUT_MILLISECONDS)
            strangers = watch(context, console.url)
            opened.append((context.new_page(), console, strangers))
            return opened[-1][0]

        yield open_
        if request.node.stash.get(FAILED, False):
            for number, (page, console, _) in enumerate(opened):
                _keep(page, console, tmp_path / f"tab-{number}")
    for *_, strangers in opened:
        assert not strangers, "the page asks others than the console"


@pytest.fixture
def page(open_tab: OpenTab, console: Served) -> Page:
    """A new visitor's tab on the shared console."""
    return open_tab(console)


def _keep(page: Page, console: Served, folder: Path) -> None:
    """Leave what a person needs to see why a test failed."""
    folder.mkdir()
    page.screenshot(path=folder / "page.png")
    shutil.copy(console.log, folder / "console.log")
    print(f"the page as it was: {folder / 'page.png'}; the console's log: {folder / 'console.log'}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures know that their test failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
