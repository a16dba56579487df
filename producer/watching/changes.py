"""Which changes of the catalog concern the queue, said in MongoDB's own terms."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bson.timestamp import Timestamp

from producer.listings import Filter
from worker.contract.fields import touches
from worker.contract.settings import Settings

#: operators that combine filters
COMBINING = ("$and", "$or", "$nor")


def _or_empty(part: str, empty: Any) -> dict[str, Any]:
    return {"$ifNull": [f"$updateDescription.{part}", empty]}


#: the paths that an update has set, unset or cut short
TOUCHED = {
    "$concatArrays": [
        {"$map": {"input": {"$objectToArray": _or_empty("updatedFields", {})}, "in": "$$this.k"}},
        _or_empty("removedFields", []),
        {"$map": {"input": _or_empty("truncatedArrays", []), "in": "$$this.field"}},
    ]
}


def pipeline(settings: Settings) -> list[dict[str, Any]]:
    """Return the pipeline of a change stream: inserts, replacements, and updates of what counts.

    Of each change it gives documentKey, clusterTime and, where MongoDB has it, wallTime, and, where
    SHELVER_MONGO_ORDER_FIELD is not _id, order: pictures do not travel.
    """
    listed = {"operationType": {"$in": ["insert", "replace"]}}
    paths = _paths(settings)
    if paths is None:
        updated: Filter = {"operationType": "update"}
    else:
        updated = {
            "operationType": "update",
            "$expr": _touches_any(paths),
        }
    shown: dict[str, Any] = {"documentKey": 1, "clusterTime": 1, "wallTime": 1}
    if settings.mongo_order_field != "_id":
        shown["order"] = f"$fullDocument.{settings.mongo_order_field}"
    return [{"$match": {"$or": [listed, updated]}}, {"$project": shown}]


def changed_at(change: Mapping[str, Any]) -> float | None:
    """Return when a change was made, in seconds since the epoch: whole ones from a MongoDB before 6.0."""
    match change.get("wallTime"), change.get("clusterTime"):
        case datetime() as moment, _:
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        case _, Timestamp() as moment:
            return float(moment.time)
        case _:
            return None


def filtered_by(where: Filter) -> set[str] | None:
    """Return the paths that decide whether a listing passes a filter; None when it may be any, as with $expr."""
    paths: set[str] = set()
    for key, value in where.items():
        if key in COMBINING:
            for each in value:
                below = filtered_by(each)
                if below is None:
                    return None
                paths |= below
        elif not key.startswith("$"):
            paths.add(key)
        elif key != "$comment":
            return None
    return paths


def _paths(settings: Settings) -> set[str] | None:
    """Return the paths whose change counts: of pictures, of what is filtered by, and of an id that may come later."""
    paths = filtered_by(settings.listing_filter)
    return None if paths is None else {*paths, settings.fields.picture_list, settings.mongo_id_field}


def _touches_any(paths: Iterable[str]) -> dict[str, Any]:
    expression = "|".join(sorted(map(touches, paths)))
    matches = {"$regexMatch": {"input": "$$this", "regex": expression}}
    return {"$anyElementTrue": {"$map": {"input": TOUCHED, "in": matches}}}
