"""make bench-trainer: how near index, prepare and feed come to the stage that limits them, and in what memory."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.benchmarks import dumps
from tests.benchmarks.goals import Goal, ratio, report
from tests.benchmarks.memory import peak_bytes
from trainer.index import build
from trainer.pictures import as_served
from trainer.prepare.outline import outline
from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe

ROUNDS, PREPARE_ROUNDS = 5, 3
#: pictures of one round of decoding
DECODED = 100_000
SMALL, LARGE = 0.5e9, 2e9
PAGE = Path(__file__).parents[2] / "docs" / "trainer-bench.json"

INDEX = """
import sys; from pathlib import Path; from trainer.index import build
build(Path(sys.argv[1]), fresh=True)
"""
PREPARE = """
import sys; from pathlib import Path; from trainer.index import build
from trainer.prepare.outline import outline; from trainer.prepare.prepare import prepare
from trainer.prepare.selection import Recipe
dump, categories, output = map(Path, sys.argv[1:])
prepare(outline(build(dump), categories, Recipe()), output)
"""
FEED = """
import sys; from pathlib import Path; from trainer.data import Data; from trainer import feed
for batch in feed.training(Data.open(Path(sys.argv[1])), 180, 1, 0).batch(64).prefetch(2): pass
"""


def seconds(work: Callable[[], object]) -> float:
    """Return how long it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def index_over_cat(dump: Path) -> tuple[float, dict[str, float]]:
    """Return the rate of `index` over that of `cat`, both on the warm file, and both in GB/s."""
    reads, indexes = [], []
    for _ in range(ROUNDS + 1):
        reads.append(seconds(lambda: subprocess.run(["cat", dump], stdout=subprocess.DEVNULL, check=True)))
        indexes.append(seconds(lambda: build(dump, fresh=True)))
    reads, indexes = reads[1:], indexes[1:]
    size = dump.stat().st_size / 1e9
    return ratio(reads, indexes), {"cat": size / median(reads), "index": size / median(indexes)}


def check(pictures: list[bytes]) -> int:
    """Do what `prepare` does most: decode pictures; return their bytes."""
    return sum(len(as_served(each)) for each in pictures)


def prepare_over_checking(dump: Path, categories: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Return the rate of `prepare` over that of its slowest stage alone on the same pictures in memory."""
    outlined = outline(build(dump), categories, Recipe())
    products = outlined.index.read(range(len(outlined.index.products)))
    pictures = [each for product in products for each in product.pictures if each]
    parts = [pictures[start : start + 2000] for start in range(0, len(pictures), 2000)]
    checks, whole = [], []
    for number in range(PREPARE_ROUNDS):
        with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:  # forked: the pictures are there
            checks.append(seconds(lambda: list(pool.imap(check, parts))))
        output = folder / f"prepared-{number}"
        whole.append(seconds(partial(prepare, outlined, output)))
        if number:
            shutil.rmtree(output)
    rates = {"decoding alone": len(pictures) / median(checks), "prepare": len(pictures) / median(whole)}
    return ratio(checks, whole), rates


def feed_over_decoding(folder: Path) -> tuple[float, dict[str, float]]:
    """Return the rate of the training feed over that of decoding the same pictures from memory, in the same graph."""
    import tensorflow as tf

    from trainer import feed
    from trainer.data import Data

    data = Data.open(folder)
    pictures = feed.pictures(data.splits["train"], ("picture",)).take(DECODED).as_numpy_iterator()
    encoded = [picture for (picture,) in pictures]

    in_memory = tf.constant(encoded)

    def drain(pictures: tf.data.Dataset) -> float:
        start, count = time.perf_counter(), 0
        for batch, *_ in pictures.batch(64).take(len(encoded) // 64).prefetch(2):
            count += len(batch)
        return count / (time.perf_counter() - start)

    bare, fed = [], []
    for _ in range(ROUNDS):
        bare.append(drain(feed.decoded(tf.data.Dataset.from_tensor_slices((in_memory,)), 180)))
        fed.append(drain(feed.training(data, 180, 1, 0)))
    return ratio(fed, bare), {"decoding alone": median(bare), "feed": median(fed)}


def memory(folder: Path, small: tuple[Path, Path], large: tuple[Path, Path]) -> Iterator[tuple[str, int, int]]:
    """Yield (stage, peak bytes on the small dump, on the large one)."""
    sizes: dict[str, list[int]] = {"index": [], "prepare": [], "feed": []}
    for name, (dump, categories) in (("small", small), ("large", large)):
        sizes["index"].append(peak_bytes(INDEX, dump))
        sizes["prepare"].append(peak_bytes(PREPARE, dump, categories, folder / name))
        sizes["feed"].append(peak_bytes(FEED, folder / name))
    for stage, (little, much) in sizes.items():
        yield stage, little, much


def main() -> None:
    """Draw two dumps, measure, tell."""
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as name:
        folder = Path(name)
        print(f"drawing dumps of {SMALL / 1e9} and {LARGE / 1e9} GB", flush=True)
        small, large = dumps.draw(folder / "s", SMALL), dumps.draw(folder / "l", LARGE)
        print("index against cat", flush=True)
        index_ratio, index_rates = index_over_cat(large[0])
        print("prepare against decoding", flush=True)
        prepare_ratio, prepare_rates = prepare_over_checking(*large, folder)
        print("memory", flush=True)
        peaks = list(memory(folder, small, large))
        print("the feed against decoding", flush=True)
        feed_ratio, feed_rates = feed_over_decoding(folder / "prepared-0")
    goals = [
        Goal("trainer.index_over_cat", index_ratio, ">=", 0.5),
        Goal("trainer.prepare_over_slowest_stage", prepare_ratio, ">=", 0.8),
        Goal("trainer.feed_over_decoding", feed_ratio, ">=", 0.9),
    ]
    for stage, little, much in peaks:
        goals.append(Goal(f"trainer.{stage}_memory_2GB_over_0.5GB", much / little, "<=", 1.1))
        goals.append(Goal(f"trainer.{stage}_memory_GB", much / 1e9, "<=", 1.0))
    details = {
        "gigabytes_per_second": index_rates,
        "pictures_per_second": {"prepare": prepare_rates, "feed": feed_rates},
        "peak_megabytes": {stage: [little / 1e6, much / 1e6] for stage, little, much in peaks},
    }
    report(goals, details, PAGE)


if __name__ == "__main__":
    sys.exit(main())
