"""The report: one HTML file with its plots and pictures in it, for readers who do not read code."""

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from trainer.explore import figures
from trainer.explore.copies import STAND_IN_CATEGORIES
from trainer.explore.counts import Level
from trainer.explore.findings import Findings, path_of, ratio
from trainer.explore.repeated import Place
from trainer.explore.statistics import FEW, head_size
from trainer.explore.tree import grow
from worker.contract.taxonomy import Category, Taxonomy

TEMPLATE = "report.html.j2"
#: categories at the top and at the bottom of a table
MOST_ROWS = 10
#: of categories that the CSV lacks
MOST_UNLISTED = 100


def render(findings: Findings, examples: Mapping[Place, str]) -> str:
    """Return the page; `examples` are data URIs of single pictures."""
    environment = Environment(
        loader=PackageLoader("trainer.explore", "."),
        autoescape=True,  # names of categories come from sellers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = findings.counts
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "percent": _percent,
        "path": lambda identity: path_of(counts.taxonomy, identity),
        "english": lambda identity: english_path(counts.taxonomy, identity),
    }
    return environment.get_template(TEMPLATE).render(
        found=findings,
        counts=counts,
        copies=findings.copies,
        spreads=findings.spreads,
        shelves=findings.spreads[3],
        head=head_size,
        products=len(findings.index.products),
        ends={level: _ends(each) for level, each in counts.levels.items()},
        few=_few(counts.levels[3]),
        empty=counts.levels[3].holding(0, 0),
        unlisted=list(counts.unlisted.items())[:MOST_UNLISTED],
        most_few=FEW,
        stand_in=STAND_IN_CATEGORIES,
        examples=examples,
        figures=_figures(findings),
        tree=grow(counts),
        ratio=ratio,
    )


def english_path(taxonomy: Taxonomy, identity: int) -> str:
    """Return the category's own English name, empty when it has none."""
    node = taxonomy.by_id.get(identity)
    return (node and node.name_en) or ""


def _figures(findings: Findings) -> dict[str, str]:
    levels = findings.counts.levels
    drawn = {
        "pictures_per_product": figures.pictures_per_product(findings.pictures_per_product),
    }
    if findings.copies.copies:
        drawn["occurrences"] = figures.occurrences(findings.copies.occurrences)
    if findings.counts.labelled:
        drawn |= {
            "distribution": figures.distribution(levels),
            "long_tail": figures.long_tail(levels),
            "concentration": figures.concentration(levels),
        }
    return drawn


def _ends(level: Level) -> list[Sequence[tuple[int, Category, int, int]]]:
    """Return a level's fullest and emptiest categories that have products: rank, category, products, pictures."""
    filled = level.ranked[level.products[level.ranked] > 0].tolist()
    rows = [
        (rank, level.categories[place], int(level.products[place]), int(level.pictures[place]))
        for rank, place in enumerate(filled, start=1)
    ]
    return [rows, []] if len(rows) <= 2 * MOST_ROWS else [rows[:MOST_ROWS], rows[-MOST_ROWS:]]


def _few(level: Level) -> dict[int, list[Category]]:
    """Return the categories with few products, by their number of products."""
    return {number: found for number in range(1, FEW + 1) if (found := level.holding(number, number))}


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
