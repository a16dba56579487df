"""What nobody asks for any more is deleted, and nothing else, on SQLite and on PostgreSQL."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update

from deploy.local.servers import free_port
from tests.conftest import command
from tests.integration.producer.stored import (
    BEGAN,
    CUP,
    HOME,
    KITCHEN,
    PLATE,
    store_prediction,
    store_reject,
    store_tree,
)
from trainer.publishing.export import EXTRA
from trainer.publishing.serving_config import FILE, labelled
from trainer.serve.server import ModelServer
from worker import pruning, schema
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.tables import candidates, metadata, models, predictions, rejects
from worker.outcome import Outcome, Prediction
from worker.pruning import InUseUnknown, Policy, Pruner, Versions
from worker.store import Store

#: so that a thousand rows are several transactions
MANY = 1_100


@pytest.fixture
def settings(database_url: str) -> Settings:
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    return settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings.database_url)) as database:
        yield database


def rows(database: Database) -> set[tuple[int, int]]:
    """(product, model) of every prediction; each has its two candidates, and no candidate is without."""
    with database.begin() as connection:
        found = set(connection.execute(select(predictions.c.product_id, predictions.c.model_id)).all())
        ranked = connection.execute(
            select(candidates.c.product_id, candidates.c.model_id, func.count()).group_by(*list(candidates.c)[:2])
        )
        assert {tuple(each) for each in ranked} == {(*each, 2) for each in found}
    return found


def prune(settings: Settings, policy: Policy) -> tuple[Versions, int]:
    """Delete what may go; say what was superseded, and how many rows went, which is as many as were counted."""
    with closing(Pruner(settings, policy)) as pruner:
        versions = pruner.versions()
        parts = pruner.predictions(versions), pruner.rejects()
        counted = [pruner.count(part) for part in parts]
        assert [sum(pruner.delete(part)) for part in parts] == counted
        assert [pruner.count(part) for part in parts] == [0, 0]
    return versions, sum(counted)


def test_superseded_is_what_is_older_than_the_versions_one_may_roll_back_to(
    settings: Settings, database: Database
) -> None:
    """What stays: each product's latest, the version in use, two before it that ever predicted, and every newer one."""
    store_tree(database, versions=8)
    for version in (1, 2, 3, 5, 6):  # 4 was published and never used
        store_prediction(database, -10, version)
        store_prediction(database, 20, version)
    store_prediction(database, 30, version=1)  # nobody listed it again: its latest is the first version's
    store_prediction(database, 20, version=7)  # a shadow
    with database.begin() as connection:
        version = predictions.c.model_id
        connection.execute(update(predictions).where(version == 7).values(is_latest=False))
        connection.execute(update(predictions).where(version == 6).values(is_latest=True))
    before = rows(database)
    versions, count = prune(settings, Policy(in_use=6))
    assert versions == Versions(6, [5, 3], {2: 2, 1: 1})
    assert before - rows(database) == {(-10, 1), (-10, 2), (20, 1), (20, 2)}
    assert count == 4
    assert prune(settings, Policy(in_use=6, previous=0, kept={3}))[0] == Versions(6, [3], {5: 5, 1: 1})
    assert rows(database) == {(-10, 3), (-10, 6), (20, 3), (20, 6), (20, 7), (30, 1)}


