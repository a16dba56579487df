"""MongoDB that dies, freezes, or steps down."""

import signal
import time

import pytest
from pymongo import MongoClient

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.line import Line
from tests.faults.servers import Server

#: longer than a page waits in its worker
AWAY_SECONDS = 6


@pytest.mark.long
def test_mongodb_is_killed_and_comes_back(line: Line, mongo: Server, catalog: list[int], undisturbed: Answers) -> None:
    """Pages wait, first in their workers, then on the queue."""
    line.get_to_work(catalog)
    mongo.kill()
    time.sleep(AWAY_SECONDS)
    mongo.start()
    audit.check(line, undisturbed)


def test_mongodb_freezes(line: Line, mongo: Server, catalog: list[int], undisturbed: Answers) -> None:
    """As above, though connections stay open."""
    line.get_to_work(catalog)
    mongo.started.process.send_signal(signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    mongo.started.process.send_signal(signal.SIGCONT)
    audit.check(line, undisturbed)


@pytest.mark.long
def test_mongodb_steps_down(line: Line, mongo: Server, catalog: list[int], undisturbed: Answers) -> None:
    """Until a member is elected nobody may be asked; then pages go on."""
    line.get_to_work(catalog)
    with MongoClient(mongo.url) as client:
        client.admin.command("replSetStepDown", AWAY_SECONDS, secondaryCatchUpPeriodSecs=0, force=True)
    audit.check(line, undisturbed)
    mongo.wait()
