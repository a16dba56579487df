"""`producer.enqueue`, on a real Redis."""

import time

import pytest
from bson.int64 import Int64

import producer
from producer.connections import _of_process, of_this_process
from tests.integration.queues import ids, queued
from worker.contract.messages import Queue
from worker.contract.settings import PREFIX, Settings


def test_enqueue_makes_pages_of_each_id_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the catalog system calls: settings from the environment, one id or many."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    _of_process.cache_clear()
    assert producer.enqueue(5) == 1
    assert producer.enqueue([Int64(1), 2, 3, 2, 4, 5, 6], queue="backfill") == 6
    of_this_process().close()
    _of_process.cache_clear()
    assert ids(queued(settings, Queue.NEW)) == [5]
    assert [page.ids for page in queued(settings, Queue.BACKFILL)] == [(1, 2, 3, 4), (5, 6)]
    assert abs(queued(settings, Queue.NEW)[0].queued_at - time.time()) < 60


def test_every_setting_reaches_a_process_by_its_variable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `environment` writes, `load` reads back."""
    from worker.contract import settings as configuration

    for name, value in settings.environment().items():
        assert name.startswith(PREFIX)
        monkeypatch.setenv(name, value)
    assert configuration.load() == settings
