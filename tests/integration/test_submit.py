"""Kaggle's file: every product one row, from a run's network or from predictions in SQL, whole or not at all."""

import csv
import gzip
import io
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import keras
import numpy as np
import pytest
import tensorflow as tf
from bson.int64 import Int64
from sqlalchemy import insert, update
from typer.testing import CliRunner

from tests.integration.conftest import register, tiny_network
from tests.pictures import draw, encode, huge_png, jpeg, listing
from trainer.cli import app
from trainer.graph import Classifier, decode
from trainer.publishing.publish import open_classifier
from trainer.run import CATEGORIES, MODEL, Run, RunError
from trainer.submission.dump_pages import DumpPages, Seen
from trainer.submission.run_answers import BATCH, RunAnswers
from trainer.submission.stored_answers import StoredAnswers
from trainer.submission.submit import SubmitError, submit
from worker import schema
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.messages import Queue
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.tables import models, predictions
from worker.contract.taxonomy import Taxonomy

CLASSES = range(1000000001, 1000000007)


class Fixed:
    """Answers by the id, to see what the file is made of."""

    page_size = 7

    def __init__(self, unknown: Sequence[int] = ()):
        self.asked: list[int] = []
        self._unknown = unknown

    def categories(self, products: Sequence[Product]) -> dict[int, int]:
        self.asked += [each.id for each in products]
        return {each.id: 1000 + each.id for each in products if each.id not in self._unknown}

    def fallback(self) -> int:
        return 5

    def remarks(self) -> Iterator[str]:
        yield "a remark"


@pytest.fixture
def dump(tmp_path: Path) -> Callable[..., Path]:
    def write(*documents: Any) -> Path:
        path = tmp_path / "test.bson"
        path.write_bytes(b"".join(each if isinstance(each, bytes) else bson.encode(each) for each in documents))
        return path

    return write


