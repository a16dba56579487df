"""The store, on SQLite and on PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy.exc
from sqlalchemy import func, insert, make_url, select, text, update

from tests.integration.conftest import migrated, register
from tests.pictures import jpeg
from trainer.run import Run
from worker import schema
from worker.contract import views
from worker.contract.database import Database
from worker.contract.errors import ShelverError, Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.contract.tables import candidates, categories, metadata, models, predictions, rejects, verdicts
from worker.contract.verdicts import Decision
from worker.outcome import Outcome, Prediction, Side
from worker.pruning import Policy, Pruner
from worker.rejected import Choice, Rejects
from worker.store import NotRegistered, Store

RANKED = [(1000000001, 0.7), (1000000002, 0.2), (1000000004, 0.1)]


@pytest.fixture
def settings(database_url: str, run: Run) -> Settings:
    return migrated(run, database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store(settings)
    yield store
    store.close()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    yield database
    database.close()


def outcome(run: Run, *ids: int, rejected: tuple[Reject, ...] = ()) -> Outcome:
    page = Page(ids, Queue.BACKFILL)
    top = {level: run.taxonomy.ancestor(1000000001, level) for level in (1, 2)}
    made = [Prediction(Product(each, (jpeg(each),), 77), 1, RANKED, (top[2], 0.9), (top[1], 0.95), 1) for each in ids]
    return Outcome(page, made, list(rejected))


def test_a_drivers_own_error_is_told_like_any_other(database: Database) -> None:
    """A cursor that is used past SQLAlchemy, as for COPY, raises what SQLAlchemy never sees: waiting may help."""
    with pytest.raises(Unavailable, match="SHELVER_DATABASE_URL.*no_such_table"), database.begin() as connection:
        connection.connection.cursor().execute("SELECT 1 FROM no_such_table")


def count(database: Database, table) -> int:
    with database.begin() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_a_page_is_stored_whole_and_a_second_time_changes_nothing(store: Store, database: Database, run: Run) -> None:
    """Redelivery is harmless: upserts absorb it."""
    for _ in range(2):
        store.save(outcome(run, 3, 1, 2))
    assert (count(database, predictions), count(database, candidates)) == (3, 9)
    with database.begin() as connection:
        row = connection.execute(select(predictions).where(predictions.c.product_id == 2)).one()
    assert (row.category_id, row.listed_category_id, row.queue) == (1000000001, 77, Queue.BACKFILL)
    assert row.margin == pytest.approx(0.5)
    assert row.predicted_at.tzinfo is not None


def test_known_means_the_same_model_and_the_same_pictures(store: Store, run: Run) -> None:
    """A relisting with new pictures, or under another seller's shelf, is predicted again."""
    store.save(outcome(run, 1, 2))
    same, changed = Product(1, (jpeg(1),), 77), Product(2, (jpeg(99),), 77)
    assert store.known([same, changed, Product(3, (jpeg(3),), 77)], 1) == [1]
    assert store.known([Product(1, (jpeg(1),), 78)], 1) == []


def seen(
    run: Run, identity: int, picture: bytes, ranked: list[tuple[int, float]] = RANKED, version: int = 1
) -> Outcome:
    """A page that predicted one product from one picture."""
    (made,) = outcome(run, identity).predictions
    made = replace(made, product=Product(identity, (picture,), 77), candidates=ranked, model_version=version)
    return Outcome(Page((identity,)), [made])


def test_a_copy_is_the_answer_of_a_product_with_the_same_pictures(store: Store, run: Run) -> None:
    """All of it, under the id and the shelf of the one that asks; others have none."""
    store.save(seen(run, 1, b"a"))
    twin = Product(2, (b"a",), 5)
    (copy,) = store.copies([twin, Product(3, (b"b",)), Product(4, (b"a", b"a")), Product(5, (None,))], 1)
    assert copy == replace(seen(run, 1, b"a").predictions[0], product=twin)


def test_nothing_is_copied_without_products(store: Store) -> None:
    """An empty page is no reason to ask which model that is."""
    assert store.copies([], 99) == []


