"""What becomes of a page as rows of the store."""

from collections.abc import Iterator
from datetime import UTC, datetime

from worker.outcome import Outcome, Prediction, Side
from worker.upsert import Row


def prediction_row(each: Prediction, model_ids: dict[int, int], outcome: Outcome, now: datetime) -> Row:
    """Return the row of a prediction of this outcome; `model_ids` are those of `models` by version."""
    (category_id, score), *others = each.candidates
    return {
        "product_id": each.product.id,
        "model_id": model_ids[each.model_version],
        "category_id": category_id,
        "score": score,
        "margin": score - others[0][1] if others else score,
        "level2_id": each.level2[0],
        "level2_score": each.level2[1],
        "level1_id": each.level1[0],
        "level1_score": each.level1[1],
        "picture_count": each.picture_count,
        "fingerprint": each.product.fingerprint,
        "listed_category_id": each.product.category_id,
        "queue": outcome.page.queue,
        "queued_at": datetime.fromtimestamp(outcome.page.queued_at, UTC),
        "predicted_at": now,
        "is_latest": outcome.side is not Side.SHADOW,
    }


def candidate_rows(each: Prediction, model_ids: dict[int, int]) -> Iterator[Row]:
    """Yield the rows of a prediction's candidates, best first."""
    for rank, (category_id, score) in enumerate(each.candidates, start=1):
        yield {
            "product_id": each.product.id,
            "model_id": model_ids[each.model_version],
            "rank": rank,
            "category_id": category_id,
            "score": score,
        }


def reject_rows(outcome: Outcome, now: datetime) -> list[Row]:
    """Return the rows of an outcome's rejects, sorted by key."""
    return [
        {
            "product_id": each.product_id,
            "reason": each.reason,
            "detail": each.detail.replace("\0", "\\0"),  # PostgreSQL's text takes no NUL
            "attempts": 1,
            "first_at": now,
            "last_at": now,
        }
        for each in sorted(outcome.rejects, key=lambda reject: reject.product_id)
    ]