def rows(path: Path) -> list[tuple[int, int]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("ascii")
    header, *lines = csv.reader(io.StringIO(text))
    assert header == ["_id", "category_id"]
    return [(int(product), int(category)) for product, category in lines]


def left(tmp_path: Path) -> set[str]:
    return {each.name for each in tmp_path.iterdir()} - {"test.bson", "store.db", "store.db-wal", "store.db-shm"}


def test_every_product_has_one_row_in_order(tmp_path: Path, dump: Callable[..., Path]) -> None:
    """With pictures or without, one row each, in the order of the dump; what has none is counted."""
    path = dump(
        *(listing(each, b"x") for each in (9, 3, 12, 2**62, 1)),
        {"_id": Int64(4), "imgs": []},
        {"_id": Int64(-8)},
        {"_id": 6, "imgs": "none"},
        listing(12, b"again"),
        listing(3, b"again"),
        {"_id": "seven", "imgs": [{"picture": b"x"}]},
        {"imgs": []},
        *(listing(each, b"x") for each in range(20, 40)),
    )
    bytes_read: list[int] = []
    made = submit(path, tmp_path / "out.csv", Fixed([4, 12]), bytes_read.append)
    expected = [9, 3, 12, 2**62, 1, 4, -8, 6, *range(20, 40)]
    assert rows(tmp_path / "out.csv") == [(each, 5 if each in (4, 12) else 1000 + each) for each in expected]
    assert sum(bytes_read) == path.stat().st_size
    assert list(made.lines()) == [
        "28 products, a row each",
        "2 of them have no prediction and got the most frequent category",
        "a remark",
        "2 documents have no 64-bit integer as _id and are left out",
        "2 documents have the _id of one before them and are left out",
    ]


def test_a_compressed_file_holds_the_same(tmp_path: Path, dump: Callable[..., Path]) -> None:
    """The name decides; the same rows give the same bytes."""
    path = dump(*(listing(each, b"x") for each in range(50)))
    for name in ("a.csv", "a.csv.gz", "b.csv.gz"):
        submit(path, tmp_path / name, Fixed())
    assert (tmp_path / "a.csv").read_text().count("\n") == 51
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert left(tmp_path) == {"a.csv", "a.csv.gz", "b.csv.gz"}


class Failing(Fixed):
    """Breaks down in the middle."""

    def categories(self, products: Sequence[Product]) -> dict[int, int]:
        if self.asked:
            raise Unavailable("the store fails")
        return super().categories(products)


def test_a_failure_leaves_what_was_there(tmp_path: Path, dump: Callable[..., Path]) -> None:
    """An earlier file stays, and no draft: with a store that fails, a damaged dump, an empty one, no folder."""
    path, output = dump(*(listing(each, b"x") for each in range(50))), tmp_path / "out.csv"
    output.write_text("before")
    with pytest.raises(Unavailable):
        submit(path, output, Failing())
    with pytest.raises(SubmitError, match="is not written .*No such file"):
        submit(path, tmp_path / "nowhere" / "out.csv", Fixed())
    with pytest.raises(SubmitError, match="is the dump itself: choose another --output"):
        submit(path, path, Fixed())
    path = dump(*(listing(each, b"x") for each in range(9)), b"\x30\0\0\0cut")
    with pytest.raises(SubmitError, match="after 9 sound documents, and no file is written: .*--tolerate"):
        submit(path, output, Fixed())
    path = dump({"imgs": []})
    with pytest.raises(SubmitError, match="holds no product: is it a dump"):
        submit(path, output, Fixed())
    assert output.read_text() == "before"
    assert left(tmp_path) == {"out.csv"}


def test_a_damaged_dump_can_be_tolerated(tmp_path: Path, dump: Callable[..., Path]) -> None:
    """Then what is before the damage has its rows, and the result says where it is."""
    path = dump(*(listing(each, b"x") for each in range(9)), b"\x30\0\0\0cut")
    made = submit(path, tmp_path / "out.csv", Fixed(), tolerate=True)
    assert [product for product, _ in rows(tmp_path / "out.csv")] == list(range(9))
    assert made.pages.damage is not None
    assert made.pages.damage.count == 9


def test_large_documents_are_not_held_by_the_thousand(
    dump: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ends when its documents fill it, however few they are."""
    monkeypatch.setattr("trainer.submission.dump_pages.PAGE_BYTES", 2**20)
    path = dump(*(listing(each, b"x" * 2**19) for each in range(9)))
    assert [len(page) for page in DumpPages(path, 1000, lambda _: None)] == [2, 2, 2, 2, 1]


def test_memory_does_not_grow_with_the_dump(dump: Callable[..., Path], tmp_path: Path) -> None:
    """Ten times the products: the ids, 8 bytes each, and nothing else."""
    peaks = []
    for count in (2_000, 20_000):
        path = dump(*(listing(each, b"x" * 500) for each in range(count)))
        answers = Fixed()
        answers.asked = _Forgetful()
        tracemalloc.start()
        submit(path, tmp_path / "out.csv", answers)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2 * 8 * 18_000 + 2**18


class _Forgetful(list[int]):
    def __iadd__(self, _: object) -> "_Forgetful":
        return self


def test_seen_tells_new_from_old() -> None:
    """In any order, as a set would."""
    seen, there = Seen(), set()
    for each in (*np.random.default_rng(1).integers(-50, 50, 400).tolist(), 2**63 - 1, -(2**63), 2**63 - 1):
        assert seen.add(each) == (each not in there)
        there.add(each)


@pytest.fixture(scope="module")
def fitted(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with its network."""
    folder = tmp_path_factory.mktemp("fitted")
    return finish(run, folder, tiny_network(run))


def finish(run: Run, folder: Path, network: keras.Model, **changes: Any) -> Run:
    (folder / CATEGORIES).write_bytes((run.folder / CATEGORIES).read_bytes())
    network.save(folder / MODEL)
    made = Run(**{**vars(run), "folder": folder, "temperature": 1.5, **changes})
    made.write()
    return made


@pytest.fixture(scope="module")
def network_classifier(fitted: Run) -> Classifier:
    return open_classifier(fitted, 1)


def best(classifier: Classifier, pictures: Sequence[bytes]) -> int:
    """The category of one product, asked for alone."""
    pixels = tf.stack([decode(tf.constant(each), classifier.side) for each in pictures])
    places = tf.range(len(pictures), dtype=tf.int32)
    return int(classifier(pixels, tf.zeros(len(pictures), tf.int64), places)["category"][0, 0])


def test_a_run_answers_by_the_mean_of_all_pictures(
    tmp_path: Path, dump: Callable[..., Path], network_classifier: Classifier
) -> None:
    """As the published graph does for the product alone, over batches that end anywhere; PNG is decoded too."""
    products = {each: [jpeg(5 * each + place) for place in range(each % 4 + 1)] for each in range(1, 90)}
    products[90] = [jpeg(7_000 + each) for each in range(2 * BATCH + 5)]
    products[91] = [encode(draw(8_000, side), "PNG") for side in (180, 90)]
    path = dump(*(listing(each, *pictures) for each, pictures in products.items()))
    submit(path, tmp_path / "out.csv", RunAnswers(network_classifier, CLASSES[0]))
    found = rows(tmp_path / "out.csv")
    assert found == [(each, best(network_classifier, pictures)) for each, pictures in products.items()]
    assert len({category for _, category in found}) > 1


def test_pictures_that_do_not_decode_are_left_out(
    tmp_path: Path, dump: Callable[..., Path], network_classifier: Classifier
) -> None:
    """A product is the mean of the others; without any it gets the most frequent category of those before it."""
    bad = [b"", b"no picture", jpeg(1)[:300], huge_png(), encode(draw(1), "GIF"), None, 5]
    good = [jpeg(seed) for seed in range(30)]
    path = dump(
        listing(1, *bad),
        *(listing(10 + each, picture) for each, picture in enumerate(good)),
        listing(2, *bad, jpeg(1), jpeg(2), *bad),
        listing(3, *bad),
        {"_id": Int64(4), "imgs": []},
    )
    made = submit(path, tmp_path / "out.csv", RunAnswers(network_classifier, CLASSES[2]))
    found = dict(rows(tmp_path / "out.csv"))
    assert len(found) == 34
    assert found[2] == best(network_classifier, [jpeg(1), jpeg(2)])
    answers = [category for product, category in found.items() if product >= 10 or product == 2]
    counts = {each: answers.count(each) for each in answers}
    assert counts[found[3]] == max(counts.values())
    assert found[4] == found[3]
    assert made.without_answer == 3
    assert f"{4 * len(bad):,} pictures do not decode and are left out of their products' mean" in made.lines()


def test_without_any_answer_the_first_class_stands(
    tmp_path: Path, dump: Callable[..., Path], network_classifier: Classifier
) -> None:
    """There is nothing better to say."""
    made = submit(dump(listing(1, b"x")), tmp_path / "out.csv", RunAnswers(network_classifier, CLASSES[2]))
    assert rows(tmp_path / "out.csv") == [(1, CLASSES[2])]
    assert made.without_answer == 1


@pytest.fixture
def settings(database_url: str, run: Run) -> Settings:
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    register(run, settings, 1)
    return settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings.database_url)) as database:
        yield database


