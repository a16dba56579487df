"""Taking messages from Redis: in one step off the queue and among the unacknowledged ones."""

import time
from collections.abc import Iterator

import pytest
import redis
from kombu import Connection

from tests.faults.proxies import TcpProxy
from tests.faults.servers import host_and_port
from worker.contract.messages import Page, Queue
from worker.contract.sender import Pages
from worker.contract.settings import Settings
from worker.transport import TAKE, Channel, Transport

KEYS = ["new", "backfill", "unacked", "unacked_index"]


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis[str]"]:
    """An empty Redis."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def pages(redis_url: str) -> Iterator[Pages]:
    pages = Pages(Settings(redis_url=redis_url))
    yield pages
    pages.close()


@pytest.fixture
def channel(redis_url: str) -> Iterator[Channel]:
    """A channel as Celery's consumer has it, whose unacknowledged messages are anybody's after a second."""
    options = {"visibility_timeout": 1, "unacked_restore_interval": 1, "queue_order_strategy": "priority"}
    with Connection(redis_url, transport=Transport, transport_options=options) as connection:
        channel = connection.default_channel
        for queue in Queue:
            channel.basic_consume(queue.value, no_ack=False, callback=lambda message: None, consumer_tag=queue.value)
        yield channel


def test_a_worker_that_dies_before_it_reads_what_it_took_loses_nothing(
    client: "redis.Redis[str]", pages: Pages, channel: Channel
) -> None:
    """The message is among the unacknowledged ones by then, and comes back as it was."""
    pages.send(Page((1, 2, 3)))
    before = client.lindex("new", 0)
    channel.client.connection = channel.client.connection_pool.get_connection()  # as the event loop gives it one
    channel._brpop_start()
    while client.llen("new"):
        time.sleep(0.01)
    channel.client.connection.disconnect()  # with the answer still in the socket
    assert (client.llen("new"), client.hlen("unacked"), client.zcard("unacked_index")) == (0, 1, 1)
    time.sleep(2.1)  # Redis' moments are whole seconds here
    channel.qos.restore_visible()
    assert (client.llen("new"), client.hlen("unacked"), client.zcard("unacked_index")) == (1, 0, 0)
    assert '"redelivered": true' in client.lindex("new", 0)
    assert client.lindex("new", 0).count('"body"') == before.count('"body"') == 1


def test_a_page_in_hand_is_acknowledged_after_its_connection(
    client: "redis.Redis[str]", pages: Pages, redis_url: str
) -> None:
    """A lost connection is closed in several tries, the last when kombu has forgotten all; an error ends the worker."""
    proxy = TcpProxy(host_and_port(redis_url))
    try:
        connection = Connection(f"redis://127.0.0.1:{proxy.port}/0", transport=Transport)
        channel, taken = connection.default_channel, []
        channel.basic_consume("new", no_ack=False, callback=taken.append, consumer_tag="new")
        channel.client.connection = channel.client.connection_pool.get_connection()
        pages.send(Page((1,)))
        channel._brpop_start()
        channel._brpop_read()
        proxy.cut()
        connection._do_close_transport()
        with pytest.raises(redis.ConnectionError):
            channel.close()
        proxy.restore()
        assert client.hlen("unacked") == 1
        taken[0].ack()
        assert client.hlen("unacked") == 0
    finally:
        proxy.close()


@pytest.mark.parametrize("seconds", [24 * 3600, -24 * 3600])
def test_a_wrong_clock_takes_no_page_for_lost(
    client: "redis.Redis[str]", pages: Pages, channel: Channel, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """How long somebody has had a page is for Redis' clock to say; a page that is lost comes back all the same."""
    right = time.time
    monkeypatch.setattr("kombu.transport.redis.time", lambda: right() + seconds)
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    pages.send(Page((1,)))
    client.eval(TAKE, 4, *KEYS)
    channel.qos.restore_visible(interval=1)
    assert (client.llen("new"), client.hlen("unacked")) == (0, 1)
    time.sleep(2.1)  # Redis' moments are whole seconds here
    channel.qos.restore_visible(interval=1)
    assert (client.llen("new"), client.hlen("unacked")) == (1, 0)


def test_new_pages_are_taken_before_a_backlog(client: "redis.Redis[str]", pages: Pages) -> None:
    """In the order of the queues, and within a queue in the order of arrival."""
    for identity, queue in ((1, Queue.BACKFILL), (2, Queue.NEW), (3, Queue.NEW)):
        pages.send(Page((identity,), queue))
    assert [client.eval(TAKE, 4, *KEYS)[0] for _ in range(3)] == ["new", "new", "backfill"]
    assert client.eval(TAKE, 4, *KEYS) is None
    assert client.hlen("unacked") == 3


@pytest.mark.parametrize(
    "message", ["", "garbage", "[]", "{}", '{"properties": 3}', '{"properties": {"delivery_tag": {}}}', "[" * 5000]
)
def test_what_is_no_message_is_taken_and_not_kept(client: "redis.Redis[str]", message: str) -> None:
    """It has no tag to be kept under; the worker says what it was."""
    client.lpush("new", message)
    assert client.eval(TAKE, 4, *KEYS) == ["new", message]
    assert client.hlen("unacked") == 0
