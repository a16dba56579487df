"""Fill a migrated store with made-up predictions: eight weeks, two versions of a model, sellers who err.

Everything follows from the seed, so that what docs/analysts.md shows can be made again. Scores are as good as they say:
of the products with a score of 0.8 the seller agrees with about 8 in 10, less the sellers' own errors.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product as combinations
from typing import Any

import numpy as np
import psycopg
from sqlalchemy import Table, insert, make_url

from tests.benchmarks.analysts.words import DEPARTMENTS, KINDS, RANGES
from worker import schema
from worker.contract.database import Database
from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import candidates, categories, models, predictions, rejects, verdicts
from worker.contract.taxonomy import Category, path_id, to_rows
from worker.contract.verdicts import Decision

#: Monday of the first week, and how many there are; the second version predicts in the last two
START, WEEKS, NEW_WEEKS = datetime(2026, 9, 28, tzinfo=UTC), 8, 2
#: of the products, those that the second version predicted after the first
RENEWED = 0.25
SELLERS_ERR = 0.05
TOP_K = 10
SHELVES = 5270
#: departments that sell more in the last week
SEASONAL = 10
THRESHOLDS = {"threshold_level1": 0.55, "threshold_level2": 0.65, "threshold_level3": 0.8}
AT_A_TIME = 50_000


@dataclass(frozen=True)
class Tree:
    """A made-up tree; places are those of its level-3 categories."""

    nodes: list[Category]
    #: int64[C] ids at levels 3, 2 and 1
    level3: np.ndarray
    level2: np.ndarray
    level1: np.ndarray


def fill(database_url: str, count: int, seed: int = 1) -> None:
    """Migrate an empty store and write `count` predictions, TOP_K candidates each, with rejects and verdicts."""
    schema.migrate(Settings(database_url=database_url))
    random, tree = np.random.default_rng(seed), _tree()
    products = round(count / (1 + RENEWED))
    with closing(Database(database_url)) as database, database.begin() as connection:
        connection.execute(insert(categories), list(to_rows(tree.nodes)))
        connection.execute(insert(models), [_model(version) for version in (1, 2)])
    ids = np.sort(random.choice(20 * products, products, replace=False)) + 1
    truth = _popular(random, tree, products)
    listed = np.where(random.random(products) < SELLERS_ERR, _other(random, tree, truth), truth)
    renewed = np.sort(random.choice(products, count - products, replace=False))
    is_latest = np.ones(products, bool)
    is_latest[renewed] = False
    with closing(_Writer(database_url)) as writer:
        first = (1, ids, truth, listed, is_latest)
        second = (2, ids[renewed], truth[renewed], listed[renewed], np.ones(len(renewed), bool))
        for each in (first, second):
            _predict(random, tree, writer, *each)
        writer.write(rejects, _rejects(random, ids[-1], products // 100))
        writer.write(verdicts, _verdicts(random, tree, ids, truth, listed, products // 200))
        writer.settle()


def _tree() -> Tree:
    nodes: dict[int, Category] = {}
    leaves = []
    ranges = [*combinations(DEPARTMENTS, RANGES)][:483]
    for place in range(SHELVES):
        department, kind = ranges[place % len(ranges)]
        leaf = [*KINDS][place // len(ranges)]
        top, above, identity = path_id(department), path_id(department, kind), 1_000_000_000 + 7 * place
        nodes.setdefault(top, Category(top, 1, None, department, DEPARTMENTS[department]))
        nodes.setdefault(above, Category(above, 2, top, kind, RANGES[kind]))
        nodes[identity] = Category(
            identity, 3, above, f"{leaf} {department}", f"{DEPARTMENTS[department]} {KINDS[leaf]}"
        )
        leaves.append((identity, above, top))
    ordered = sorted(nodes.values(), key=lambda node: (node.level, node.id))
    return Tree(ordered, *np.array(leaves, np.int64).T)


def _model(version: int) -> dict[str, Any]:
    scores = {"level1": 0.77 + 0.02 * version, "level2": 0.68 + 0.03 * version, "level3": 0.58 + 0.04 * version}
    published = START + timedelta(weeks=0 if version == 1 else WEEKS - NEW_WEEKS)
    return {
        "id": version, "name": "shelver", "version": version, "level": 3, "picture_side": 180, "metrics": scores,
        "published_at": published, **THRESHOLDS,
    }  # fmt: skip


def _popular(random: np.random.Generator, tree: Tree, count: int) -> np.ndarray:
    """Draw places, few of them often: the nth is drawn 1 / (n + 50) as often."""
    weights = 1 / (np.arange(len(tree.level3)) + 50)
    return random.choice(random.permutation(len(weights)), count, p=weights / weights.sum())


def _other(random: np.random.Generator, tree: Tree, places: np.ndarray) -> np.ndarray:
    """Return for each place another one: a sibling, mostly, which is a multiple of the level-2 categories away."""
    ranges = len(np.unique(tree.level2))
    sibling = (places + ranges * random.integers(1, len(KINDS) - 1, len(places))) % (ranges * (SHELVES // ranges))
    anywhere = random.integers(0, len(tree.level3), len(places))
    return np.where(random.random(len(places)) < 0.7, sibling, anywhere)


def _predict(
    random: np.random.Generator,
    tree: Tree,
    writer: "_Writer",
    model_id: int,
    ids: np.ndarray,
    truth: np.ndarray,
    listed: np.ndarray,
    is_latest: np.ndarray,
) -> None:
    score = random.beta(2.2 + 0.3 * model_id, 1.1, len(ids))
    best = np.where(random.random(len(ids)) < score, truth, _other(random, tree, truth))
    first, weeks = (0, WEEKS - NEW_WEEKS) if model_id == 1 else (WEEKS - NEW_WEEKS, NEW_WEEKS)
    # Ids grow with time, as a catalog's do; by night fewer are listed.
    day = np.sort(random.random(len(ids))) * weeks * 7 if model_id == 1 else random.random(len(ids)) * weeks * 7
    if model_id == 2:  # the last week is Christmas for some departments
        is_seasonal = np.isin(tree.level1[truth], np.unique(tree.level1)[:SEASONAL])
        day += 7 * (is_seasonal & (day < 7) & (random.random(len(day)) < 0.4))
    seconds = (np.floor(day) + random.beta(3, 2, len(ids))) * 86400
    lag = random.gamma(2, 0.2, len(ids))
    for start in range(0, len(ids), AT_A_TIME):
        some = slice(start, start + AT_A_TIME)
        rows, ranked = [], []
        level2_score = 1 - (1 - score[some]) * random.random(len(score[some]))
        level1_score = 1 - (1 - level2_score) * random.random(len(level2_score))
        others = random.integers(0, len(tree.level3), (len(level2_score), TOP_K - 1))
        for row, (identity, place) in enumerate(zip(ids[some].tolist(), best[some].tolist(), strict=True)):
            at = start + row
            queued = START + timedelta(weeks=first, seconds=float(seconds[at]))
            rest = (1 - score[at]) / 2 ** np.arange(1, TOP_K)
            rows.append((
                identity, model_id, int(tree.level3[place]), float(score[at]), float(max(score[at] - rest[0], 0)),
                int(tree.level2[place]), float(level2_score[row]), int(tree.level1[place]), float(level1_score[row]),
                1 + identity % 4, identity.to_bytes(16, "big"), int(tree.level3[listed[at]]),
                (Queue.NEW if identity % 8 else Queue.BACKFILL).value, queued,
                queued + timedelta(seconds=round(float(lag[at]), 3)), bool(is_latest[at]),
            ))  # fmt: skip
            ranked.append((identity, model_id, 1, int(tree.level3[place]), float(score[at])))
            ranked += [
                (identity, model_id, rank, int(tree.level3[other]), float(share))
                for rank, other, share in zip(range(2, TOP_K + 1), others[row], rest, strict=True)
            ]
        writer.write(predictions, rows)
        writer.write(candidates, ranked)


def _rejects(random: np.random.Generator, highest: int, count: int) -> Iterator[tuple[Any, ...]]:
    reasons = [Reason.UNDECODABLE, Reason.NO_PICTURES, Reason.NOT_FOUND, Reason.TOO_LARGE, Reason.WRONG_FORMAT]
    drawn = random.choice(len(reasons), count, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    for number, which in enumerate(drawn.tolist()):
        at = START + timedelta(weeks=WEEKS * number / count)
        yield int(highest) + 1 + number, reasons[which].value, "made up", 1, at, at


def _verdicts(
    random: np.random.Generator, tree: Tree, ids: np.ndarray, truth: np.ndarray, listed: np.ndarray, count: int
) -> Iterator[tuple[Any, ...]]:
    for number, at in enumerate(np.sort(random.choice(len(ids), count, replace=False)).tolist()):
        decision = Decision.SELLER if truth[at] == listed[at] else Decision.MODEL
        category, reviewer = int(tree.level3[truth[at]]), ("ada", "grace", "katherine")[number % 3]
        when = START + timedelta(weeks=WEEKS - 1, minutes=5 * number)
        yield int(ids[at]), decision.value, category, 1, reviewer, None, when


class _Writer:
    """Writes rows by the driver itself, with no foreign key checked: they hold as they are drawn."""

    def __init__(self, database_url: str):
        url = make_url(database_url)
        self._connection: Any
        if url.get_backend_name() == "sqlite":
            self._connection = sqlite3.connect(url.database or "")
            self._connection.execute("PRAGMA synchronous=OFF")
        else:
            self._connection = psycopg.connect(
                url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
            )
            self._connection.execute("SET session_replication_role = replica")

    def write(self, table: Table, rows: Iterator[Sequence[Any]] | Sequence[Sequence[Any]]) -> None:
        """Append rows, whose values are in the order of the table's columns."""
        names = ", ".join(column.name for column in table.columns)
        if isinstance(self._connection, sqlite3.Connection):
            places = ", ".join("?" * len(table.columns))
            told = ([_plain(value) for value in row] for row in rows)
            self._connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", told)
            return
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def settle(self) -> None:
        """Let PostgreSQL know what is there, as its autovacuum does in time; nobody does that for SQLite."""
        if not isinstance(self._connection, sqlite3.Connection):
            self._connection.execute("VACUUM ANALYZE")

    def close(self) -> None:
        """Commit and close."""
        self._connection.commit()
        self._connection.close()


def _plain(value: Any) -> Any:
    """Return a value as SQLAlchemy writes it to SQLite."""
    return value.replace(tzinfo=None).strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value
