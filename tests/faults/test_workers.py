"""Workers that die, or are told to stop, with pages in hand."""

import random

import grpc
import pytest

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import MakeLine
from tests.faults.line import CHILDREN, Line
from tests.faults.proxies import ModelProxy, failing, slow
from worker.control import STARTS

WORKERS = 2


@pytest.fixture
def loaded(make_line: MakeLine, proxy: ModelProxy, catalog: list[int]) -> Line:
    """A line amid its work: every child has a page in hand."""
    line = make_line(serving_address=proxy.address)
    proxy.fault = slow(0.3)
    line.start_workers(WORKERS)
    line.enqueue_all(catalog)
    line.wait_for_rows(200)
    line.wait_until(lambda: proxy.in_hand == WORKERS * CHILDREN, "page in every child")
    return line


def test_a_child_is_killed_amid_a_page(loaded: Line, proxy: ModelProxy, undisturbed: Answers) -> None:
    """Its page is done by another child, at once."""
    random.Random(1).choice(loaded.children()).kill()
    proxy.heal()
    audit.check(loaded, undisturbed)


@pytest.mark.long
def test_a_worker_is_killed_amid_its_pages(loaded: Line, proxy: ModelProxy, undisturbed: Answers) -> None:
    """Its pages come back after the visibility timeout, and the other worker does them."""
    loaded.kill_worker(loaded.workers[0])
    proxy.heal()
    audit.check(loaded, undisturbed)


@pytest.mark.long
def test_all_workers_are_killed_amid_their_pages(loaded: Line, proxy: ModelProxy, undisturbed: Answers) -> None:
    """A worker that is started later does what they left."""
    for worker in list(loaded.workers):
        loaded.kill_worker(worker)
    proxy.heal()
    assert loaded.waiting()["unacked"] == WORKERS * CHILDREN
    loaded.start_workers(1)
    audit.check(loaded, undisturbed)


@pytest.mark.long
def test_all_workers_are_told_to_stop_amid_their_pages(loaded: Line, proxy: ModelProxy, undisturbed: Answers) -> None:
    """They finish what they have within the grace period and leave the rest on the queue, nothing in flight."""
    for worker in list(loaded.workers):
        loaded.stop_worker(worker)
    assert loaded.waiting()["backfill"] > 0
    assert loaded.waiting()["unacked"] == 0
    proxy.heal()
    loaded.start_workers(1)
    audit.check(loaded, undisturbed)


@pytest.mark.long
def test_workers_that_are_replaced_again_and_again_harm_no_product(
    make_line: MakeLine, proxy: ModelProxy, catalog: list[int], undisturbed: Answers
) -> None:
    """A page that was in hand at every stop is none that kills its workers."""
    line = make_line(
        serving_address=proxy.address,
        page_size=1,
        wait_limit_seconds=15,
        page_time_limit_seconds=40,
        shutdown_seconds=1,
    )
    proxy.fault = failing(grpc.StatusCode.UNAVAILABLE)
    line.enqueue(catalog[:CHILDREN])
    for _ in range(STARTS + 2):
        line.start_workers(1)
        line.wait_until(lambda: line.waiting()["unacked"] == CHILDREN, "page in every child")
        line.stop_worker(line.workers[0])
        assert line.waiting()["new"] == CHILDREN
    proxy.heal()
    line.change(page_size=20)
    line.enqueue_all(catalog)
    line.start_workers(1)
    audit.check(line, undisturbed)


@pytest.mark.long
def test_a_worker_is_told_to_stop_while_the_model_hangs(loaded: Line, proxy: ModelProxy, undisturbed: Answers) -> None:
    """It gives its pages back at the end of the grace period, and the other worker does them."""
    proxy.fault = slow(2)
    loaded.stop_worker(loaded.workers[0])
    proxy.heal()
    audit.check(loaded, undisturbed)
