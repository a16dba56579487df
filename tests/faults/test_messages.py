"""Messages that are no page of ours, or one too often."""

from contextlib import closing

import pytest
import redis
from celery import Celery

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import MakeLine
from tests.faults.line import Line
from worker.contract.messages import SCHEMA, TASK, Page
from worker.contract.product import stand_in_id
from worker.contract.rejects import Reason

TIMES = 5
MANY = 100_000
NO_IDS = ["12", "a" * 1000, 1.5, None, True, 2**70, -(2**70), [1], {"a": 1}, "\ud800", ""]
NO_MESSAGES = [
    b"\x80\x04not json at all",
    b"",
    b"[]",
    b"null",
    b"{}",
    b'{"body": "!!!", "headers": {}}',
    b"\xff" * 10_000,
]


def wire(ids: list[object]) -> dict[str, object]:
    """A page as any producer might send it."""
    return {**Page(()).to_wire(), "ids": ids}


def send(line: Line, *arguments: object, task: str = TASK) -> None:
    """Put a Celery message on the queue, whatever is in it."""
    with closing(Celery(broker=line.settings.redis_url, set_as_current=False)) as app:
        app.send_task(task, arguments, queue="new", serializer="json")


@pytest.fixture
def working(line: Line, catalog: list[int]) -> Line:
    """A line amid its work."""
    line.get_to_work(catalog)
    return line


@pytest.mark.long
def test_messages_that_are_no_page(working: Line, undisturbed: Answers) -> None:
    """They are dropped with a word in the log."""
    for body in ("garbage", 12, None, [], {}, {"schema": 0, "ids": [1]}, {"schema": SCHEMA, "ids": "1"}):
        send(working, body)
    audit.check(working, undisturbed)
    assert working.logs().count("message is no page and is dropped") == 7


@pytest.mark.long
def test_tasks_that_are_not_ours(working: Line, undisturbed: Answers) -> None:
    """A task of another name, or with other arguments, harms nobody."""
    send(working, task="shelver.no_such_task")
    send(working)
    send(working, 1, 2, 3)
    audit.check(working, undisturbed)


def test_messages_that_are_not_even_celerys(working: Line, undisturbed: Answers) -> None:
    """Bytes that anybody put into the list harm nobody."""
    with redis.Redis.from_url(working.redis.url) as client:
        for message in NO_MESSAGES:
            client.rpush("new", message)  # the next in turn
    audit.check(working, undisturbed)


@pytest.mark.long
def test_ids_of_the_wrong_type(working: Line, catalog: list[int], undisturbed: Answers) -> None:
    """They end as rejects under a number that stands for them; the sound ones beside them are predicted."""
    send(working, wire([*catalog[:10], *NO_IDS]))
    texts = [each for each in Page.from_wire(wire(NO_IDS)).ids if isinstance(each, str)]
    expected = {stand_in_id(each): Reason.BAD_ID for each in texts}
    working.asked_for |= expected.keys()
    audit.check(working, undisturbed, expected)


@pytest.mark.long
def test_a_page_of_very_many_ids(line: Line, catalog: list[int], undisturbed: Answers) -> None:
    """It is cut into pages of the usual size."""
    unlisted = sorted(set(range(1, MANY)) - set(catalog))[: MANY - len(catalog)]
    line.start_workers()
    send(line, wire([*catalog, *unlisted]))
    line.asked_for |= {*catalog, *unlisted}
    audit.check(line, undisturbed, dict.fromkeys(unlisted, Reason.NOT_FOUND))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_everything_is_enqueued_again_and_again(
    kind: str, make_line: MakeLine, catalog: list[int], undisturbed: Answers
) -> None:
    """By several producers at once; each product has one prediction."""
    line = make_line(kind)
    line.start_workers()
    line.enqueue_all_at_once(catalog, TIMES)
    audit.check(line, undisturbed)
