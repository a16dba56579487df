"""The figures as docs/performance.md: what they were measured on, all goals, and each part's own section."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import redis
from pymongo import MongoClient
from sqlalchemy import text

from tests.benchmarks.producer.line import Line
from tests.faults.report import table
from worker.contract.database import Database

BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
PACKAGES = ("TensorFlow", "grpcio", "Celery", "SQLAlchemy", "psycopg", "Pillow", "pymongo")
Figures = dict[str, Any]


def versions(servers: Line) -> dict[str, str]:
    """Return what is installed here, and what the servers say they are."""
    with MongoClient(servers.mongo_url) as mongo, redis.Redis.from_url(servers.redis_url) as queue:
        found = {"MongoDB": mongo.server_info()["version"], "Redis": queue.info("server")["redis_version"]}
    with closing(Database(servers.postgres_url)) as database, database.begin() as connection:
        found["PostgreSQL"] = str(connection.scalar(text("SHOW server_version"))).split()[0]
    return {**{name: metadata.version(name) for name in PACKAGES}, **found}


def write(kept: Figures, part: Callable[[str], ModuleType], page: Path) -> None:
    """Put what was measured where the page has it, and leave the sentences around it alone.

    `kept` is {"parts": name -> run, "goals"}, as docs/performance-bench.json has it; `part` finds a part by its name.
    """
    sections = (_section(name, part(name), run["figures"]) for name, run in kept["parts"].items())
    whole = "\n\n".join([BEGIN, *_machines(kept["parts"]), _seconds(kept["parts"]), _goals(kept["goals"]), *sections])
    old = page.read_text()
    new, count = re.subn(f"{BEGIN}.*{END}", lambda _: f"{whole}\n\n{END}", old, flags=re.DOTALL)
    assert count == 1, f"{page} has no place for the figures"
    page.write_text(new)


def _section(name: str, part: ModuleType, figures: Figures) -> str:
    picture = f"\n\n![{name}, drawn](performance-{name}.svg)" if hasattr(part, "draw") else ""
    return part.section(figures).strip() + picture


def _machines(parts: Figures) -> Iterator[str]:
    """Yield a sentence for each machine, day and set of versions; with the parts' names where there are several."""
    by_sentence: dict[str, list[str]] = {}
    for name, run in parts.items():
        here = run["machine"]
        installed = ", ".join(f"{each} {version}" for each, version in run["versions"].items())
        said = f"{here['date']}, {here['cores']} cores ({here['processor']}), Python {here['python']}, {installed}"
        by_sentence.setdefault(said, []).append(name)
    for said, names in by_sentence.items():
        yield f"{said}{'' if len(by_sentence) == 1 else ': ' + ', '.join(names)}."


def _seconds(parts: Figures) -> str:
    whole = sum(run["seconds"] for run in parts.values()) / 60
    each = ", ".join(f"{name} {run['seconds']:.0f} s" for name, run in parts.items())
    return f"The parts took {whole:.1f} minutes, all together: {each}."


def _goals(goals: Iterable[Figures]) -> str:
    rows = [
        (
            f"`{goal['name'].removeprefix('performance.')}`",
            number(goal["value"]),
            "≥" if goal["comparison"] == ">=" else "≤",
            f"{goal['target']:,g}",
            "holds" if goal["holds"] else "**short**",
        )
        for goal in goals
    ]
    return table(("goal", "value", "", "target", ""), rows)


def number(value: float) -> str:
    """Return three digits of it, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
