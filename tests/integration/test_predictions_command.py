"""shelver-worker predictions, on SQLite and on PostgreSQL."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from pyarrow import parquet
from typer.testing import CliRunner, Result

from tests.conftest import command
from tests.integration.questions import ASSIGNMENTS, BALL, CUP, LAMP, LAMP_NAME, LARGEST, stored
from worker import schema
from worker.cli import app, formats
from worker.cli.spans import to_span, to_time, week_before
from worker.contract import views
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.settings import Settings
from worker.questions import selection
from worker.questions.models import NoSuchModel
from worker.questions.shelves import NoSuchCategory

Say = Callable[..., Result]
COLUMNS = list(views.latest_predictions.c.keys())
SPANS = ("--before", "2026-01-05..2026-01-12", "--after", "2026-01-12..2026-01-19")
#: for what SQL has no part in
one_store = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
EVERY = ([], ["summary"], ["compare", "1", "2"], ["disagreements"], ["drift"], ["--format", "csv"])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with stored(request.param, request, tmp_path_factory) as settings:
        yield settings


@pytest.fixture
def say(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Say:
    return speaker(settings, monkeypatch)


def speaker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Say:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["predictions", *map(str, arguments)], catch_exceptions=False)

    return run


def run(settings: Settings, line: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """A shell's line, in which $PREDICTIONS is the command."""
    environment = {**os.environ, **settings.environment(), "PREDICTIONS": f"{command('shelver-worker')[0]} predictions"}
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=60, **options)


def test_csv_and_json_lines_are_exact(say: Say) -> None:
    """Every column of the view in order of product id: hostile names, the largest id and moments come through."""
    as_csv, as_json = say("--format", "csv"), say("--format", "jsonl")
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    told = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert list(rows[0]) == list(told[0]) == COLUMNS
    assert [int(row["product_id"]) for row in rows] == [row["product_id"] for row in told] == sorted(ASSIGNMENTS)
    assert rows[-1]["product_id"] == str(LARGEST)
    assert rows[-1]["category"] == told[-1]["category"] == LAMP_NAME
    assert (rows[-1]["category_en"], told[-1]["category_en"]) == ("", None)
    at = datetime.fromisoformat(rows[0]["predicted_at"])
    assert at.tzinfo == UTC
    assert at == datetime.fromisoformat(told[0]["predicted_at"])
    assert float(rows[0]["score"]) == told[0]["score"] == 0.95
    assert told[0]["queue"] == "new"


def test_parquet_has_types_and_row_groups(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows, streamed over many fetches and groups."""
    monkeypatch.setattr(formats, "ROWS_IN_GROUP", 7)
    monkeypatch.setattr(selection, "FETCHED", 3)
    file = tmp_path / "all.parquet"
    assert say("-o", file).stderr == f"{len(ASSIGNMENTS)} predictions written to {file}\n"
    assert parquet.ParquetFile(file).num_row_groups == -(-len(ASSIGNMENTS) // 7)
    table = parquet.read_table(file)
    kinds = {str(field.type) for field in table.schema}
    assert kinds == {"int64", "int32", "double", "string", "timestamp[us, tz=UTC]"}
    rows = table.to_pylist()
    told = [json.loads(line) for line in say("--format", "jsonl").stdout.splitlines()]
    assert [row["product_id"] for row in rows] == sorted(ASSIGNMENTS)
    for name in ("category", "score", "listed_category_id", "queue", "category_en"):
        assert [row[name] for row in rows] == [row[name] for row in told]
    assert rows[0]["predicted_at"] == datetime.fromisoformat(told[0]["predicted_at"])


def test_parquet_without_rows_has_its_columns(say: Say, tmp_path: Path) -> None:
    """Whoever reads it need not ask whether there were any."""
    file = tmp_path / "none.parquet"
    assert "nothing matches" in say("--min-score", 0.5, "--max-score", 0.4, "-o", file).stderr
    assert parquet.read_table(file).column_names == COLUMNS


def test_kaggles_file_needs_level_3(say: Say) -> None:
    """Of one model, or of the latest predictions where all of them are of that level."""
    done = say("--model", "other:1", "--format", "kaggle", "--limit", 4)
    assert done.stdout == f"_id,category_id\n101,{CUP}\n102,{CUP}\n103,{CUP}\n104,{BALL}\n"
    for chosen in (["--model", "3"], []):
        with pytest.raises(ShelverError, match="level 3, and shelver:3 predicts those of level 2"):
            say(*chosen, "--format", "kaggle")
    assert say("--assignment", "verdict", "--format", "kaggle").stdout == f"_id,category_id\n19,{CUP}\n107,{BALL}\n"


def test_the_same_rows_are_the_same_bytes(say: Say, tmp_path: Path) -> None:
    """A file's name tells its format; .gz compresses it, without the time."""
    for name in ("a.csv", "b.csv.gz", "c.csv.gz"):
        say("-o", tmp_path / name)
    packed = (tmp_path / "b.csv.gz").read_bytes()
    assert packed == (tmp_path / "c.csv.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "a.csv").read_bytes()
    assert say("--format", "csv").stdout_bytes == (tmp_path / "a.csv").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.csv", "b.csv.gz", "c.csv.gz"]


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)  # SQLite's own files would be too large
def test_a_file_is_written_whole_or_not_at_all(settings: Settings, tmp_path: Path) -> None:
    """What was there before stays when there is no room, and nothing else is left."""
    file = tmp_path / "old.csv"
    file.write_text("old")
    done = run(settings, f"ulimit -f 1; $PREDICTIONS -o {file}")
    assert done.returncode == 1
    why = "is not written ([Errno 27] File too large): see to it and run the same command again"
    assert done.stderr == f"error: {file} {why}\n"
    done = run(settings, "$PREDICTIONS --format csv -o /dev/full")
    assert "error: /dev/full is not written ([Errno 28] No space left on device)" in done.stderr
    done = run(settings, "$PREDICTIONS --format csv > /dev/full")
    assert "error: standard output is not written ([Errno 28] No space left on device)" in done.stderr
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("old.csv", "old")]