def predict(database: Database, run: Run, version: int, answers: dict[int, int]) -> None:
    """Store predictions as a worker does."""
    with database.begin() as connection:
        model = connection.execute(models.select().where(models.c.version == version)).one().id
        made = [
            {
                "product_id": product, "model_id": model, "category_id": category, "score": 0.5, "margin": 0.1,
                "level2_id": run.taxonomy.ancestor(category, 2), "level2_score": 0.6,
                "level1_id": run.taxonomy.ancestor(category, 1), "level1_score": 0.7,
                "picture_count": 1, "fingerprint": b"f" * 16, "listed_category_id": None, "queue": Queue.BACKFILL,
                "queued_at": datetime.now(UTC), "predicted_at": datetime.now(UTC),
            }
            for product, category in answers.items()
        ]  # fmt: skip
        connection.execute(update(predictions).where(predictions.c.product_id.in_(answers)).values(is_latest=False))
        connection.execute(insert(predictions), made)


def test_predictions_in_sql_are_taken(
    tmp_path: Path, dump: Callable[..., Path], database: Database, run: Run, settings: Settings
) -> None:
    """Of the newest version or of the one named, over several pages; what has none gets the most frequent."""
    count = 2 * StoredAnswers.page_size + 10
    old = {each: CLASSES[each % 6] for each in range(count)}
    predict(database, run, 1, old)
    register(run, settings, 2)
    new = {each: CLASSES[4] if each % 3 else CLASSES[1] for each in range(0, count, 2)}
    predict(database, run, 2, new)
    path = dump(*(listing(each, b"x") for each in reversed(range(count))), {"_id": Int64(10**6)})
    submit(path, tmp_path / "old.csv", StoredAnswers(database, "shelver", 1))
    assert rows(tmp_path / "old.csv") == [*((each, old[each]) for each in reversed(range(count))), (10**6, CLASSES[0])]
    made = submit(path, tmp_path / "new.csv", StoredAnswers(database, "shelver", None))
    assert dict(rows(tmp_path / "new.csv")) == {
        **dict.fromkeys([*range(count), 10**6], CLASSES[4]), **new
    }  # fmt: skip
    assert made.without_answer == count // 2 + 1


