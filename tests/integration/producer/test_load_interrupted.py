"""A load that is killed, stopped or cut off goes on where it was: real processes, real kills."""

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import bson
import pytest
import zstandard
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from deploy.local import servers
from deploy.local.processes import Processes
from producer.dumps.load import Load
from producer.dumps.loaded import LoadError
from producer.dumps.portion import BATCH_DOCUMENTS, Portion
from producer.listings import open_listings
from tests.conftest import command
from tests.integration.producer.conftest import Listings
from tests.integration.producer.positions import position
from worker.contract.settings import Settings

COUNT = 8000
GOING_ON = r"going on at byte ([\d,]+), after ([\d,]+) documents"


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dump of 64 MB that does not compress, plain and as zstd."""
    folder = tmp_path_factory.mktemp("dumps")
    plain, packed = folder / "plain.bson", folder / "packed.bson"
    with plain.open("wb") as file:
        for each in range(COUNT):
            file.write(bson.encode({"_id": Int64(each), "imgs": [{"picture": os.urandom(8000)}]}))
    packed.write_bytes(zstandard.compress(plain.read_bytes(), 1))
    return {"plain": plain, "zstd": packed}


class Loading:
    """`shelver-producer load` as a process."""

    def __init__(self, settings: Settings, dump: Path, *options: str):
        self._settings = settings
        environment = {**os.environ, **settings.environment()}
        self._process = subprocess.Popen(
            [*command("shelver-producer"), "load", str(dump), *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop(self, number: int) -> str:
        """Send a signal as soon as there is a position; return what was said."""
        while position(self._settings) is None:
            assert self._process.poll() is None, self.end()
            time.sleep(0.01)
        self._process.send_signal(number)
        return self.end()[1]

    def end(self) -> tuple[int, str]:
        said, _ = self._process.communicate(timeout=60)
        return self._process.returncode, said


def is_whole(listings: Listings, dump: Path) -> bool:
    """Whether the collection, in order of id, is the dump to the byte."""
    raw = listings.with_options(CodecOptions(document_class=RawBSONDocument)).find().sort("_id", 1)
    return b"".join(bytes(each.raw) for each in raw) == dump.read_bytes()


@pytest.mark.parametrize("kind", ["plain", "zstd"])
def test_a_killed_load_goes_on_where_it_was(
    settings: Settings, listings: Listings, dumps: dict[str, Path], kind: str
) -> None:
    """Not from the start; at most a few batches are sent again, and the collection is the dump."""
    Loading(settings, dumps[kind]).stop(signal.SIGKILL)
    assert 0 < listings.count_documents({}) < COUNT
    code, said = Loading(settings, dumps[kind]).end()
    assert code == 0, said
    again = int(re.search(r"inserted, ([\d,]+) were", said)[1].replace(",", ""))
    begun = int(re.search(GOING_ON, said)[2].replace(",", ""))
    assert begun > 0
    assert again <= 5 * BATCH_DOCUMENTS
    assert is_whole(listings, dumps["plain"])
    assert position(settings) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_load_that_is_told_to_stop_says_how_to_go_on(
    settings: Settings, listings: Listings, dumps: dict[str, Path], number: int
) -> None:
    """Exit code 130; nothing that is in is sent again."""
    loading = Loading(settings, dumps["plain"])
    said = loading.stop(number)
    assert loading.end()[0] == 130
    place = re.search(r"stopped: ([\d,]+) inserted, 0 were there already; the same command goes on at byte ", said)
    assert int(place[1].replace(",", "")) == listings.count_documents({}) < COUNT
    code, said = Loading(settings, dumps["plain"]).end()
    assert (code, f"{COUNT:,} inserted, 0 were there already" in said) == (0, True), said
    assert is_whole(listings, dumps["plain"])


class AfterDocuments(threading.Event):
    """Set when so many documents were read."""

    def __init__(self, count: int):
        super().__init__()
        self._left = count

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


def load(settings: Settings, dump: Path, stopped: threading.Event | None = None, restart: bool = False) -> int:
    """Load a dump, or some of it; return how many documents had been passed over."""
    with (
        open_listings(settings) as target,
        closing(Load(target, settings, Portion(dump), stopped or threading.Event())) as loading,
    ):
        loading.begin(restart)
        begun = loading.loaded.count
        assert loading.run() is (stopped is None)
        return begun


@pytest.fixture
def half(settings: Settings, tmp_path: Path) -> Path:
    """A small dump, of which 2 of 4 batches were loaded."""
    dump = tmp_path / "dump.bson"
    dump.write_bytes(b"".join(bson.encode({"_id": Int64(each)}) for each in range(4 * BATCH_DOCUMENTS)))
    assert load(settings, dump, AfterDocuments(2 * BATCH_DOCUMENTS + 100)) == 0
    return dump


def test_what_was_done_is_passed_over(settings: Settings, listings: Listings, half: Path) -> None:
    """What was deleted from it meanwhile stays deleted; --restart begins at the first document all the same."""
    assert listings.count_documents({}) == 2 * BATCH_DOCUMENTS
    listings.delete_one({"_id": 0})
    assert load(settings, half, AfterDocuments(BATCH_DOCUMENTS + 100)) == 2 * BATCH_DOCUMENTS
    assert listings.count_documents({}) == 3 * BATCH_DOCUMENTS - 1
    assert load(settings, half, restart=True) == 0
    assert is_whole(listings, half)


def test_a_collection_that_was_dropped_since_is_filled_from_the_start(
    settings: Settings, listings: Listings, half: Path
) -> None:
    """The position is of a collection, not of a name."""
    listings.drop()
    assert load(settings, half) == 0
    assert is_whole(listings, half)


def test_a_dump_that_was_changed_since_is_loaded_from_the_start(
    settings: Settings, listings: Listings, half: Path
) -> None:
    """The same name and size are not the same dump."""
    listings.delete_one({"_id": 0})
    half.write_bytes(half.read_bytes())
    assert load(settings, half) == 0
    assert is_whole(listings, half)


def test_two_loads_of_one_dump_do_not_share_the_work(settings: Settings, dumps: dict[str, Path]) -> None:
    """The second says who is at it."""
    portion, stopped = Portion(dumps["plain"]), threading.Event()
    with open_listings(settings) as target, closing(Load(target, settings, portion, stopped)) as first:
        first.begin()
        with (
            closing(Load(target, settings, portion, stopped)) as second,
            pytest.raises(LoadError, match=f"process {os.getpid()} on .* loads .*plain.bson already: wait for it"),
        ):
            second.begin()


@pytest.fixture
def own_mongod(processes: Processes, tmp_path: Path) -> str:
    """One that may be killed."""
    return servers.mongo(processes, tmp_path / "mongo")


def test_a_mongod_that_is_killed_loses_nothing(
    settings: Settings, processes: Processes, dumps: dict[str, Path], tmp_path: Path, own_mongod: str
) -> None:
    """The load ends with one sentence and the way to go on; what it passed over is on the disk of the next mongod."""
    mongod = processes.started[-1].process
    own = settings.model_copy(update={"mongo_url": own_mongod, "connect_timeout_seconds": 1})
    loading = Loading(own, dumps["plain"])
    while position(own) is None:
        time.sleep(0.01)
    mongod.kill()
    mongod.wait()
    code, said = loading.end()
    assert code == 1
    assert re.search(r"the same command goes on at byte \d+, after \d+ documents", said), said
    assert "error: MongoDB at " in said
    assert "Traceback" not in said
    again = own.model_copy(update={"mongo_url": servers.mongo(processes, tmp_path / "mongo")})
    code, said = Loading(again, dumps["plain"]).end()
    assert code == 0, said
    assert re.search(GOING_ON, said), said
    with MongoClient(again.mongo_url) as client:
        assert is_whole(client[again.mongo_database][again.mongo_collection], dumps["plain"])


def test_a_dry_run_needs_no_server(dumps: dict[str, Path], tmp_path: Path) -> None:
    """It reads and counts."""
    nowhere = Settings(mongo_url="mongodb://127.0.0.1:9/", database_url=f"sqlite:///{tmp_path / 'none.db'}")
    code, said = Loading(nowhere, dumps["zstd"], "--dry-run", "--limit", "1000", "--sample", "0.5").end()
    assert code == 0
    assert re.search(r"\b[45]\d\d of 1,000 documents would be loaded", said), said
    assert not (tmp_path / "none.db").exists()
