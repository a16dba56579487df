"""Operations: how the line is now, and how it was. It shows, and acts on nothing."""

from datetime import UTC, datetime

import streamlit as st

from deploy.console import resources
from deploy.console.asked import told
from deploy.console.operations.history import show_days, show_rejects, show_review
from deploy.console.text import plain
from worker import status
from worker.contract.messages import Queue
from worker.dependencies import Dependency
from worker.load import Load
from worker.status import Model, Status

REFRESH_SECONDS = 5
#: a little less, so that a refresh asks anew; visits at the same time share an answer
AGE_SECONDS = REFRESH_SECONDS - 1

QUEUES = {
    Queue.NEW: "New listings: a person waits. Workers take these ahead of backfill.",
    Queue.BACKFILL: "What is predicted again or for the first time: nobody waits. A backfill pauses by itself when "
    "1,000 pages wait (SHELVER_BACKFILL_DEPTH).",
}
DEPTH = """Pages that wait in Redis, each of SHELVER_PAGE_SIZE products or fewer.

**When it grows:** more listings come than are predicted. See that every server answers, then start more workers:
`shelver-worker run --concurrency 4`."""
IN_FLIGHT = """Pages that workers have taken and not finished.

**When it is 0 while pages wait:** no worker runs, the queue is paused, or the model is missing. On the worker's machine
`shelver-worker live` and `shelver-worker ready` say which."""
OLDEST = """How long ago the next page in turn, or the oldest in flight, was enqueued. This is the lag to come.

**When it is more than a few seconds on new:** see what depth and in flight say. A page whose worker died comes back
by itself, 15 minutes later unless SHELVER_PAGE_TIME_LIMIT_SECONDS says otherwise."""
STATES = {
    True: "No worker takes pages from it. `shelver-worker resume` with the queue's name opens it again.",
    False: "Workers take pages from it. `shelver-worker pause` with the queue's name would stop that.",
}
RATE = """Products that all workers finished in the last whole minute, rejects included, divided by 60.

**When it is 0 while pages wait:** see the servers below, and whether workers run: `shelver-worker live`."""
MODEL = """What the model server answers with, and whether the store has its row: workers take no pages without it.

**When it is not registered:** `shelver-trainer publish RUN MODELS` against this store. **When it is missing:** publish
it to the folder that the server reads, or name one that it has in SHELVER_MODEL_NAME."""
REJECTS = "Products in the store that could not be predicted. The table at the end of this page says why."
SERVERS = {
    "MongoDB": "It holds the listings. Milliseconds are from connecting to the first answer.",
    "Redis": "It holds the queues. After it was lost, `shelver-producer reconcile` enqueues anew.",
    "SQL store": "It holds predictions, rejects and verdicts. `shelver-worker migrate` makes its tables.",
    "model server": "TensorFlow Serving, or `shelver-trainer serve MODELS` on one machine.",
}
ANSWERS_LATE = """

**When it does not answer:** workers wait, and nothing is lost. Start it, or mend its variable; `shelver-worker status`
tells the same as this page. **When it takes more than some 100 ms:** it is overloaded or far away."""

PARTS = {"Day by day": show_days, "Rejects": show_rejects, "Share to review": show_review}


def show() -> None:
    """Show the page."""
    st.title("Operations")
    _now()
    for tab, part in zip(
        st.tabs(list(PARTS), on_change="rerun", key="part", bind="query-params"), PARTS.values(), strict=True
    ):
        if tab.open:  # a question is asked only when its answer is looked at
            with tab, told():
                part()


@st.cache_data(ttl=AGE_SECONDS, show_spinner=False)
def _look() -> tuple[datetime, Status]:
    return datetime.now(UTC), status.look(resources.settings())


@st.fragment(run_every=REFRESH_SECONDS, parallel=True)
def _now() -> None:
    moment, found = _look()
    for problem in dict.fromkeys(found.problems()):
        st.error(plain(problem), icon=":material/error:")
    for place, load in zip(st.columns(len(Queue)), found.queues or [], strict=False):
        with place.container(border=True):
            _show_queue(load)
    _show_line(found)
    _show_servers(found.dependencies)
    st.caption(f"As of {moment:%H:%M:%S} UTC; asked again every {REFRESH_SECONDS} seconds. This page acts on nothing.")


def _show_queue(load: Load) -> None:
    queue, depth, in_flight, oldest = st.columns(4)
    with queue.container(gap="xsmall"):
        st.markdown(f"**{load.queue}**", help=QUEUES[load.queue])
        paused = load.is_paused
        st.badge("paused" if paused else "open", color="orange" if paused else "green", help=STATES[paused])
    depth.metric("depth, pages", f"{load.depth:,}", help=DEPTH)
    in_flight.metric("in flight, pages", f"{load.in_flight:,}", help=IN_FLIGHT)
    oldest.metric("oldest", _duration(load.oldest_seconds), help=OLDEST)


def _show_line(found: Status) -> None:
    rate, model, rejects = st.columns(3)
    rate.metric("rate, products/s", _figure(found.products_per_second, ".1f"), help=RATE, border=True)
    model.metric("model in use", plain(_model(found.model)), help=MODEL, border=True)
    count = None if found.rejects is None else sum(found.rejects.values())
    rejects.metric("rejects, products", _figure(count, ","), help=REJECTS, border=True)


def _show_servers(servers: list[Dependency]) -> None:
    for place, each in zip(st.columns(len(servers)), servers, strict=True):
        fails = each.problem is not None
        place.metric(
            each.name,
            "no answer" if fails else f"{_figure(each.milliseconds, '.1f')} ms",
            delta="fails" if fails else None,
            delta_color="red",
            delta_arrow="off",
            help=f"{plain(each.address)}\n\n{SERVERS[each.name]}{ANSWERS_LATE}",
            border=True,
            height="stretch",
        )


def _model(model: Model) -> str:
    if model.version is None:
        return f"{model.name}: unknown"
    return f"{model.name} {model.version}" + (" (not registered)" if model.is_registered is False else "")


def _figure(number: float | None, form: str) -> str | None:
    """Write a number; None stays None, for which a metric shows a dash."""
    return None if number is None else format(number, form)


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