def test_a_file_that_cannot_be_written_is_told(say: Say, tmp_path: Path) -> None:
    """A folder that is not there, and one that is; a link is written through."""
    for where in (tmp_path / "nowhere" / "x.csv", tmp_path):
        with pytest.raises(ShelverError, match="is not written"):
            say("--format", "csv", "-o", where)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    say("-o", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("product_id,")


@one_store
def test_a_reader_that_went_away_ends_it_quietly(settings: Settings) -> None:
    """As with any command: | head."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(settings, f"$PREDICTIONS --format jsonl >&{writer}", pass_fds=(writer,))
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@one_store
def test_parquet_without_pyarrow_is_told(settings: Settings, tmp_path: Path) -> None:
    """It is an extra; nothing is left of the file."""
    line = "import sys; sys.modules['pyarrow'] = None; from worker.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", line, "predictions", "-o", str(tmp_path / "x.parquet")],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
    )
    assert done.stderr == "error: Parquet needs pyarrow: pip install 'shelver[console]', or write --format csv\n"
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_for_people(say: Say) -> None:
    """The highest scores first, names as they are, and how many there are."""
    told = say("--category", "sport", "--min-score", 0.5).stdout
    assert "4 of 4 predictions, the highest scores first\n" in told
    assert "SPORT · SPORTS" in told
    told = say("--limit", 3).stdout
    assert "3 of 26 predictions, the highest scores first; --limit shows more" in told
    assert told.splitlines()[3].split()[1] == "23"
    told = say("--category", str(LAMP), "--model", "1").stdout
    assert LAMP_NAME in told
    assert "999, not in the tree" in told


def test_filters_are_combined(say: Say) -> None:
    """As Selection has them."""

    def found(*arguments: object) -> list[int]:
        rows = csv.DictReader(io.StringIO(say(*arguments, "--format", "csv").stdout))
        return [int(row["product_id"]) for row in rows]

    assert found("--category", "cuisine", "--agrees", "--max-score", 0.85) == [16]
    assert found("--category", "ballon", "--level", 3, "--since", "2026-01-12", "--until", "2026-01-13") == [
        106,
        107,
        108,
    ]
    assert found("--model", "other:1", "--disagrees") == [103, 107]
    assert found("--assignment", "level1") == [13, 17, 18]
    assert found("--level", 1, "--min-score", 1) == [23]
    assert found("--until", "3650d") == []


def test_who_errs_is_told(say: Say) -> None:
    """An unknown or ambiguous name, options that do not go together."""
    with pytest.raises(NoSuchCategory, match="'ballon' is the name of 2 categories, name one by id"):
        say("--category", "ballon")
    with pytest.raises(NoSuchCategory, match="did you mean"):
        say("--category", "tass")
    with pytest.raises(NoSuchModel, match="as one of shelver:3, shelver:2"):
        say("--model", 7)
    for arguments, message in (
        (["--model", 1, "--assignment", "review"], "leave --assignment or --model out"),
        (["--format", "table", "-o", "x"], "a table is for people"),
        (["-o", "x.dat"], "tells no format"),
        (["--min-score", 1, "summary"], "options of summary are written behind it"),
        (["--since", "3"], "no date and no age"),
        (["drift", "--before", "2026-01-05"], "is no span"),
    ):
        done = say(*arguments)
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.replace("│", "").split())


@one_store
def test_parquet_is_not_for_a_terminal(settings: Settings) -> None:
    """It would be noise, and might be obeyed."""
    done = run(settings, "NO_COLOR=1 TERM=dumb script -qec '$PREDICTIONS --format parquet' /dev/null")
    assert "Parquet is no text: name a file with -o" in done.stdout


def test_the_summary_adds_up(say: Say) -> None:
    """Assignments with shares, days, rejects."""
    told = say("summary", "--since", "2026-01-01", "--until", "2026-02-01").stdout
    assert "8 products" in told
    lines = [line.strip("│ ").split("│") for line in told.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert ["verdict", "1", "12.5 %"] in cells
    assert ["2026-01-05", "other:1", "new", "4", "0.00 s", "0.00 s", "100.0 %"] in cells
    assert ["no_pictures", "2"] in [each[:2] for each in cells]


def test_models_are_compared(say: Say) -> None:
    """What is the same, what is right, what flipped."""
    told = say("compare", "1", "shelver:2").stdout
    assert "5 products of both, 3 with a known category" in told
    assert "40.0 % │" in told
    assert "TASSE · CUP" in told
    assert "no product has predictions of both shelver:1 and other:1" in say("compare", "1", "other:1").stderr


def test_disagreements_are_listed(say: Say) -> None:
    """The surest first; those decided only with --all."""
    rows = list(csv.DictReader(io.StringIO(say("disagreements", "--format", "csv").stdout)))
    assert [int(row["product_id"]) for row in rows] == [33, 35, 103, 20, 21, LARGEST, 12, 17, 18]
    told = say("disagreements", "--all", "--category", "sport", "--format", "jsonl").stdout
    assert [json.loads(line)["product_id"] for line in told.splitlines()] == [20, 21, 107]
    told = say("disagreements", "--limit", 1).stdout
    assert told.count("ASSIETTE · PLATE") == 1
    assert told.count("TASSE · CUP") == 1


def test_drift_is_measured(say: Say) -> None:
    """The two indices, the categories, the scores; without spans, the last two whole weeks."""
    told = say("drift", *SPANS).stdout
    assert " before: 4 predictions, from 2026-01-05 00:00:00 to 2026-01-12 00:00:00 UTC\n" in told
    assert "│ categories │ 1.0986 │    0.5000 │" in told
    assert "│ 0.9 to 1.0 │      4 │ 100.00 % │     2 │ 50.00 % │" in told
    assert "no predictions were written from" in say("drift").stderr


def test_a_name_with_line_ends_is_one_cell() -> None:
    """Whatever sellers or catalogs put into a name, a row is a row."""
    name, file = 'a\rb\nc\r\nd"e,f', io.BytesIO()
    formats.write_csv(views.latest_predictions, ("product_id", "category"), [(1, name), (2, None)], file)
    assert list(csv.reader(io.StringIO(file.getvalue().decode(), newline=""))) == [
        ["product_id", "category"],
        ["1", name],
        ["2", ""],
    ]


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_an_empty_store_is_no_error(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do, and ends well; but a model that is not there is one."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'store.db'}")
    run = speaker(settings, monkeypatch)
    with pytest.raises(Unavailable, match="there is no file .*; run shelver-worker migrate"):
        run(*arguments)
    schema.migrate(settings)
    if "compare" in arguments:
        with pytest.raises(NoSuchModel, match="there is none yet, shelver-trainer publish makes one"):
            run(*arguments)
        return
    done = run(*arguments)
    assert done.exit_code == 0
    assert "no predictions" in done.stderr


def test_a_store_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, without the password."""
    run = speaker(Settings(database_url="postgresql://me:secret@127.0.0.1:9/x"), monkeypatch)
    with pytest.raises(Unavailable, match="SHELVER_DATABASE_URL") as caught:
        run("summary")
    assert "secret" not in str(caught.value)


def test_moments_are_dates_or_ages() -> None:
    """In UTC unless they say otherwise."""
    assert to_time("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert to_time(" 2026-11-01T08:30+01:00 ") == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
    assert 6.9 < (datetime.now(UTC) - to_time("7d")).total_seconds() / 86400 < 7.1
    for wrong in ("", "yesterday", "7", "2026-13-01", "0001-01-01T00:00+14:00", "99999999d", "١٢٣"):
        with pytest.raises(typer.BadParameter, match="is no"):
            to_time(wrong)


def test_spans_end_after_they_begin() -> None:
    """Two moments with dots between them; weeks begin on Monday."""
    assert to_span("2026-11-02..2026-11-09") == (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
    for wrong in ("2026-11-02", "..", "2026-11-09..2026-11-02", "7d..7d..", "7d..14d"):
        with pytest.raises(typer.BadParameter):
            to_span(wrong)
    sunday = datetime(2026, 11, 15, 23, 59, tzinfo=UTC)
    assert week_before(sunday) == (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
    assert week_before(sunday, 2)[1] == week_before(sunday)[0]
