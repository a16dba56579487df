"""A real browser on a real console: start both, wait for what is shown, and note whom the page asks."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Locator, Page, expect

from deploy.console.text import JOINER
from deploy.local.processes import Processes
from worker.contract.settings import PREFIX, Settings

#: a laptop's
SCREEN = {"width": 1366, "height": 768}
#: long, since two cores may be busy with other things; nothing waits for it to pass
TIMEOUT_MILLISECONDS = 30_000
STOP_SECONDS = 20
#: a folder; set, it gets the pictures that tests take of pages
SCREENSHOTS = "SCREENSHOTS"
LINK = '[data-testid="stSidebarNavLink"]'
IDLE = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'


@dataclass(frozen=True)
class Served:
    """A running console."""

    url: str
    log: Path


@contextmanager
def served(settings: Settings, folder: Path) -> Iterator[Served]:
    """Start the console on these settings and a free port; at the end, tell it to stop. Its log goes to `folder`."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ours = {name: value for name, value in settings.environment().items() if value}
    processes = Processes(folder)
    command = [sys.executable, "-m", "deploy.console", "--port", "0"]
    try:
        started = processes.start("console", command, {**others, **ours})
        yield Served(started.wait_for(r"console at (http://\S+)")[1], started.log)
        started.process.terminate()
        assert started.process.wait(STOP_SECONDS) == 0, started.log.read_text()
    finally:
        processes.stop()


def watch(context: BrowserContext, url: str) -> list[str]:
    """Return a list that gets whatever pages ask of others than the console, or are kept from asking."""
    strangers: list[str] = []

    def note(asked: str) -> None:
        if urlsplit(asked).scheme not in ("data", "blob") and urlsplit(asked).netloc != urlsplit(url).netloc:
            strangers.append(asked)

    def read(text: str) -> None:
        if "Content Security Policy" in text:
            strangers.append(text)

    context.on("request", lambda request: note(request.url))
    context.on("console", lambda message: read(message.text))
    context.on("page", lambda page: page.on("websocket", lambda socket: note(socket.url)))
    return strangers


def visit(page: Page, path: str) -> None:
    """Open a page of the console, by its path, and wait until it is all there."""
    page.goto(path)
    page.wait_for_selector('[data-testid="stMain"] [data-testid="stElementContainer"]', state="attached")
    settle(page)


def go(page: Page, name: str) -> None:
    """Go to another page by its link in the sidebar, and wait until it is all there."""
    page.locator(LINK, has_text=name).click()
    page.wait_for_url(f"**/{name.lower()}*")
    settle(page)


def settle(page: Page) -> None:
    """Wait until the console has answered all that was asked of it, and shows nothing old any more."""
    page.wait_for_timeout(150)  # what was just clicked has begun by then
    page.wait_for_selector(IDLE, state="attached")
    expect(page.locator('[data-stale="true"], [data-testid="stSkeleton"]')).to_have_count(0)


def upload(page: Page, name: str, data: bytes) -> None:
    """Have a file classified on the page that does it."""
    with page.expect_response(lambda response: response.request.method == "PUT"):  # the button works before, too
        page.locator('input[type="file"]').set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})
    page.get_by_role("button", name="Classify", exact=True).click()
    settle(page)


def text(locator: Locator) -> str:
    """Return what a person reads there, without the joiners of deploy.console.text."""
    return locator.inner_text().replace(JOINER, "")


def picture(page: Page, name: str) -> None:
    """Take a screenshot into the folder that SCREENSHOTS names, if it is set."""
    if folder := os.environ.get(SCREENSHOTS):
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")
