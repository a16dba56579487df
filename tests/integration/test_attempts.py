"""How often a page was begun, and how often it failed, as Redis keeps it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from worker.contract.settings import Settings
from worker.control import FAILURES, STARTS, Attempt, Control


@pytest.fixture
def control(redis_url: str) -> Iterator[Control]:
    with redis.Redis.from_url(redis_url) as client, closing(Control(Settings(redis_url=redis_url))) as control:
        client.flushdb()
        yield control
        client.flushdb()


def test_starts_are_numbered(control: Control) -> None:
    """Each page for itself, from 1 on; none of the first ones makes it a suspect."""
    started = [control.begin("a") for _ in range(STARTS)]
    assert [each.number for each in started] == list(range(1, STARTS + 1))
    assert not any(each.is_suspect for each in started)
    assert control.begin("b") == Attempt(1, 0)


def test_starts_without_an_end_make_a_suspect(control: Control) -> None:
    """Workers that die as a whole tell nobody; it takes many, because other causes look alike."""
    for _ in range(STARTS):
        control.begin("a")
    assert control.begin("a").is_suspect


def test_few_failures_make_a_suspect(control: Control) -> None:
    """They are known to be the page's."""
    seen = []
    for _ in range(FAILURES + 1):
        seen.append(control.begin("a").is_suspect)
        control.fail("a")
    assert seen == [False] * FAILURES + [True]


def test_an_end_forgets_everything(control: Control) -> None:
    """Its process lives."""
    control.begin("a")
    control.fail("a")
    control.end("a")
    assert control.begin("a") == Attempt(1, 0)


def test_a_part_inherits_failures(control: Control) -> None:
    """One more is enough to cut it again."""
    control.suspect("a.0", FAILURES - 1)
    assert not control.begin("a.0").is_suspect
    control.fail("a.0")
    assert control.begin("a.0").is_suspect


def test_nothing_is_kept_for_ever(control: Control, redis_url: str) -> None:
    """A page that is never heard of again leaves nothing behind."""
    control.begin("a")
    control.fail("a")
    control.suspect("b", 1)
    with redis.Redis.from_url(redis_url) as client:
        assert len(client.keys("shelver:*:[ab]")) == 3
        assert all(client.ttl(key) > 0 for key in client.keys("shelver:*"))
