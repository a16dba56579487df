"""Redis that dies, forgets, or cannot be reached."""

import time

import pytest
import redis

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import Interpose, MakeLine
from tests.faults.line import Line

AWAY_SECONDS = 3
CUT_SECONDS = 30


def test_redis_is_killed_and_has_its_data_back(line: Line, catalog: list[int], undisturbed: Answers) -> None:
    """The workers go on by themselves."""
    line.get_to_work(catalog)
    line.redis.kill()
    time.sleep(AWAY_SECONDS)
    line.redis.start()
    audit.check(line, undisturbed)


@pytest.mark.long
def test_redis_is_killed_and_has_lost_everything(line: Line, catalog: list[int], undisturbed: Answers) -> None:
    """`reconcile` enqueues what has no row yet."""
    line.get_to_work(catalog)
    line.redis.kill()
    time.sleep(AWAY_SECONDS)
    line.redis.start(empty=True)
    line.wait_until(lambda: not any(line.waiting().values()), "end of what was in hand")
    assert line.count() < len(catalog)
    line.produce("reconcile")
    audit.check(line, undisturbed)


@pytest.mark.long
def test_redis_refuses_writes(line: Line, catalog: list[int], undisturbed: Answers) -> None:
    """As it does when its disk is full, or when it has become a replica: workers wait until it takes them."""
    line.get_to_work(catalog)
    with redis.Redis.from_url(line.redis.url) as client:
        client.config_set("min-replicas-to-write", 1)
        time.sleep(AWAY_SECONDS)
        left = line.waiting()
        assert left["backfill"] > 0
        client.config_set("min-replicas-to-write", 0)
    audit.check(line, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("how", ["cut", "stall"])
def test_redis_cannot_be_reached(
    how: str, make_line: MakeLine, interpose: Interpose, catalog: list[int], undisturbed: Answers
) -> None:
    """The workers go on by themselves, whether connections break or only fall silent."""
    line = make_line()
    proxy = interpose(line.redis.url)
    line.change(redis_url=f"redis://127.0.0.1:{proxy.port}/0")
    line.get_to_work(catalog)
    getattr(proxy, how)()
    time.sleep(CUT_SECONDS)
    proxy.restore()
    audit.check(line, undisturbed)
