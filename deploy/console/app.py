"""The frame around every page: where the pages are, what is read, and how errors are told."""

import logging
from importlib import import_module
from pathlib import Path

import streamlit as st

from deploy.console import resources
from deploy.console.text import plain
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.settings import Settings
from worker.contract.urls import redact

logger = logging.getLogger("console")

#: our own for the browser's tab: in its place Streamlit would have the page's fetched from Google
ICON = Path(__file__).parent / "shelf.svg"
SIDEBAR_PIXELS = 230
#: Streamlit leaves a laptop's screen half empty, and has every table give away the rows that it shows as CSV, formulas
#: as they are: deploy.console.table gives away all, as text
STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 3rem 2.5rem 2rem; }
[data-testid="stSidebarHeader"] { height: 3.5rem; }
[data-testid="stElementToolbarButton"]:has([aria-label^="Download as CSV"]) { display: none; }
</style>"""
#: the pages, each a package of that name with a page.py, and a path of the URL; with its icon
PAGES = {
    "classify": ":material/photo_camera:",
    "predictions": ":material/grid_view:",
    "review": ":material/fact_check:",
    "models": ":material/analytics:",
    "operations": ":material/monitor_heart:",
}


def show() -> None:
    """Show the page that was asked for."""
    try:
        _frame()
    except ShelverError as error:  # here, so that it is told in its place and logged as one line
        tell(error)


def tell(error: Exception) -> bool:
    """Show an error as a sentence; what is behind one that is not ours is for the log alone. Returns True: it is told.

    Streamlit calls it for what leaves a callback or a fragment, and has logged that already.
    """
    if isinstance(error, ShelverError):
        logger.warning("%s", error)
        after = ". When that is mended, choose the page again." if isinstance(error, Unavailable) else ""
        st.error(plain(str(error)) + after, icon=":material/error:")
    else:
        st.error("This page has failed, and the console's log says why. Reload it, or go on with another.")
    return True


def _frame() -> None:
    settings = resources.settings()
    st.set_page_config(page_title="Shelver", page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR_PIXELS)
    st.html(STYLE)
    st.logo(ICON, size="large")
    pages = [_page(name, icon) for name, icon in PAGES.items()]
    first = st.Page(lambda: st.switch_page(pages[0]), title="Shelver", default=True, visibility="hidden")
    page = st.navigation([first, *pages])
    _sources(settings)
    page.run()


def _page(name: str, icon: str) -> st.Page:
    def run() -> None:
        import_module(f"deploy.console.{name}.page").show()  # here: one that breaks takes no other along

    return st.Page(run, title=name.capitalize(), icon=icon, url_path=name)


def _sources(settings: Settings) -> None:
    """Say in the sidebar what is read."""
    read = {
        "Store": redact(settings.database_url),
        "MongoDB": redact(settings.mongo_url),
        "Model server": redact(settings.serving_address),
        "Model": settings.model_name,
    }
    with st.sidebar:
        st.caption("  \n".join(f"**{what}**  \n{plain(where)}" for what, where in read.items()))
