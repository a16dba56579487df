"""What a backfill goes through, and what of it it wants."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from producer.filling.backfill import Block, Source, Wanted, blocks
from producer.filling.id_file import IdFile
from producer.filling.predicted import Current, below_score, find_model, latest_by, without_prediction
from producer.listings import Filter, check_filter, count, has_arrays, open_listings, require_index
from producer.selection import Selection
from worker.contract.database import Database
from worker.contract.settings import Settings

logger = logging.getLogger("producer")


@dataclass(frozen=True, slots=True)
class Plan:
    """A source of ids in ascending order, and how many it has: None when that takes too long to find out."""

    #: of the cursor: the same command goes on, another begins
    name: str
    total: int | None
    source: Source
    #: what says which of them are wanted, made anew for each pass; None: all
    make_wanted: Callable[[], Wanted] | None = None
    #: whether it goes on where it was when it is run again; else it begins at the first
    goes_on: bool = True

    def wanted(self) -> Wanted:
        """Return what says which ids are wanted; it is to be asked in ascending order."""
        return self.make_wanted() if self.make_wanted else lambda _: True


def of_file(ids: IdFile) -> Plan:
    """Return the plan to enqueue the ids of a file."""
    return Plan(f"backfill:file:{ids.digest}", ids.count, ids.blocks)


def of_catalog(settings: Settings, selection: Selection, database: Database) -> Plan:
    """Return the plan to enqueue listings of the catalog that are selected.

    Raises ListingsError and NoModel for what cannot be, Unavailable when a server does not answer.
    """
    path = settings.mongo_id_field
    with open_listings(settings) as listings:
        require_index(listings, path, "mongo_id_field")
        where = selection.filter(listings, settings, database)
        check_filter(listings, where)
        if has_arrays(listings, path):
            logger.warning("listings of %s with several %s, in an array, are left out", listings.full_name, path)
            where = {"$and": [where, {"$expr": {"$not": [{"$isArray": f"${path}"}]}}]}
        total = count(listings, _whole(path, selection.bounds, where))
        place = listings.full_name

    def source(after: Any) -> Iterator[Block]:
        with open_listings(settings) as listings:
            yield from blocks(listings, path, where, selection.bounds, after)

    name, make_wanted = f"backfill:{selection.digest(settings)}:{place}", None
    if selection.goes_by_predictions:
        version = selection.model_version if selection.predicted_by is None else selection.predicted_by
        model = find_model(database, settings.model_name, version)
        name += f":{settings.model_name}:{model.version}"
        make_wanted = _condition(database, model, selection)
    # What is done has another latest prediction, and may have the old one again after a rollback, wherever it stands.
    return Plan(name, total, source, make_wanted, goes_on=selection.predicted_by is None)


def _whole(path: str, bounds: Filter, where: Filter) -> Filter:
    parts = [part for part in ({path: bounds} if bounds else {}, where) if part]
    return {"$and": parts} if parts else {}


def _condition(database: Database, model: Current, selection: Selection) -> Callable[[], Wanted]:
    if selection.predicted_by is not None:
        return lambda: latest_by(database, model)
    if (score := selection.below_score) is not None:
        return lambda: below_score(database, model, score)
    return lambda: without_prediction(database, model)
