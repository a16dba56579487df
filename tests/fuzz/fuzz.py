"""Feed damaged pictures and dumps to whatever reads them, for some seconds: `make fuzz SECONDS=60 SEED=1`.

Every case follows from the seed and its number, so that `python -m tests.fuzz.fuzz --seed S --case N` does it again.
The cases run in a child process under a memory limit, which may die or hang: that is a finding like any exception that
is no reject, no DumpError and no DocumentError.
"""

import argparse
import json
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import seeds
from tests.fuzz.mutations import mutate

#: of address space: four times what a page's largest picture takes
MEMORY_BYTES = 2 * 2**30
#: for one case; a page of such pictures would be over its time limit
CASE_SECONDS = 20
#: of cases that are pictures; the others are dumps
PICTURES = 0.6


@dataclass
class Report:
    """What a run came to."""

    seed: int
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    #: number of the case -> what was wrong
    findings: dict[int, str] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    slowest_case: int = 0
    peak_megabytes: int = 0


def make_case(seed: int, number: int) -> tuple[str, bytes, random.Random]:
    """Return the kind of a case ("picture" or "dump"), its bytes, and the chance that its target goes on with."""
    chance = random.Random(f"{seed}:{number}")
    kind, sound = ("picture", seeds.pictures()) if chance.random() < PICTURES else ("dump", seeds.dumps())
    return kind, mutate(chance.choice(sound), sound, chance), chance


def run(seed: int, seconds: float, folder: Path) -> Report:
    """Run cases 0, 1, 2 … for that long; inputs of findings are saved in `folder`, made if need be."""
    report = Report(seed)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with _child(seed) as child:
            while time.monotonic() < deadline and _ask(child, report, folder):
                pass
    return report


def _ask(child: "Child", report: Report, folder: Path) -> bool:
    """Have the child run the next case; return whether it is there for another."""
    number = report.cases
    report.cases += 1
    started = time.monotonic()
    answer = child.ask(number)
    taken = time.monotonic() - started
    if taken > report.slowest_seconds:
        report.slowest_seconds, report.slowest_case = taken, number
    if isinstance(answer, str):
        _save(report, number, answer, folder)
        return False
    report.peak_megabytes = max(report.peak_megabytes, answer["megabytes"])
    if answer["finding"]:
        _save(report, number, answer["finding"], folder)
    else:
        report.outcomes[answer["outcome"]] += 1
    return True


def _save(report: Report, number: int, problem: str, folder: Path) -> None:
    report.findings[number] = problem
    kind, data, _ = make_case(report.seed, number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{report.seed}-case-{number}.{kind}").write_bytes(data)
    (folder / f"seed-{report.seed}-case-{number}.txt").write_text(problem)


class Child:
    """A process that runs cases by number."""

    def __init__(self, seed: int, errors: Path):
        self._errors = errors
        with errors.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.fuzz", "--seed", str(seed), "--child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._into, self._from = self.process.stdin, self.process.stdout
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._from, selectors.EVENT_READ)
        self._from.readline()  # its imports are done

    def ask(self, number: int) -> dict[str, int | str] | str:
        """Return its answer, or how it ended instead of one."""
        try:
            self._into.write(b"%d\n" % number)
            self._into.flush()
            if not self._ready.select(CASE_SECONDS):
                return f"no answer within {CASE_SECONDS} s"
            line = self._from.readline()
        except BrokenPipeError:
            line = b""
        if line:
            return json.loads(line)
        return f"the process ended with {self.process.wait()}: {self._errors.read_text()[-2000:]}"

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self._ready.close()
        self._into.close()
        self._from.close()


@contextmanager
def _child(seed: int) -> Iterator[Child]:
    with tempfile.TemporaryDirectory() as folder:
        child = Child(seed, Path(folder) / "errors")
        try:
            yield child
        finally:
            child.close()


def run_case(seed: int, number: int) -> tuple[str, str | None]:
    """Run one case in this process; return the outcome, and the traceback of a finding."""
    from tests.fuzz import targets  # the parent needs none of it

    kind, data, chance = make_case(seed, number)
    try:
        return getattr(targets, kind)(data, chance), None
    except Exception:
        return "finding", traceback.format_exc()


def serve(seed: int) -> None:
    """Be the child: a number a line in, an answer a line out."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_case(seed, 0)
    print("ready", flush=True)
    for line in sys.stdin:
        outcome, finding = run_case(seed, int(line))
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"outcome": outcome, "finding": finding, "megabytes": megabytes}), flush=True)


def main() -> int:
    """Run from the command line; the exit code is 1 when there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="of the cases; another each time without it")
    parser.add_argument("--case", type=int, help="run this one alone, in this process")
    parser.add_argument("--folder", type=Path, default=Path(".local/fuzz"), help="for inputs of findings")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    if asked.child:
        serve(seed)
        return 0
    if asked.case is not None:
        outcome, finding = run_case(seed, asked.case)
        print(finding or outcome)
        return int(finding is not None)
    print(f"seed {seed}", flush=True)
    report = run(seed, asked.seconds, asked.folder)
    for outcome, count in sorted(report.outcomes.items()):
        print(f"{count:>9,}  {outcome}")
    print(
        f"{report.cases:>9,}  cases in {asked.seconds:g} s; the slowest, {report.slowest_case}, took "
        f"{report.slowest_seconds:.2f} s; {report.peak_megabytes:,} MB at most"
    )
    for number, problem in report.findings.items():
        print(f"FINDING in case {number}: {problem.strip().splitlines()[-1][:300]}")
    print(f"{len(report.findings):>9,}  findings" + (f", saved in {asked.folder}" if report.findings else ""))
    return int(bool(report.findings))


if __name__ == "__main__":
    sys.exit(main())
