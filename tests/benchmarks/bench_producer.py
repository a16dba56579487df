"""make bench-producer: how fast ids go onto the queue, how soon new ones, and in what memory a whole catalog."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.benchmarks import bench_load
from tests.benchmarks.goals import Goal, report
from tests.benchmarks.producer import backfilling, enqueueing, latency, page, plot, watching
from tests.benchmarks.producer.line import open_line
from tests.benchmarks.producer.sizes import SMALL, Sizes

ROOT = Path(__file__).parents[2]
PARTS = {"enqueueing": enqueueing, "watching": watching, "backfilling": backfilling, "latency": latency}


def main() -> None:
    """Measure part by part, tell, draw, and put the figures into docs/producer.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only try it; what is written goes to .local")
    is_small = parser.parse_args().small
    folder = ROOT / (".local" if is_small else "docs")
    folder.mkdir(exist_ok=True)
    goals, figures = _measure(SMALL if is_small else Sizes())
    report(goals, figures, folder / "producer-bench.json")
    plot.draw(figures, folder / "producer-bench.svg")
    if not is_small:
        page.write(figures, folder / "producer.md")


def _measure(sizes: Sizes) -> tuple[list[Goal], dict[str, Any]]:
    goals, figures = [], {}
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as folder, open_line(Path(folder)) as line:
        for name, part in PARTS.items():
            print(name, flush=True)
            found, figures[name] = part.measure(line, sizes)
            goals += found
    print("loading", flush=True)
    goal, figures["loading"] = bench_load.measure(sizes.load_rounds)
    return [*goals, goal], figures


if __name__ == "__main__":
    main()
