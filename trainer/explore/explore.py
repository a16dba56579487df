"""Look at a dump and write DIR/explore.html and DIR/explore.json."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from trainer.explore import copies, counts, report, sheets, statistics
from trainer.explore.findings import Findings
from trainer.index import Index
from trainer.replacing import replacing
from worker.contract.errors import ShelverError
from worker.contract.taxonomy import LEVELS, Taxonomy

REPORT, FACTS = "explore.html", "explore.json"
#: `track(what, total)` gives what is told the work done
Track = Callable[[str, int], Callable[[int], None]]

Made = TypeVar("Made")


class ExploreError(ShelverError):
    """The dump cannot be looked at as asked, or the report cannot be written."""


def explore(index: Index, taxonomy: Taxonomy, folder: Path, chosen: Sequence[int], track: Track) -> Findings:
    """Write the report on a dump into `folder`, each file whole or not at all, and return what it tells.

    `chosen` are the categories that get a contact sheet, a usual choice when empty. Memory is a few numbers a picture;
    pictures are read for sheets and examples alone. Raises ExploreError, DumpIndexError.
    """
    advance = track("counting", 3)
    labels = counts.labels_of(index)
    counted = counts.count(index, labels, taxonomy)
    _check(chosen, taxonomy, counted)
    advance(1)
    per_product = statistics.pictures_per_product(index.products["pictures"])
    spreads = {level: statistics.spread(counted.levels[level].products) for level in LEVELS}
    repeated_ids = statistics.repeated_ids(index.products["id"])
    advance(1)
    found = copies.find(index, labels, taxonomy)
    advance(1)
    drawn = list(dict.fromkeys(chosen)) or sheets.usual_choice(counted)
    wanted = {each.example for each in found.largest} | {each.example for each in found.pairs}
    advance = track("reading pictures", len(drawn) + len(wanted))
    examples = {each: _told(sheets.example(index, each), advance) for each in wanted}
    made = [_told(sheets.draw(index, labels, counted, each), advance) for each in drawn]
    findings = Findings(index, counted, spreads, per_product, repeated_ids, found, made)
    _write(folder, findings, report.render(findings, examples))
    return findings


def _told(made: Made, advance: Callable[[int], None]) -> Made:
    advance(1)
    return made


def _check(chosen: Sequence[int], taxonomy: Taxonomy, counted: counts.Counts) -> None:
    strange = [each for each in chosen if each not in taxonomy.by_id and each not in counted.unlisted]
    if strange:
        raise ExploreError(
            f"--sheet {strange[0]} is a category of neither the CSV nor the dump: take an id from category_names.csv"
        )


def _write(folder: Path, findings: Findings, page: str) -> None:
    facts = json.dumps(findings.facts(), indent=1, ensure_ascii=False, allow_nan=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((REPORT, page), (FACTS, facts)):
            with replacing(folder / name) as draft:
                draft.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ExploreError(f"{folder} cannot be written ({error.strerror}): choose another --output") from error
