"""Measure beside a million rows and beside as many as told, which is no part of make bench.

make bench extrapolates to 50 million rows. To measure there (12 GB, a quarter of an hour):

    python -m tests.benchmarks.performance.store --rows 50000000
"""

import argparse
import json
import tempfile
from pathlib import Path

from tests.benchmarks.goals import machine, ratio
from tests.benchmarks.performance.store.filled_store import FilledStore
from tests.benchmarks.performance.store.measurement import EXTRAPOLATED, PAGES, SIZES, seconds_a_page
from tests.benchmarks.performance.store.writing import visit
from tests.benchmarks.producer.line import open_line


def main() -> None:
    """Write pages into both, in turns, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.performance.store")
    parser.add_argument("--rows", type=int, default=EXTRAPOLATED, help="rows there")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as folder, open_line(Path(folder)) as servers:
        found = visit([FilledStore(servers, each) for each in (SIZES[1], rows)], PAGES)
    growth = ratio(*(seconds_a_page(each) for each in reversed(found)))
    print(json.dumps({"machine": machine(), "growth": growth, "sizes": found}, indent=1))


if __name__ == "__main__":
    main()
