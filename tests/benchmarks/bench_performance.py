"""make bench: how near the line comes to the model alone, and what it costs; part by part, each on fresh servers."""

import argparse
import importlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.benchmarks.goals import machine
from tests.benchmarks.performance import page, plot
from tests.benchmarks.producer.line import open_line

ROOT = Path(__file__).parents[2]
#: in the order of the page
PARTS = ("efficiency", "capacity", "peers", "latency", "memory", "store", "copies", "growth")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep what was measured after each part, and write docs/performance.md from all parts that are there.

    A part that fails does not take the others with it: they are measured and kept, then all that failed is raised.
    """
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="only try it; what is written goes to .local")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one, and more by more of --part")
    given = parser.parse_args(arguments)
    folder = ROOT / (".local" if given.small else "docs")
    folder.mkdir(exist_ok=True)
    failures = []
    for name in given.part or PARTS:
        print(name, flush=True)
        try:
            _measure(name, given.small, folder)
        except Exception as error:
            print(f"{name} failed: {error!r}", flush=True)
            failures.append(error)
    if not given.small:
        page.write(_kept(folder), part, folder / "performance.md")
    if failures:
        raise ExceptionGroup("parts of make bench failed; all others are measured and kept", failures)


def part(name: str) -> ModuleType:
    """Return the module that measures a part, tells of it and may draw it."""
    return importlib.import_module(f"tests.benchmarks.performance.{name}")


def _measure(name: str, small: bool, folder: Path) -> None:
    """Run a part on servers of its own, tell its goals, keep its figures, and draw them where it knows how to."""
    measured, started = part(name), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as scratch, open_line(Path(scratch)) as servers:
        versions = page.versions(servers)
        goals, figures = measured.measure(servers, small)
    for goal in goals:
        print(goal, flush=True)
    told = [{**asdict(goal), "holds": goal.holds} for goal in goals]
    seconds = time.monotonic() - started
    run = {"machine": machine(), "versions": versions, "seconds": seconds, "goals": told, "figures": figures}
    _keep(name, run, folder)
    kept = _kept(folder)["parts"][name]["figures"]  # as JSON has it, and so as the page will find it
    measured.section(kept)  # what cannot be told is no part's success
    if hasattr(measured, "draw"):
        plot.draw(measured, kept, folder / f"performance-{name}.svg")


def _kept(folder: Path) -> dict[str, Any]:
    """Return what was measured, now or earlier: {"parts": name -> run, "goals": those of all runs}."""
    path = folder / "performance-bench.json"
    return json.loads(path.read_text()) if path.exists() else {"parts": {}, "goals": []}


def _keep(name: str, run: dict[str, Any], folder: Path) -> None:
    """Put a run in the place of the part's last one, in the order of PARTS."""
    runs = {**_kept(folder)["parts"], name: run}
    parts = {each: runs[each] for each in PARTS if each in runs}
    goals = [goal for each in parts.values() for goal in each["goals"]]
    (folder / "performance-bench.json").write_text(json.dumps({"parts": parts, "goals": goals}, indent=1) + "\n")


if __name__ == "__main__":
    main()