def test_a_copy_is_of_the_same_model_version(store: Store, settings: Settings, run: Run) -> None:
    """What another version said is no answer of this one; a version that nobody registered is told."""
    register(run, settings, version=2)
    store.save(seen(run, 1, b"a"))
    assert store.copies([Product(2, (b"a",))], 2) == []
    other = [(1000000006, 0.9), (1000000005, 0.1)]
    store.save(seen(run, 3, b"a", other, version=2))
    assert [each.candidates for each in store.copies([Product(2, (b"a",))], 2)] == [other]
    assert [each.candidates for each in store.copies([Product(2, (b"a",))], 1)] == [RANKED]
    with pytest.raises(NotRegistered, match="version 9"):
        store.copies([Product(2, (b"a",))], 9)


def latest(database: Database, product_id: int) -> list[int]:
    """Versions of the product's latest prediction, of which there is one."""
    with database.begin() as connection:
        query = select(models.c.version).join(predictions).where(predictions.c.product_id == product_id)
        return list(connection.scalars(query.where(predictions.c.is_latest)))


def test_the_latest_prediction_is_that_of_the_model_asked_last(
    store: Store, settings: Settings, database: Database, run: Run
) -> None:
    """A newer version's replaces the older one's; what a version that is rolled back to has known counts again."""
    register(run, settings, version=2)
    store.save(seen(run, 1, b"a"))
    store.save(seen(run, 1, b"a", version=2))
    store.save(seen(run, 2, b"b", version=2))
    assert (latest(database, 1), latest(database, 2)) == ([2], [2])
    store.save(Outcome(Page((1, 2)), known=[1, 2], known_version=2))
    assert latest(database, 1) == [2]
    store.save(Outcome(Page((1,)), known=[1], known_version=1))
    assert (latest(database, 1), latest(database, 2)) == ([1], [2])
    store.save(seen(run, 1, b"c"))
    assert latest(database, 1) == [1]


def test_a_page_of_two_versions_leaves_one_latest_prediction_each(
    store: Store, settings: Settings, database: Database, run: Run
) -> None:
    """A version that takes over amid a page: what the old one knew is copied, and the rest is predicted by the new."""
    register(run, settings, version=2)
    store.save(outcome(run, 1, 2))
    (copied,), (new,) = (seen(run, *each).predictions for each in ((1, b"a", RANKED, 1), (2, b"b", RANKED, 2)))
    store.save(Outcome(Page((1, 2)), predictions=[copied, new]))
    assert (latest(database, 1), latest(database, 2)) == ([1], [2])


def test_a_shadow_changes_nothing_but_itself(store: Store, settings: Settings, database: Database, run: Run) -> None:
    """Whatever it finds: no prediction of its product, another model's, its own, or a reject."""
    register(run, settings, version=2)
    store.save(seen(run, 1, b"a"))
    store.save(seen(run, 3, b"c", version=2))
    store.save(outcome(run, rejected=(Reject(4, Reason.REFUSED_BY_MODEL, "why"),)))
    shadow = [seen(run, each, b"new", version=2).predictions[0] for each in (1, 2, 3, 4)]
    for _ in range(2):
        store.save(Outcome(Page((1, 2, 3, 4)), side=Side.SHADOW, predictions=shadow))
        store.save(Outcome(Page((1,)), side=Side.SHADOW, known=[1, 2, 4], known_version=2))
    assert [latest(database, each) for each in (1, 2, 3, 4)] == [[1], [], [2], []]
    assert count(database, rejects) == 1
    assert sorted(store.known([each.product for each in shadow], 2)) == [1, 2, 3, 4]
    store.save(Outcome(Page((1, 2, 3, 4)), known=[1, 2, 3, 4], known_version=2))  # it is promoted
    assert [latest(database, each) for each in (1, 2, 3, 4)] == [[2]] * 4
    assert count(database, rejects) == 0


def test_two_models_at_once_leave_one_latest_prediction(settings: Settings, database: Database, run: Run) -> None:
    """During a roll-out the same products may be saved under both: at worst a page is tried again, as pages are."""
    register(run, settings, version=2)
    ids = range(1, 57)

    def save(version: int) -> None:
        with closing(Store(settings)) as mine:
            for start in range(0, 40, 4):
                page = outcome(run, *ids[start : start + 20])
                page.predictions = [replace(each, model_version=version) for each in page.predictions]
                for _ in range(20):
                    try:
                        mine.save(page)
                        break
                    except Unavailable:
                        continue
                else:
                    raise AssertionError("it never got through")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(save, (1, 2)))
    assert all(len(latest(database, each)) == 1 for each in ids)


