"""make bench-producer: how fast ids go onto the queue, how soon new ones, and in what memory a whole catalog."""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.benchmarks.goals import report
from tests.benchmarks.producer import backfilling, enqueueing, latency, watching
from tests.benchmarks.producer.line import open_line
from tests.benchmarks.producer.sizes import SMALL, Sizes

ROOT = Path(__file__).parents[2]
PARTS = {each.__name__.rpartition(".")[2]: each for each in (enqueueing, watching, backfilling, latency)}
NAME = "producer-bench.json"


def main() -> None:
    """Measure part by part, tell, draw, and put the figures into docs/producer.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only try it; what is written goes to .local")
    parser.add_argument("--only", choices=PARTS, help="one part, as with --small")
    given = parser.parse_args()
    goals, details = [], {}
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as folder, open_line(Path(folder)) as line:
        for name in [given.only] if given.only else PARTS:
            print(name, flush=True)
            found, details[name] = PARTS[name].measure(line, SMALL if given.small else Sizes())
            goals += found
    target = ROOT / ".local" / NAME if given.small or given.only else ROOT / "docs" / NAME
    target.parent.mkdir(exist_ok=True)
    report(goals, details, target)


if __name__ == "__main__":
    main()
