"""A clock that jumps, as when a machine wakes up or its time is set."""

import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.faults import audit
from tests.faults.audit import Answers
from tests.faults.conftest import MakeLine
from tests.faults.proxies import ModelProxy, slow

LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"
JUMP_SECONDS = (24 * 3600, -3600)
#: the library reads the offset this often
SEEN_AFTER_SECONDS = 1


@pytest.mark.long
def test_the_workers_clock_jumps(
    make_line: MakeLine, proxy: ModelProxy, catalog: list[int], undisturbed: Answers, tmp_path: Path
) -> None:
    """A day ahead, then an hour behind: pages in hand are taken for lost, and doing them twice changes nothing."""
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(Path(find_spec("libfaketime").origin).parent / LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": str(SEEN_AFTER_SECONDS),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    line = make_line(environment=environment, serving_address=proxy.address)
    proxy.fault = slow(0.3)  # so that there is work left after the jumps
    line.start_workers()
    line.enqueue_all(catalog)
    for number, seconds in enumerate(JUMP_SECONDS, start=1):
        line.wait_for_rows(300 * number)
        offset.write_text(f"{seconds:+d}\n")
        time.sleep(2 * SEEN_AFTER_SECONDS)
    assert line.count() < len(catalog)
    audit.check(line, undisturbed)
    days = [datetime.now(UTC).date() + timedelta(days=day) for day in (1, 2)]  # it may be midnight
    assert any(f"{day} " in line.logs().replace("T", " ") for day in days), "the workers saw no jump"
