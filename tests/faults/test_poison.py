"""A picture that kills whoever decodes it."""

from pathlib import Path

from bson.int64 import Int64
from pymongo import MongoClient

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import MakeLine
from tests.pictures import jpeg
from worker.contract.rejects import Reason

SHIM = Path(__file__).parent / "shims" / "killing"
#: between those of the catalog, so that its page has others in it
KILLER = 7_500_000
#: the shim's
MARK = b"this picture kills"


def test_a_picture_that_kills_its_process(make_line: MakeLine, catalog: list[int], undisturbed: Answers) -> None:
    """Its product, and no other, ends as poison."""
    line = make_line(environment={"PYTHONPATH": str(SHIM)})
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
