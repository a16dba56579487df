"""The views that analysts query, column by column. `shelver-worker migrate` makes them, with comments on PostgreSQL.

Whoever changes one adds a revision to migrations/versions with the new digest, or `migrate` would not make it anew.
Joins are outer ones, so that on PostgreSQL a query that leaves names out does not pay for them.
"""

import hashlib
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, case, func, make_url, or_

from worker.contract.tables import categories, models, predictions, verdicts
from worker.contract.view import Day, Seconds, View, view

p, m, v = predictions.c, models.c, verdicts.c
_level1, _level2, _level3 = (categories.alias(f"level{level}") for level in (1, 2, 3))
_listed, _listed2, _listed1 = (categories.alias(name) for name in ("listed", "listed_level2", "listed_level1"))
_assigned = categories.alias("assigned")
_predicted = (
    predictions.outerjoin(models, m.id == p.model_id)
    .outerjoin(_level3, _level3.c.id == p.category_id)
    .outerjoin(_level2, _level2.c.id == p.level2_id)
    .outerjoin(_level1, _level1.c.id == p.level1_id)
    .outerjoin(_listed, _listed.c.id == p.listed_category_id)
)
#: the deepest level whose score clears its threshold, null for none
_cleared = case(
    *((getattr(m, f"threshold_level{level}") <= score, level) for level, score in ((3, p.score), (2, p.level2_score))),
    (m.threshold_level1 <= p.level1_score, 1),
)

_MODEL = {
    "model_id": (p.model_id, "the model that made it"),
    "model": (m.name, "its name"),
    "version": (m.version, "its version"),
}
_PREDICTED = {
    "category_id": (p.category_id, "best category of the model's own level, as a rule 3"),
    "category": (_level3.c.name, "its name in French"),
    "category_en": (_level3.c.name_en, "its name in English, null until translated"),
    "score": (p.score, "its probability, 0 to 1"),
    "margin": (p.margin, "score of rank 1 less score of rank 2"),
    "level2_id": (p.level2_id, "best category of level 2"),
    "level2": (_level2.c.name, "its name in French"),
    "level2_en": (_level2.c.name_en, "its name in English, null until translated"),
    "level2_score": (p.level2_score, "its probability, 0 to 1"),
    "level1_id": (p.level1_id, "best category of level 1"),
    "level1": (_level1.c.name, "its name in French"),
    "level1_en": (_level1.c.name_en, "its name in English, null until translated"),
    "level1_score": (p.level1_score, "its probability, 0 to 1"),
}
_LISTED = {
    "listed_category_id": (p.listed_category_id, "the seller's category; null without"),
    "listed_category": (_listed.c.name, "its name in French, null where the tree lacks it"),
    "listed_category_en": (_listed.c.name_en, "its name in English, null until translated"),
}
_WHEN = {"predicted_at": (p.predicted_at, "when the prediction was written")}


def _category_paths() -> View:
    node, above, top = (categories.alias(name) for name in ("node", "above", "top"))

    def path(name: str) -> Any:
        names = {1: node.c[name], 2: above.c[name] + " > " + node.c[name]}
        names[3] = top.c[name] + " > " + names[2]
        return case(names, value=node.c.level)

    return view(
        "category_paths",
        "Every category with its full path: where to look an id up.",
        node.outerjoin(above, above.c.id == node.c.parent_id).outerjoin(top, top.c.id == above.c.parent_id),
        {
            "category_id": (node.c.id, "the category"),
            "level": (node.c.level, "1, 2 or 3, which is the finest"),
            "name": (node.c.name, "its own name in French"),
            "name_en": (node.c.name_en, "its own name in English, null until translated"),
            "path": (path("name"), "the names from level 1 down to it in French, with > between them"),
            "path_en": (path("name_en"), "the same in English, null until all of them are translated"),
            "level1_id": (case({1: node.c.id, 2: above.c.id, 3: top.c.id}, value=node.c.level), "itself at level 1"),
            "level2_id": (case({2: node.c.id, 3: above.c.id}, value=node.c.level), "itself at level 2; null above it"),
        },
    )


def _every_prediction() -> View:
    return view(
        "latest_predictions",
        "The latest prediction of every product, with names in both languages.",
        _predicted,
        {
            "product_id": (p.product_id, "the product, by its id in the catalog"),
            **_MODEL,
            **_PREDICTED,
            **_LISTED,
            "picture_count": (p.picture_count, "pictures averaged, unsound ones left out"),
            "queue": (p.queue, "new: a person waited; backfill: nobody did"),
            "queued_at": (p.queued_at, "when the product was enqueued"),
            **_WHEN,
            "lag_seconds": (Seconds(p.queued_at, p.predicted_at), "from one to the other"),
        },
    )