def test_a_copy_is_of_the_same_models_name(store: Store, settings: Settings, run: Run) -> None:
    """Version 1 of another model is another model."""
    other = Settings(database_url=settings.database_url, model_name="other")
    register(run, other)
    store.save(seen(run, 1, b"a"))
    with closing(Store(other)) as of_other:
        assert of_other.copies([Product(2, (b"a",))], 1) == []


def test_one_of_many_with_the_same_pictures_is_copied(store: Store, run: Run) -> None:
    """A picture that a thousand listings share is read once, not a thousand times."""
    for identity in range(1, 6):
        store.save(seen(run, identity, b"a"))
    store.save(seen(run, 6, b"b"))
    copies = store.copies([Product(10, (b"a",)), Product(11, (b"b",))], 1)
    assert sorted(each.product.id for each in copies) == [10, 11]


def test_a_copy_keeps_the_order_of_candidates(store: Store, database: Database, run: Run) -> None:
    """Best first, however the rows lie in the table; equal scores stay as they were."""
    ranked = [(1000000004, 0.4), (1000000001, 0.2), (1000000006, 0.2), (1000000002, 0.2)]
    store.save(seen(run, 1, b"a", ranked))
    with database.begin() as connection:  # written anew, the first comes last
        row = connection.execute(select(candidates).where(candidates.c.rank == 1)).one()
        connection.execute(candidates.delete().where(candidates.c.rank == 1))
        connection.execute(candidates.insert().values(**row._mapping))
    assert store.copies([Product(2, (b"a",))], 1)[0].candidates == ranked


def test_a_product_on_another_shelf_is_its_own_twin(store: Store, database: Database, run: Run) -> None:
    """Its row has the same pictures and another shelf: it is not known, and its own answer is copied."""
    store.save(seen(run, 1, b"a"))
    moved = Product(1, (b"a",), 78)
    assert store.known([moved], 1) == []
    store.save(Outcome(Page((1,)), store.copies([moved], 1)))
    with database.begin() as connection:
        assert connection.scalars(select(predictions.c.listed_category_id)).all() == [78]
    assert store.known([moved], 1) == [1]
    assert count(database, candidates) == len(RANKED)


def test_a_product_with_new_pictures_is_no_source_for_its_old_ones(store: Store, run: Run) -> None:
    """Only what a row says now is copied."""
    store.save(seen(run, 1, b"a"))
    store.save(seen(run, 1, b"b"))
    assert store.copies([Product(2, (b"a",))], 1) == []
    assert len(store.copies([Product(2, (b"b",))], 1)) == 1


@pytest.mark.parametrize("number", [200, 201, 1000])
def test_as_many_as_a_page_holds_can_be_copied(store: Store, run: Run, number: int) -> None:
    """A statement has a limited number of parts and of parameters: the largest page is within them."""
    pictures = [b"%d" % each for each in range(number)]
    page = outcome(run)
    page.predictions = [
        each for index, picture in enumerate(pictures) for each in seen(run, index, picture).predictions
    ]
    store.save(page)
    copies = store.copies([Product(10_000 + index, (picture,)) for index, picture in enumerate(pictures)], 1)
    assert sorted(each.product.id for each in copies) == list(range(10_000, 10_000 + number))
    assert {each.product.id - 10_000: each.product.pictures for each in copies} == {
        index: (picture,) for index, picture in enumerate(pictures)
    }


def test_a_reject_counts_attempts_and_leaves_with_a_prediction(store: Store, database: Database, run: Run) -> None:
    """The first time stays, the attempts add up, and a product is never both rejected and freshly predicted."""
    refused = Reject(5, Reason.UNDECODABLE, "picture 0: is a damaged JPEG (cut \0 here)")
    for _ in range(3):
        store.save(outcome(run, rejected=(refused,)))
    with database.begin() as connection:
        row = connection.execute(select(rejects)).one()
    assert (row.product_id, row.reason, row.attempts) == (5, Reason.UNDECODABLE, 3)
    assert row.first_at < row.last_at
    store.save(outcome(run, 5))
    assert count(database, rejects) == 0


