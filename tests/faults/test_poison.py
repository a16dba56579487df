"""A picture that kills whoever decodes it."""

import signal
from pathlib import Path

import pytest
from bson.int64 import Int64
from pymongo import MongoClient

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import MakeLine
from tests.pictures import jpeg
from worker.contract.rejects import Reason

KILLING, FAILING = (Path(__file__).parent / "shims" / name for name in ("killing", "failing"))
#: between those of the catalog, so that its page has others in it
KILLER = 7_500_000
#: the shim's
MARK = b"this picture kills"


@pytest.mark.long
def test_an_unforeseen_error_and_the_time_limit_amid_its_pause(
    make_line: MakeLine, catalog: list[int], undisturbed: Answers, tmp_path: Path
) -> None:
    """Celery would delete the message of a task that raises; whatever is raised here, the page comes back."""
    fails = tmp_path / "fails"
    fails.touch()
    line = make_line(environment={"PYTHONPATH": str(FAILING), "FAIL_WHILE": str(fails)})
    line.start_workers()
    line.enqueue_all(catalog)
    line.wait_until(lambda: line.logs().count("nobody foresaw this") >= len(line.children()), "error in every child")
    for child in line.children():
        child.send_signal(signal.SIGUSR1)  # Celery's soft time limit
    fails.unlink()
    audit.check(line, undisturbed)


def test_a_picture_that_kills_its_process(make_line: MakeLine, catalog: list[int], undisturbed: Answers) -> None:
    """Its product, and no other, ends as poison."""
    line = make_line(environment={"PYTHONPATH": str(KILLING)})
    settings = line.settings
    with MongoClient(settings.mongo_url) as client:
        listings = client[settings.mongo_database][settings.mongo_collection]
        listings.insert_one({"_id": Int64(KILLER), "imgs": [{"picture": jpeg(1) + MARK}]})
        try:
            line.start_workers()
            line.enqueue_all([*catalog, KILLER])
            audit.check(line, undisturbed, {KILLER: Reason.POISON})
        finally:
            listings.delete_one({"_id": Int64(KILLER)})
