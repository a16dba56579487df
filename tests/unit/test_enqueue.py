"""`producer.enqueue` and `status` as the catalog system calls it: wrong arguments, and a broker that is not there."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from producer import Queue, QueueUnavailable, enqueue, status
from producer.connections import _of_process
from worker.contract.errors import Unavailable
from worker.contract.messages import Page
from worker.contract.sender import Pages
from worker.contract.settings import Settings


@pytest.fixture
def nobody() -> Iterator[str]:
    """A Redis URL of a port that nobody listens on, nor can for the time of the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://:s3cret@127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture(autouse=True)
def without_broker(nobody: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test may reach a Redis of the machine; each starts without an open connection."""
    monkeypatch.setenv("SHELVER_REDIS_URL", nobody)
    _of_process.cache_clear()
    yield
    _of_process.cache_clear()


@pytest.mark.parametrize(
    "ids",
    [
        "12",
        ["12"],
        [1, "2"],
        True,
        [True],
        [0, False],
        [1, True],
        1.0,
        [1.0],
        [1, 1.0],
        [2, 2.5],
        None,
        [None],
        [[1]],
    ],
    ids=repr,
)
def test_an_id_that_is_no_integer_is_a_type_error(ids: Any) -> None:
    """A caller's mistake is told at once, before anything is sent, even where Python holds it equal to an integer."""
    for call in (enqueue, status):
        with pytest.raises(TypeError):
            call(ids)


@pytest.mark.parametrize("ids", ["12", ["a"], True, [1, 2.5]], ids=repr)
def test_the_type_error_shows_the_id(ids: Any) -> None:
    """The one at fault among thousands is named."""
    with pytest.raises(TypeError, match="product ids are integers, not ('1'|'a'|True|2.5)"):
        enqueue(ids)


@pytest.mark.parametrize("identity", [2**63, -(2**63) - 1, 10**30])
def test_an_id_beyond_64_bits_is_a_value_error(identity: int) -> None:
    """Neither MongoDB nor SQL could hold it: it is no product's."""
    for call in (enqueue, status):
        with pytest.raises(ValueError, match=f"product ids are integers of 64 bits, not {identity}"):
            call([1, identity])


@pytest.mark.parametrize("queue", ["urgent", "NEW", "", None, 5, ["new"]], ids=repr)
def test_another_queue_is_a_value_error(queue: Any) -> None:
    """Pages that no worker would ever take are not sent."""
    with pytest.raises(ValueError, match="not a valid Queue"):
        enqueue([1], queue)


def test_no_ids_need_no_broker() -> None:
    """Nothing to do is done at once."""
    assert enqueue([]) == 0
    assert status([]) == {}
    assert enqueue(iter(()), "backfill") == 0


@pytest.mark.parametrize("queue", [*Queue, "new", "backfill"], ids=repr)
def test_a_broker_that_is_not_there_is_told_in_time(queue: Queue | str) -> None:
    """The caller's request does not hang: within seconds it learns which server it was, without its password."""
    begun = time.monotonic()
    with pytest.raises(QueueUnavailable, match=r"127\.0\.0\.1:\d+/0 takes no page .SHELVER_REDIS_URL.") as caught:
        enqueue([1, 2], queue)
    assert time.monotonic() - begun < 30
    assert "s3cret" not in str(caught.value)
    assert isinstance(caught.value, Unavailable)


def test_pages_of_other_settings_are_told_too(nobody: str) -> None:
    """A producer with settings of its own gets the same error, again and again, and can be closed."""
    pages = Pages(Settings(redis_url=nobody, connect_timeout_seconds=1))
    for _ in range(2):
        with pytest.raises(QueueUnavailable):
            pages.send(Page((1,)))
    with pytest.raises(QueueUnavailable):
        list(pages.send_all([1, 2, 3], Queue.BACKFILL))
    pages.close()