def test_a_model_that_cannot_answer_is_told(database: Database, run: Run, settings: Settings) -> None:
    """One that is not there, one that predicted nothing, one of level 2: a sentence each, with the remedy."""
    with pytest.raises(SubmitError, match="shelver version 1 has no predictions in .*--run"):
        StoredAnswers(database, "shelver", None)
    with pytest.raises(SubmitError, match="no model other is in .*--model or --version"):
        StoredAnswers(database, "other", None)
    with pytest.raises(SubmitError, match="no model shelver version 9 is in"):
        StoredAnswers(database, "shelver", 9)
    register(coarse(run, run.folder), settings, 2)
    with pytest.raises(SubmitError, match="shelver version 2 predicts categories of level 2: .* level 3"):
        StoredAnswers(database, "shelver", None)


def coarse(run: Run, folder: Path) -> Run:
    classes = [each.id for each in Taxonomy.from_csv(run.folder / CATEGORIES).level(2)]
    return Run(**{**vars(run), "folder": folder, "classes": classes})


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["submit", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_takes_a_run(tmp_path: Path, dump: Callable[..., Path], fitted: Run, run: Run) -> None:
    """One of level 2 is refused before its network is opened, and options of SQL do not go with it."""
    path, output = dump(*(listing(each) for each in range(1, 6)), {"_id": Int64(9)}), tmp_path / "out.csv"
    said = invoke(path, "-o", output, "--run", fitted.folder)
    assert "6 products, a row each" in said
    assert "1 of them have no prediction" in said
    assert [product for product, _ in rows(output)] == [1, 2, 3, 4, 5, 9]
    done = CliRunner().invoke(
        app, ["submit", str(path), "-o", str(output), "--run", str(fitted.folder), "--version", "1"]
    )
    assert done.exit_code == 2
    folder = tmp_path / "coarse"
    folder.mkdir()
    (folder / CATEGORIES).write_bytes((run.folder / CATEGORIES).read_bytes())
    coarse(run, folder).write()
    with pytest.raises(SubmitError, match="predicts categories of level 2"):
        invoke(path, "-o", output, "--run", folder)
    with pytest.raises(RunError):
        invoke(path, "-o", output, "--run", tmp_path)


def test_the_command_takes_sql(
    tmp_path: Path,
    dump: Callable[..., Path],
    database: Database,
    run: Run,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the store that the settings name; damage is told though tolerated."""
    predict(database, run, 1, {each: CLASSES[each] for each in range(5)})
    path = dump(*(listing(each) for each in range(5)), b"\x30\0\0\0cut")
    monkeypatch.setenv("SHELVER_DATABASE_URL", settings.database_url)
    said = invoke(path, "-o", tmp_path / "out.csv.gz", "--tolerate")
    assert rows(tmp_path / "out.csv.gz") == [(each, CLASSES[each]) for each in range(5)]
    assert "5 products, a row each" in said
    assert "warning: " in said
