"""classify(page) -> Outcome: a page's way from ids to stored rows. The file to read first.

    catalog.load    ids -> products, one query
    stable.fill     products -> predictions and rejects: what is known, copied, and predicted (worker/asking.py)
    store.save      everything in one transaction

While a new model is tried out, a share of the products is asked of it (worker/canary.py), instead or as well.

Two questions decide every failure: is it the item or the page, and can waiting help? An item becomes a
reject and the page goes on. A server that does not answer is waited for in place, so that the rest of the
work stays in Redis; past the limit Unavailable leaves here and the page goes back to the queue.
"""

import time

from worker.asking import Stable
from worker.canary import Canary
from worker.catalog import Catalog
from worker.contract.messages import Page
from worker.contract.product import ProductId, stand_in_id
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.outcome import Outcome, Side
from worker.patience import Patience
from worker.rollout import OFF, Rollout
from worker.serving import Serving
from worker.store import Store


class Pipeline:
    """The line of one worker process, on clients of its own."""

    def __init__(self, settings: Settings, catalog: Catalog, serving: Serving, store: Store):
        self._settings = settings
        self._catalog = catalog
        self._store = store
        self._stable = Stable(settings, serving, store)
        self._canary = Canary(settings, store)

    def classify(self, page: Page, rollout: Rollout = OFF) -> Outcome:
        """Predict and store a page; doing it twice changes nothing.

        The page must go back to the queue when this raises: Unavailable, when a server stayed away longer than
        SHELVER_WAIT_LIMIT_SECONDS; ModelUnfit, at once, when there is no model of ours. Nothing of it is stored then,
        but for what a canary answered.

        The two sides are stored in a transaction each, and the page is acknowledged after both: if it comes back
        between them, the first one's products are known to its model, and are not asked again. A product that the
        canary has not stored is the stable side's.
        """
        outcome = Outcome(page)
        waited = Patience(self._settings.wait_limit_seconds, outcome.seconds)
        products, outcome.rejects = waited("catalog", self._catalog.load, page.ids)
        tried = [each for each in products if rollout.includes(each.id)]
        if tried and rollout.side is Side.CANARY:
            outcome.beside = self._canary.answer(page, tried, rollout)
            answered = outcome.beside.answered if outcome.beside else set()
            products = [each for each in products if each.id not in answered]
        self._stable.fill(outcome, products, waited)
        waited("save", self._store.save, outcome)
        outcome.stored_at = time.time()
        if tried and rollout.side is Side.SHADOW:
            rejected = {each.product_id for each in outcome.rejects}
            sound = [each for each in tried if each.id not in rejected]
            outcome.beside = self._canary.answer(page, sound, rollout)
        return outcome

    def poison(self, page: Page, detail: str) -> Outcome:
        """Store the products of a page as rejects without touching them; raises as `classify` does."""
        outcome = Outcome(page, rejects=[_poisonous(each, detail) for each in page.ids])
        Patience(self._settings.wait_limit_seconds, outcome.seconds)("save", self._store.save, outcome)
        outcome.stored_at = time.time()
        return outcome

    def check_model(self) -> None:
        """Raise ModelUnfit, or Unavailable, unless there is a stable model, it is ours and answers."""
        self._stable.check()


def _poisonous(identity: ProductId, detail: str) -> Reject:
    if isinstance(identity, str):
        return Reject(stand_in_id(identity), Reason.BAD_ID, f"_id is {identity}; {detail}")
    return Reject(identity, Reason.POISON, detail)
