"""classify(page) -> Outcome: a page's way from ids to stored rows. The file to read first.

    catalog.load    ids -> products, one query
    store.known     drop what this model already predicted from the same pictures
    pictures.stack  products -> a batch of sound pictures, and rejects
    serving.predict batch -> predictions, one call (several when over SHELVER_MAX_BATCH_PICTURES)
    store.save      everything in one transaction

Two questions decide every failure: is it the item or the page, and can waiting help? An item becomes a
reject and the page goes on. A server that does not answer is waited for in place, so that the rest of the
work stays in Redis; past the limit Unavailable leaves here and the page goes back to the queue.
"""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import stamina

from worker.catalog import Catalog
from worker.contract.errors import Unavailable
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.outcome import Outcome, Prediction
from worker.pictures import Stacker, groups
from worker.serving import Refused, Serving
from worker.store import Store

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5

P = ParamSpec("P")
T = TypeVar("T")


class Pipeline:
    """The line of one worker process, on clients of its own."""

    def __init__(self, settings: Settings, catalog: Catalog, serving: Serving, store: Store):
        self._settings = settings
        self._catalog = catalog
        self._serving = serving
        self._store = store

    def classify(self, page: Page) -> Outcome:
        """Predict and store a page; doing it twice changes nothing.

        Raises Unavailable when a server stayed away longer than SHELVER_WAIT_LIMIT_SECONDS: nothing of the
        page is stored then, and it must go back to the queue.
        """
        waited = _Patience(self._settings.wait_limit_seconds)
        outcome = Outcome(page)
        products, outcome.rejects = waited(self._catalog.load, page.ids)
        model = waited(self._serving.model)
        outcome.known = waited(self._store.known, products, model.version)
        known = set(outcome.known)
        for group in groups((each for each in products if each.id not in known), self._settings):
            predictions, rejects = self._predict(group, waited)
            outcome.predictions += predictions
            outcome.rejects += rejects
        waited(self._store.save, outcome)
        return outcome

    def _predict(
        self, products: list[Product], waited: "_Patience", prove: bool = False
    ) -> tuple[list[Prediction], list[Reject]]:
        """Predict a group; when the model refuses it, prove every picture, then halve it down to the culprit.

        The model is asked anew after every refusal, so one that was swapped for another is not blamed on products.
        """
        model = waited(self._serving.model)
        stacker = Stacker(self._settings, self._settings.model_signature, model.side)
        batch, rejects = stacker.stack(products, prove)
        if not batch.products:
            return [], rejects
        try:
            return waited(self._serving.predict, batch), rejects
        except Refused as error:
            if not prove:
                return self._predict(products, waited, prove=True)
            if len(products) == 1:
                return [], [Reject(products[0].id, Reason.REFUSED_BY_MODEL, str(error))]
        half = len(products) // 2
        first, first_rejects = self._predict(products[:half], waited, prove)
        second, second_rejects = self._predict(products[half:], waited, prove)
        return first + second, first_rejects + second_rejects


class _Patience:
    """Calls again while a server is unavailable, with backoff and jitter; what it waits adds up over a page."""

    def __init__(self, limit_seconds: float):
        self._left_seconds = limit_seconds

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        started = time.monotonic()
        for attempt in stamina.retry_context(
            on=Unavailable,
            attempts=None,
            timeout=max(self._left_seconds, 0.001),  # 0 would mean no limit
            wait_initial=FIRST_WAIT_SECONDS,
            wait_max=LONGEST_WAIT_SECONDS,
        ):
            with attempt:
                result = function(*args, **kwargs)
                if attempt.num > 1:
                    self._left_seconds -= time.monotonic() - started
                return result
        raise AssertionError("stamina raises the last error itself")