def _assignments() -> View:
    model_says = case({3: p.category_id, 2: p.level2_id, 1: p.level1_id}, value=_cleared)
    category = func.coalesce(v.category_id, model_says)
    return view(
        "assignments",
        "Where every product belongs: by a person's verdict, else by the deepest level whose score clears the model's "
        "threshold, else nowhere: it goes to review.",
        _predicted.outerjoin(verdicts, v.product_id == p.product_id).outerjoin(_assigned, _assigned.c.id == category),
        {
            "product_id": (p.product_id, "the product, by its id in the catalog"),
            **_MODEL,
            "assignment": (
                case(
                    (v.category_id.is_not(None), "verdict"),
                    *((_cleared == level, f"level{level}") for level in (3, 2, 1)),
                    else_="review",
                ),
                "verdict, level3, level2, level1 or review",
            ),
            "category_id": (category, "the category assigned, null for review"),
            "level": (_assigned.c.level, "its level"),
            "category": (_assigned.c.name, "its name in French"),
            "category_en": (_assigned.c.name_en, "its name in English, null until translated"),
            "score": (
                case({3: p.score, 2: p.level2_score, 1: p.level1_score}, value=_cleared),
                "the model's score of the level it cleared, whatever a verdict says; null where it cleared none",
            ),
            "reviewer": (case((v.category_id.is_not(None), v.reviewer)), "who gave the verdict"),
            **_LISTED,
            **_WHEN,
        },
    ).where(p.is_latest)


def _listed_at(level: int, name: str) -> Any:
    """Return the seller's category at a level: sellers may name one of any level, by mistake or for want of a finer."""
    above = {1: {1: _listed, 2: _listed2, 3: _listed1}, 2: {2: _listed, 3: _listed2}}[level]
    return case({of: each.c[name] for of, each in above.items()}, value=_listed.c.level)


def _disagreements() -> View:
    return view(
        "disagreements",
        "Products that the model's latest prediction puts elsewhere than their seller, at the model's own level.",
        _predicted.outerjoin(_listed2, _listed2.c.id == _listed.c.parent_id)
        .outerjoin(_listed1, _listed1.c.id == _listed2.c.parent_id)
        .outerjoin(verdicts, v.product_id == p.product_id),
        {
            "product_id": (p.product_id, "the product, by its id in the catalog"),
            **_MODEL,
            **_PREDICTED,
            **_LISTED,
            "listed_level2_id": (_listed_at(2, "id"), "the seller's category at level 2, null where it is above that"),
            "listed_level2": (_listed_at(2, "name"), "its name in French"),
            "listed_level2_en": (_listed_at(2, "name_en"), "its name in English, null until translated"),
            "listed_level1_id": (_listed_at(1, "id"), "the seller's category at level 1"),
            "listed_level1": (_listed_at(1, "name"), "its name in French"),
            "listed_level1_en": (_listed_at(1, "name_en"), "its name in English, null until translated"),
            "differs_at": (
                case(
                    (_listed_at(1, "id") != p.level1_id, 1),
                    (_listed_at(2, "id") != p.level2_id, 2),
                    (_listed.c.level == 3, 3),
                ),
                "the highest level at which they differ; null where the seller's category does not tell",
            ),
            **_WHEN,
            "verdict": (v.decision, "seller, model or other; skipped, open; null before anybody looked"),
            "verdict_category_id": (v.category_id, "the category decided on"),
            "reviewer": (v.reviewer, "who decided"),
        },
    ).where(
        and_(
            p.is_latest,
            p.listed_category_id != p.category_id,
            or_(m.level == 3, _listed_at(2, "id").is_(None), p.level2_id != _listed_at(2, "id")),
        )
    )


def _daily_counts() -> View:
    day, lag = Day(p.predicted_at), Seconds(p.queued_at, p.predicted_at)
    counts = view(
        "daily_counts",
        "How many predictions were written by day, model and queue, and how long they took.",
        predictions.outerjoin(models, m.id == p.model_id),
        {
            "day": (day, "of predicted_at, in UTC"),
            **_MODEL,
            "queue": (p.queue, "new: a person waited; backfill: nobody did"),
            "predictions": (func.count(), "rows of that day that are still there"),
            "mean_lag_seconds": (func.avg(lag), "mean time from enqueued to written"),
            "longest_lag_seconds": (func.max(lag), "the longest of them"),
            "within_second": (func.sum(case((lag <= 1, 1), else_=0)), "how many were written within one second"),
        },
    )
    return replace(counts, query=counts.query.group_by(day, p.model_id, m.name, m.version, p.queue))


#: the query of latest_predictions over the predictions of every model
EVERY_PREDICTION = _every_prediction().query
VIEWS = (_category_paths(), _every_prediction().where(p.is_latest), _assignments(), _disagreements(), _daily_counts())
category_paths, latest_predictions, assignments, disagreements, daily_counts = (each.table() for each in VIEWS)


def digest() -> str:
    """Return a hash that changes with every change of what a view says."""
    dialects = [make_url(f"{name}://").get_dialect()() for name in ("sqlite", "postgresql")]
    told = [(each.name, each.comment, each.comments, *map(each.definition, dialects)) for each in VIEWS]
    return hashlib.blake2b(repr(told).encode(), digest_size=6).hexdigest()