def test_a_known_product_loses_its_old_reject(store: Store, database: Database, run: Run) -> None:
    """A product that was gone and came back with the pictures it had is predicted, not rejected."""
    store.save(outcome(run, 5))
    store.save(outcome(run, rejected=(Reject(5, Reason.NOT_FOUND, "gone"),)))
    back = outcome(run)
    back.known = [5]
    store.save(back)
    assert count(database, rejects) == 0


def test_a_model_without_a_row_is_told_with_the_remedy(store: Store, run: Run) -> None:
    """Predictions of a model that nobody registered could not be read by name: the page waits."""
    strange = outcome(run, 1)
    strange.predictions = [replace(each, model_version=9) for each in strange.predictions]
    with pytest.raises(NotRegistered, match="version 9 is served but not registered.*shelver-trainer publish"):
        store.save(strange)


def test_nothing_of_a_page_is_stored_when_a_part_fails(store: Store, database: Database, run: Run) -> None:
    """One transaction: a category that the tree lacks takes the whole page back."""
    broken = outcome(run, 1, 2)
    broken.predictions[1] = replace(broken.predictions[1], candidates=[(4242, 1.0)])
    with pytest.raises(Unavailable):
        store.save(broken)
    assert count(database, predictions) == 0


def test_two_workers_may_write_the_same_products_at_once(settings: Settings, database: Database, run: Run) -> None:
    """Pages that overlap neither deadlock nor double a row."""
    failures: list[BaseException] = []

    def write(ids: tuple[int, ...]) -> None:
        store = Store(settings)
        try:
            for _ in range(10):
                store.save(outcome(run, *ids))
        except BaseException as error:
            failures.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=write, args=(ids,)) for ids in (tuple(range(40)), tuple(range(60, 10, -1)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert count(database, predictions) == 61


def test_a_store_that_is_not_migrated_says_so(database_url: str) -> None:
    """One sentence with the remedy, before a worker takes any page."""
    settings = Settings(database_url=database_url)
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        Path(url.database).touch()
    with pytest.raises(schema.SchemaError, match="is at schema none, not .*: run shelver-worker migrate"):
        schema.check(settings)
    store = Store(settings)
    with pytest.raises(Unavailable, match="run shelver-worker migrate"):
        store.known([Product(1, (b"",))], 1)
    store.close()


def test_a_file_that_is_not_there_is_made_by_migrate_alone(tmp_path: Path) -> None:
    """Whoever mistypes the name of a store is told, and finds no empty one later on."""
    file = tmp_path / "mistyped.db"
    settings = Settings(database_url=f"sqlite:///{file}")
    told = f"there is no file {file}; run shelver-worker migrate"
    with pytest.raises(schema.SchemaError, match=told):
        schema.check(settings)
    with closing(Store(settings)) as store, closing(Rejects(settings)) as rejected:
        for ask in (lambda: store.known([Product(1, (b"",))], 1), lambda: rejected.counts(Choice())):
            with pytest.raises(Unavailable, match=told):
                ask()
        for read_only in (True, False):
            pruner = Pruner(settings, Policy(in_use=1), read_only)
            with closing(pruner), pytest.raises(Unavailable, match=told):
                pruner.versions()
        assert not file.exists()
        schema.migrate(settings)
        assert rejected.counts(Choice()) == {}


def test_a_store_of_a_newer_shelver_is_left_alone(settings: Settings, database: Database) -> None:
    """An old version neither migrates nor writes what it does not know."""
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for step in (schema.migrate, schema.check):
        with pytest.raises(schema.SchemaError, match="was migrated by a newer Shelver: upgrade this one"):
            step(settings)


def test_the_migrated_schema_is_the_declared_one(settings: Settings) -> None:
    """Alembic finds nothing to add, and a second migration nothing to do."""
    from alembic import command

    assert schema.migrate(settings) == schema.migrate(settings)
    command.check(schema._config(settings))


def test_a_view_that_changed_has_a_revision() -> None:
    """Else `migrate` would find nothing to do, and leave the old view there."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(schema._config(Settings()))
    newest = next(each.module.VIEWS for each in script.walk_revisions() if hasattr(each.module, "VIEWS"))
    assert newest == views.digest(), "add a revision with VIEWS = this digest to migrations/versions"


def test_migrations_are_named_after_their_revisions() -> None:
    """A worker knows them by the names of their files alone: Alembic itself takes 8 MB of each of its children."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(schema._config(Settings()))
    assert schema.revisions() == [each.revision for each in script.walk_revisions()][::-1]


def test_every_column_is_explained_where_analysts_look(settings: Settings, database: Database) -> None:
    """PostgreSQL tells each table's, view's and column's meaning; names come in the declared order on both."""
    from sqlalchemy import inspect

    inspector = inspect(database.engine)
    for view in views.VIEWS:
        names = [name for name, _ in view.columns]
        assert [each["name"] for each in inspector.get_columns(view.name)] == names
    if database.engine.dialect.name == "postgresql":
        for name in (*metadata.tables, *(view.name for view in views.VIEWS)):
            assert inspector.get_table_comment(name)["text"]
            assert all(each["comment"] for each in inspector.get_columns(name)), name


def test_migrations_go_down_and_up_again(settings: Settings, database: Database) -> None:
    """A downgrade leaves no table behind, so that the way back is real."""
    from alembic import command

    command.downgrade(schema._config(settings), "base")
    with database.begin() as connection:
        for table in (*metadata.sorted_tables, *views.VIEWS):
            with pytest.raises(Unavailable), database.begin() as other:
                other.execute(text(f"SELECT 1 FROM {table.name}"))
        assert connection.scalar(text("SELECT 1")) == 1
    schema.migrate(settings)
    schema.check(settings)


def test_rows_from_before_are_taken_along(settings: Settings, database: Database, store: Store, run: Run) -> None:
    """Of several predictions the newest is the latest; a verdict from before tells whose category it is."""
    from alembic import command

    register(run, settings, version=2)
    for version in (2, 1):
        store.save(seen(run, 1, b"a", version=version))
    store.save(seen(run, 2, b"b"))
    store.save(seen(run, 3, b"c"))
    listed = update(predictions).values(listed_category_id=1000000006)
    decided = {"reviewer": "ada", "decided_at": datetime.now(UTC)}
    given = {1: 1000000001, 2: 1000000006, 3: 1000000004}
    with database.begin() as connection:
        connection.execute(listed)
        connection.execute(insert(verdicts), [{"product_id": k, "category_id": v, **decided} for k, v in given.items()])
    command.downgrade(schema._config(settings), "0002")
    with database.begin() as connection:
        connection.execute(text("CREATE VIEW mine AS SELECT product_id, reviewer FROM verdicts"))
    schema.migrate(settings)
    with database.begin() as connection:
        whose = dict(connection.execute(select(verdicts.c.product_id, verdicts.c.decision)).all())
        assert len(connection.execute(text("SELECT * FROM mine")).all()) == 3
    assert whose == {1: Decision.MODEL, 2: Decision.SELLER, 3: Decision.OTHER}
    assert latest(database, 1) == [1]


def test_views_of_analysts_are_left_alone(settings: Settings, database: Database) -> None:
    """One that stands on ours is named, where it would have to go; one with a name that ours needs is not replaced."""
    from alembic import command

    with database.begin() as connection:
        connection.execute(text("CREATE VIEW mine AS SELECT product_id FROM assignments"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    with pytest.raises(ShelverError, match="a view of yours called category_paths, .*: rename it, and migrate again"):
        schema.migrate(settings)
    if database.engine.dialect.name == "postgresql":
        with database.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        with pytest.raises(sqlalchemy.exc.InternalError, match="view mine depends on view assignments") as caught:
            command.downgrade(schema._config(settings), "0002")
        assert (
            schema._why(caught.value)
            == "view mine depends on view assignments: drop it, migrate again, and make it anew"
        )


def test_migrating_at_the_same_time_is_safe(database_url: str) -> None:
    """Two deployments that start together both end well."""
    settings = Settings(database_url=database_url)
    failures: list[BaseException] = []

    def migrate() -> None:
        import subprocess
        import sys

        done = subprocess.run(
            [sys.executable, "-m", "worker", "migrate"],
            env={**settings.environment(), "PATH": ""},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            failures.append(AssertionError(done.stderr))

    threads = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    schema.check(settings)


def test_the_tree_and_the_model_are_there_to_join(settings: Settings, database: Database) -> None:
    """Publishing leaves names for every id a prediction may hold."""
    assert count(database, models) == 1
    with database.begin() as connection:
        levels = dict(connection.execute(select(categories.c.level, func.count()).group_by(categories.c.level)).all())
    assert levels == {1: 2, 2: 4, 3: 6}
