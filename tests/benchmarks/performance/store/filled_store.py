"""A store that has predictions already, as many rows as wanted, and pages of further ones."""

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection, create_engine, insert, text

from tests.benchmarks import dumps
from tests.benchmarks.performance.page import Figures
from tests.benchmarks.producer.line import Line
from worker.contract.database import Database
from worker.contract.messages import Page, Queue
from worker.contract.product import Product
from worker.contract.tables import categories
from worker.contract.taxonomy import Taxonomy, to_rows
from worker.outcome import Outcome, Prediction

#: candidates of a product; with the prediction itself, its rows
CANDIDATES = 5
ROWS_A_PRODUCT = 1 + CANDIDATES
#: a prime: number x FACTOR % IDS is another id for each number below it, and in no order
IDS, FACTOR = 16_777_213, 7_368_787
#: a shelf's share of the products falls with its place: the first hundredth has a fifth of them
SKEW = 3
MODEL = """
INSERT INTO models (id, name, version, level, picture_side, metrics, published_at)
    VALUES (1, 'shelver', 1, 3, 180, '{}', now())
"""
#: ids there are even, so that others are between any two; predicted one after the other, in five days
PREDICTED = f"""
INSERT INTO predictions (product_id, model_id, category_id, score, margin, level2_id, level2_score, level1_id,
        level1_score, picture_count, fingerprint, listed_category_id, queue, queued_at, predicted_at, is_latest)
    SELECT 2 * (n * {FACTOR} % {IDS}), 1, level3, score, score / 2, level2, score, level1, score, 1 + n % 4,
        decode(md5(n::text), 'hex'), level3, 'backfill', at - interval '1 minute', at, true
    FROM (SELECT n, power(random(), {SKEW}) AS shelf, random() AS score,
            now() - interval '5 days' + n * interval '40 ms' AS at
        FROM generate_series(1, CAST(:products AS bigint)) n OFFSET 0) drawn
    JOIN shelves ON place = floor(shelf * (SELECT count(*) FROM shelves))
"""
RANKED = f"""
INSERT INTO candidates (product_id, model_id, rank, category_id, score)
    SELECT 2 * (n * {FACTOR} % {IDS}), 1, rank, level3, 0.5 / rank
    FROM (SELECT n, rank, floor(power(random(), {SKEW}) * (SELECT count(*) FROM shelves)) AS at
        FROM generate_series(1, CAST(:products AS bigint)) n, generate_series(1, {CANDIDATES}) rank OFFSET 0) drawn
    JOIN shelves ON place = at
"""
#: of each category of level 3, its place in the order of ids, and what is above it
SHELVES = """
CREATE TEMPORARY TABLE shelves ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY leaf.id) - 1 AS place, leaf.id AS level3, above.id AS level2, top.id AS level1
    FROM categories leaf JOIN categories above ON above.id = leaf.parent_id
    JOIN categories top ON top.id = above.parent_id
"""
#: what is checked or sorted by row while rows are written, keys of others before what they stand on
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype = 'f' FROM pg_constraint
    WHERE conrelid IN ('predictions'::regclass, 'candidates'::regclass) AND contype IN ('p', 'f') ORDER BY 4 DESC, 1, 2
"""
INDICES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('predictions', 'candidates')
    AND indexname NOT LIKE 'pk_%' ORDER BY 1
"""


class FilledStore:
    """A store of its own, and the shelves that predictions name."""

    def __init__(self, servers: Line, rows: int):
        self.settings = servers.settings("store")
        self.rows = rows
        tree = Taxonomy.from_csv(dumps.write_categories(servers.folder / "categories-store.csv"))
        self.shelves = [tuple(tree.ancestor(leaf.id, level) for level in (1, 2, 3)) for leaf in tree.level(3)]
        with closing(Database(self.settings.database_url)) as database, database.begin() as connection:
            connection.execute(insert(categories), list(to_rows(tree.categories)))
            connection.execute(text(MODEL))
            self._fill(connection)
        self.settle()  # or autovacuum would do it, while another store is measured

    def settle(self) -> None:
        """Have nothing left to do of what was written: it would be done amid what is measured."""
        engine = create_engine(self.settings.database_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in ("VACUUM ANALYZE predictions", "VACUUM ANALYZE candidates", "CHECKPOINT"):
                connection.execute(text(statement))
        engine.dispose()

    def size(self) -> Figures:
        """Return how much it is on disk, and how much of blocks PostgreSQL keeps in its own memory."""
        query = "SELECT pg_database_size(current_database()) AS bytes, current_setting('shared_buffers') AS buffers"
        with closing(Database(self.settings.database_url)) as database, database.begin() as connection:
            return {"rows": self.rows, **connection.execute(text(query)).mappings().one()}

    def pages(self, count: int, seed: int) -> list[Outcome]:
        """Draw what comes of so many pages: products that are not there, ids spread over those that are."""
        chance, size = random.Random(seed), self.settings.page_size
        ids = [2 * each + 1 for each in chance.sample(range(IDS), count * size)]
        return [self._page(chance, ids[start : start + size]) for start in range(0, len(ids), size)]

    def _page(self, chance: random.Random, ids: list[int]) -> Outcome:
        return Outcome(Page(tuple(ids), Queue.BACKFILL), predictions=[self._prediction(chance, each) for each in ids])

    def _prediction(self, chance: random.Random, identity: int) -> Prediction:
        level1, level2, level3 = self.shelves[int(len(self.shelves) * chance.random() ** SKEW)]
        score, others = chance.random(), chance.sample(self.shelves, CANDIDATES - 1)
        ranked = [(level3, score), *((other, score / rank) for rank, (*_, other) in enumerate(others, 2))]
        product = Product(identity, (chance.randbytes(64),), level3)
        return Prediction(product, 1, ranked, (level2, score), (level1, score), 1)

    def _fill(self, connection: Connection) -> None:
        """Write rows on the server, and make keys and indices of them all at once."""
        for statement in ("SET LOCAL maintenance_work_mem = '512MB'", SHELVES, "ANALYZE shelves"):
            connection.execute(text(statement))
        with _without_keys(connection):
            for statement in (PREDICTED, RANKED):
                connection.execute(text(statement), {"products": self.rows // ROWS_A_PRODUCT})


@contextmanager
def _without_keys(connection: Connection) -> Iterator[None]:
    """Take constraints and indices from both tables, and give them back as they were."""
    constraints, indices = (connection.execute(text(query)).all() for query in (CONSTRAINTS, INDICES))
    for name, _ in indices:
        connection.execute(text(f"DROP INDEX {name}"))
    for table, name, *_ in constraints:
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    yield
    for table, name, definition, _ in reversed(constraints):
        connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"))
    for _, definition in indices:
        connection.execute(text(definition))
    assert [constraints, indices] == [connection.execute(text(query)).all() for query in (CONSTRAINTS, INDICES)]