@pytest.fixture(scope="module")
def labelling(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server with two versions of shelver under labels, and of another model one that does not load."""
    folder = tmp_path_factory.mktemp("labelled")
    for version in ("shelver/2", "shelver/7", "broken/1"):
        shutil.copytree(models_folder / "shelver" / "1", folder / version, ignore=shutil.ignore_patterns(EXTRA))
    (folder / "broken" / "4").mkdir()
    (folder / "broken" / "4" / "saved_model.pb").write_bytes(b"junk")
    for name, labels in {"shelver": {"stable": 7, "previous": 2}, "broken": {"stable": 1, "canary": 4}}.items():
        with labelled(folder / name, lambda _, labels=labels: labels):
            pass
    with ModelServer(folder, port=0, config_file=folder / FILE) as server:
        yield server


@pytest.mark.parametrize("label", ["stable", ""])
def test_what_has_a_label_is_in_use(settings: Settings, database: Database, labelling: ModelServer, label: str) -> None:
    """The version before the last promotion stays whatever the store has of others: they may all have been shadows."""
    store_tree(database, versions=7)
    for version in (1, 2, 5, 6, 7):
        store_prediction(database, 1, version)
    settings = settings.model_copy(update={"serving_address": labelling.address, "model_label": label})
    assert prune(settings, Policy(previous=1)) == (Versions(2, [1], {}), 0)
    assert prune(settings, Policy(previous=0)) == (Versions(2, [], {1: 1}), 1)
    assert rows(database) == {(1, 2), (1, 5), (1, 6), (1, 7)}


def test_after_a_rollback_the_version_that_is_served_is_in_use(
    settings: Settings, database: Database, model_server: ModelServer
) -> None:
    """What it knew is stored no later than before, and most of the latest predictions are the other version's."""
    store_tree(database)
    for product_id, version in product((1, 2, 3, 4), (1, 2)):
        store_prediction(database, product_id, version)
    with closing(Store(settings)) as store:
        store.save(Outcome(Page((1,)), known=[1], known_version=1))
    settings = settings.model_copy(update={"serving_address": model_server.address})
    assert prune(settings, Policy(previous=0)) == (Versions(1, [], {}), 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_goes_while_it_is_not_known_what_is_in_use(
    settings: Settings, database: Database, labelling: ModelServer
) -> None:
    """A server that is away, a label that is on none, a version that is not loaded, a store of another model."""
    store_tree(database, versions=3)
    nowhere = {"serving_address": f"127.0.0.1:{free_port()}"}
    there = {"serving_address": labelling.address}
    for changes, told in (
        (nowhere, "does not answer.*or name the oldest version in use with --in-use"),
        (there | {"model_label": "trusted"}, "under the label trusted.*Unrecognized servable version label"),
        (there | {"model_name": "broken"}, "under the label canary: NOT_FOUND"),
        (there, "shelver version 7 is in use and not registered in sqlite:.*SHELVER_DATABASE_URL"),
    ):
        with pytest.raises(InUseUnknown, match=told):
            prune(settings.model_copy(update=changes), Policy())
    refused = said(start(settings.model_copy(update=nowhere), "prune", "--dry-run"), code=1)
    assert "with --in-use" in refused


def test_other_models_are_left_alone(settings: Settings, database: Database) -> None:
    """Versions of another name are of another model: nothing says which of them is served where."""
    store_tree(database, versions=3)
    with database.begin() as connection:
        connection.execute(update(models).where(models.c.version == 1).values(name="other"))
    for version in (1, 2, 3):
        store_prediction(database, 1, version)
    assert prune(settings, Policy(in_use=3, previous=0)) == (Versions(3, [], {2: 2}), 1)
    assert rows(database) == {(1, 1), (1, 3)}
    other = settings.model_copy(update={"model_name": "other"})
    assert prune(other, Policy(in_use=1, previous=0)) == (Versions(1, [], {}), 0)


def test_ages_narrow_what_goes(settings: Settings, database: Database) -> None:
    """A prediction by when it was stored; a reject by when its product was tried last, and none unless asked for."""
    store_tree(database, versions=3)
    for version in (1, 2, 3):
        store_prediction(database, 1, version)
    for product_id in (5, -7):
        store_reject(database, product_id)
    with database.begin() as connection:
        later = BEGAN + timedelta(days=1)
        connection.execute(update(rejects).where(rejects.c.product_id == 5).values(last_at=later))
    policy = Policy(predicted_before=BEGAN + timedelta(hours=2), in_use=3, previous=0)
    assert prune(settings, policy)[1] == 1
    assert rows(database) == {(1, 2), (1, 3)}
    policy = Policy(predicted_before=BEGAN, rejected_before=BEGAN + timedelta(hours=1), in_use=3, previous=0)
    assert prune(settings, policy)[1] == 1
    with database.begin() as connection:
        assert list(connection.scalars(select(rejects.c.product_id))) == [5]
    assert len(rows(database)) == 2


def test_however_rows_fall_into_transactions_the_same_go(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product's rows may lie across the end of a portion, and a portion may have nothing to delete."""
    store_tree(database, versions=4)
    drawn = random.Random(7)
    for product_id in range(-20, 20):
        for version in sorted(drawn.sample(range(1, 5), drawn.randint(0, 4))):
            store_prediction(database, product_id, version)
    with database.begin() as connection:
        old = {1, 2} & set(connection.scalars(select(predictions.c.model_id)))
        going = select(predictions.c.product_id, predictions.c.model_id).where(
            predictions.c.model_id.in_(old), ~predictions.c.is_latest
        )
        expected = set(connection.execute(going).all())
    before = rows(database)
    monkeypatch.setattr(pruning, "ROWS_AT_A_TIME", 3)
    with closing(Pruner(settings, Policy(previous=0))) as pruner:
        part = pruner.predictions(Versions(3, [], {1: 1, 2: 2}))
        portions = list(pruner.delete(part))
    assert sum(portions) == len(expected)
    assert 0 in portions
    assert max(portions) <= 3 + 3
    assert before - rows(database) == expected


@pytest.fixture
def many(database: Database) -> int:
    """Predictions of two versions, and rejects; how many of each are superseded or old."""
    store_tree(database)
    for version in (1, 2):
        store_prediction(database, 1, version)
    with database.begin() as connection:
        for table in (predictions, candidates):
            alike = connection.execute(select(table)).mappings().all()
            others = [{**row, "product_id": each} for each in range(2, MANY + 1) for row in alike]
            connection.execute(insert(table), others)
        facts = {"reason": Reason.NOT_FOUND, "detail": "x", "attempts": 1, "first_at": BEGAN, "last_at": BEGAN}
        connection.execute(insert(rejects), [{"product_id": MANY + each, **facts} for each in range(MANY)])
    return MANY


ASKED = ("prune", "--in-use", "2", "--keep-previous", "0", "--rejects-older-than", "30d")


def start(settings: Settings, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, **settings.environment()}
    line = [*command("shelver-worker"), *arguments]
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]", code: int = 0) -> str:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code, out + errors
    assert "Traceback" not in errors
    return out + errors


def content(database: Database) -> list[object]:
    with database.begin() as connection:
        return [connection.execute(select(table)).all() for table in metadata.sorted_tables]


def left(database: Database) -> tuple[int, int]:
    """How many superseded predictions and how many rejects there are."""
    with database.begin() as connection:
        first = select(func.count()).select_from(predictions).where(predictions.c.model_id == 1)
        return connection.scalar(first), connection.scalar(select(func.count()).select_from(rejects))


def test_a_dry_run_counts_what_goes_and_writes_nothing(settings: Settings, database: Database, many: int) -> None:
    """The numbers are the same, and the latest predictions are all there at the end."""
    before = content(database)
    told = said(start(settings, *ASKED, "--dry-run"))
    assert told == (
        "shelver: version 2 is the oldest in use; stay: none; superseded: 1\n"
        "1,100 predictions and 1,100 rejects would be deleted\n"
    )
    assert content(database) == before
    assert "1,100 predictions and 1,100 rejects deleted" in said(start(settings, *ASKED, "--pause", "0"))
    assert left(database) == (0, 0)
    assert rows(database) == {(each, 2) for each in range(1, many + 1)}
    assert "0 predictions and 0 rejects deleted" in said(start(settings, *ASKED))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_or_killed_it_goes_on(
    settings: Settings, database: Database, many: int, number: signal.Signals
) -> None:
    """What was deleted is told and stays deleted, no product loses its latest, and the next run does the rest."""
    process = start(settings, *ASKED, "--pause", "60")
    deadline = time.monotonic() + 30
    while left(database)[0] == many and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    told = said(process, code=-number if number == signal.SIGKILL else 130)
    remaining = left(database)[0]
    assert remaining < many
    if number != signal.SIGKILL:
        assert f"stopped: {many - remaining:,} predictions and 0 rejects deleted; the same command goes on" in told
    again = said(start(settings, *ASKED, "--pause", "0"))
    assert f"{remaining:,} predictions and " in again
    assert left(database) == (0, 0)
    assert rows(database) == {(each, 2) for each in range(1, many + 1)}


def test_workers_go_on_while_it_prunes(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for long, fails or loses a row: every product ends with the answer that its page brought last."""
    monkeypatch.setattr(pruning, "ROWS_AT_A_TIME", 20)
    store_tree(database)
    ids = range(1, 201)
    for product_id in ids:
        store_prediction(database, product_id)
    store_prediction(database, 1000, version=2)  # so that the second version is in use
    done = threading.Event()

    def work(order: Sequence[int]) -> None:
        with closing(Store(settings)) as store:
            for start in [*range(0, len(order), 10)] * 3:
                some = tuple(order[start : start + 10])
                unknown = [Reject(2000 + each, Reason.NOT_FOUND, "gone") for each in some]
                for outcome in (page(some, unknown), Outcome(Page(some), known=[each.product_id for each in unknown])):
                    while not saved(store, outcome):
                        pass

    def go_on() -> None:
        while not done.is_set():
            with closing(Pruner(settings, Policy(rejected_before=datetime.now(UTC), previous=0))) as pruner:
                versions = Versions(2, [], {1: 1})
                for part in (pruner.predictions(versions), pruner.rejects()):
                    sum(pruner.delete(part))

    with ThreadPoolExecutor(3) as pool:
        pruned = pool.submit(go_on)
        try:
            list(pool.map(work, (ids, ids[::-1])))
        finally:
            done.set()
        pruned.result()
    prune(settings, Policy(rejected_before=datetime.now(UTC), in_use=2, previous=0))
    assert rows(database) == {(each, 2) for each in (*ids, 1000)}
    assert left(database) == (0, 0)


def page(ids: tuple[int, ...], refused: Sequence[Reject]) -> Outcome:
    """What the second version makes of a page."""
    ranked = [(CUP, 0.75), (PLATE, 0.125)]
    made = [Prediction(Product(each, (b"%d" % each,)), 2, ranked, (KITCHEN, 0.9), (HOME, 1.0), 1) for each in ids]
    return Outcome(Page(ids), predictions=made, rejects=list(refused))


def saved(store: Store, outcome: Outcome) -> bool:
    """Whether it was, as pages of two workers may deadlock: then one of them is tried again."""
    try:
        store.save(outcome)
    except Unavailable as error:
        if "deadlock" not in str(error):
            raise
        return False
    return True


def test_what_is_known_again_while_it_is_pruned_is_lost_alone(settings: Settings, database: Database) -> None:
    """A page that comes back to a row just as it goes: the product keeps the latest prediction that it had."""
    store_tree(database)
    for version in (1, 2):
        store_prediction(database, 1, version)
    with (
        closing(Store(settings)) as store,
        closing(Pruner(settings, Policy())) as pruner,
        ThreadPoolExecutor(1) as pool,
    ):
        part = pruner.predictions(Versions(2, [], {1: 1}))
        with database.begin() as connection:
            assert pruning._delete(connection, part) == 1
            saved = pool.submit(store.save, Outcome(Page((1,)), known=[1], known_version=1))
            wait([saved], timeout=0.5)
        saved.result()
    with database.begin() as connection:
        assert connection.execute(select(predictions.c.model_id, predictions.c.is_latest)).all() == [(2, True)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_a_worker_has_in_hand_is_left_for_the_next_time(settings: Settings, database: Database) -> None:
    """Neither waits for the other: the row is skipped, and found again."""
    store_tree(database)
    for product_id in (1, 2, 3):
        store_reject(database, product_id)
    policy = Policy(rejected_before=datetime.now(UTC), in_use=1)
    with closing(Pruner(settings, policy)) as pruner, database.begin() as connection:
        connection.execute(update(rejects).where(rejects.c.product_id == 2).values(attempts=2))
        assert sum(pruner.delete(pruner.rejects())) == 2
    assert prune(settings, policy)[1] == 1


def test_a_store_that_fails_is_told(settings: Settings, database: Database, many: int) -> None:
    """One sentence, with what was deleted before; a store that is not migrated says what to do."""
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE rejects RENAME TO taken"))
    told = said(start(settings, *ASKED), code=1)
    assert "error: " in told
    assert "run shelver-worker migrate" in told
