"""The fuzz run: a few seconds of it, and that it would find something."""

import json
import signal
from pathlib import Path

import pytest

from tests.fuzz import fuzz, seeds, targets
from tests.fuzz.fuzz import Report, make_case, run, run_case


def test_three_seconds_find_nothing(tmp_path: Path) -> None:
    """Damaged pictures and dumps end as rejects, DumpErrors and DocumentErrors; `make fuzz` goes on for longer."""
    report = run(seed=20, seconds=3, folder=tmp_path)
    assert report.findings == {}
    assert report.cases > 20
    assert {outcome.partition(":")[0].split()[0] for outcome in report.outcomes} == {"dump", "predicted", "rejected"}


@pytest.mark.parametrize("number", range(len(seeds.pictures())))
def test_every_picture_to_start_from_is_sound(number: int) -> None:
    """Mutations of what is rejected already would find little."""
    assert targets.picture(seeds.pictures()[number], make_case(1, 0)[2]) == "predicted"


@pytest.mark.parametrize("number", range(len(seeds.dumps())))
def test_every_dump_to_start_from_is_sound(number: int) -> None:
    """Whole, and the same to both readers."""
    assert targets.dump(seeds.dumps()[number], make_case(1, 0)[2]) == "dump whole"


def test_a_case_follows_from_seed_and_number() -> None:
    """A finding can be had again, in another process, on another day."""
    kind, data, chance = make_case(7, 11)
    again = make_case(7, 11)
    assert (kind, data) == again[:2]
    assert chance.random() == again[2].random()
    assert data != make_case(7, 12)[1]
    assert data != make_case(8, 11)[1]


def test_an_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback is told."""

    def trip(data: bytes, chance: object) -> str:
        raise KeyError("a reader's own")

    for kind in ("picture", "dump"):
        monkeypatch.setattr(targets, kind, trip)
    outcome, finding = run_case(1, 1)
    assert outcome == "finding"
    assert finding is not None
    assert "a reader's own" in finding


def test_a_process_that_dies_or_hangs_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input is saved with the seed, and the run goes on with another process."""
    report = Report(seed=3)
    monkeypatch.setattr(fuzz, "CASE_SECONDS", 0.1)
    with fuzz._child(3) as child:
        child.process.send_signal(signal.SIGSTOP)
        assert not fuzz._ask(child, report, tmp_path)
    monkeypatch.setattr(fuzz, "CASE_SECONDS", 20)
    with fuzz._child(3) as child:
        child.process.kill()
        assert not fuzz._ask(child, report, tmp_path)
    with fuzz._child(3) as child:
        assert fuzz._ask(child, report, tmp_path)
    assert report.findings[0] == "no answer within 0.1 s"
    assert report.findings[1].startswith("the process ended with -9")
    for number in (0, 1):
        kind, data, _ = make_case(3, number)
        assert (tmp_path / f"seed-3-case-{number}.{kind}").read_bytes() == data
        assert (tmp_path / f"seed-3-case-{number}.txt").read_text() == report.findings[number]
    assert report.cases == 3


def test_a_childs_answer_is_one_line_of_json(tmp_path: Path) -> None:
    """Outcome, finding and memory."""
    with fuzz._child(3) as child:
        answer = child.ask(5)
    assert isinstance(answer, dict)
    assert answer.keys() == {"outcome", "finding", "megabytes"}
    assert answer["finding"] is None, json.dumps(answer)
