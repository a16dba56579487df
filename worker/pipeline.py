"""classify(page) -> Outcome: a page's way from ids to stored rows. The file to read first.

    catalog.load    ids -> products, one query
    store.known     drop what this model already predicted from the same pictures
    store.copies    answers of products whose pictures this model has seen under another id
    pictures.stack  products -> a batch of sound pictures, and rejects
    serving.predict batch -> predictions, one call (several when over SHELVER_MAX_BATCH_PICTURES)
    store.save      everything in one transaction

Two questions decide every failure: is it the item or the page, and can waiting help? An item becomes a
reject and the page goes on. A server that does not answer is waited for in place, so that the rest of the
work stays in Redis; past the limit Unavailable leaves here and the page goes back to the queue.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ParamSpec, TypeVar

import stamina

from worker.catalog import Catalog
from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.messages import Page
from worker.contract.product import Product, ProductId, stand_in_id
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import CALLS_FOR_ONE, Settings
from worker.model import Model
from worker.outcome import Outcome, Prediction
from worker.pictures import GREY, WHITE, Stacker, groups
from worker.serving import REPLICAS_ASKED, Refused, Serving
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

        Nothing of the page is stored, and it must go back to the queue, when this raises: Unavailable, when a server
        stayed away longer than SHELVER_WAIT_LIMIT_SECONDS; ModelUnfit, at once, when there is no model of ours.
        """
        outcome = Outcome(page)
        waited = _Patience(self._settings.wait_limit_seconds, outcome.seconds)
        products, outcome.rejects = waited("catalog", self._catalog.load, page.ids)
        version = waited("model", self._serving.model).version
        outcome.known, outcome.known_version = waited("known", self._store.known, products, version), version
        known = set(outcome.known)
        twins = _by_pictures(each for each in products if each.id not in known)
        copies = waited("known", self._store.copies, [alike[0] for alike in twins.values()], version)
        for copy in copies:
            outcome.predictions += [replace(copy, product=twin) for twin in twins.pop(copy.product.fingerprint)]
        alike_of = {alike[0].id: alike for alike in twins.values()}
        outcome.copied = len(outcome.predictions)
        for group in groups((alike[0] for alike in twins.values()), self._settings):
            predictions, rejects = self._predict(group, waited, outcome)
            told = [replace(each, product=twin) for each in predictions for twin in alike_of[each.product.id]]
            outcome.predictions += told
            outcome.copied += len(told) - len(predictions)
            outcome.rejects += [
                replace(each, product_id=twin.id) for each in rejects for twin in alike_of[each.product_id]
            ]
        waited("save", self._store.save, outcome)
        return outcome

    def poison(self, page: Page, detail: str) -> Outcome:
        """Store the products of a page as rejects without touching them; raises as `classify` does."""
        outcome = Outcome(page, rejects=[_poisonous(each, detail) for each in page.ids])
        _Patience(self._settings.wait_limit_seconds, outcome.seconds)("save", self._store.save, outcome)
        return outcome

    def check_model(self, pictures: int = 1, times: int = 1) -> None:
        """Raise ModelUnfit, or Unavailable, unless the model is there, is one of ours and answers about plain pictures.

        It is asked so often in a row about two products, one of about so many pictures, SHELVER_MAX_PICTURES at most.
        """
        model = self._serving.model()
        self._store.model_id(model.version)
        plain = [Product(0, (GREY,) * max(1, pictures - 1)), Product(1, (WHITE,))]
        batch, _ = self._stacker(model).stack(plain[: self._settings.max_batch_pictures])
        try:
            for _ in range(times):
                self._serving.predict(batch)
        except Refused as error:
            raise ModelUnfit(
                f"version {model.version} of {self._settings.model_name} fails even at plain pictures: {error}; "
                "publish a sound version with shelver-trainer"
            ) from error

    def _stacker(self, model: Model) -> Stacker:
        return Stacker(self._settings, self._settings.model_signature, model.side)

    def _predict(
        self, products: list[Product], waited: "_Patience", outcome: Outcome, calls: int = 0
    ) -> tuple[list[Prediction], list[Reject]]:
        """Predict a group; when the model fails at it, prove every picture, then halve it down to the culprit.

        Before anything is blamed on products the model must answer about plain pictures, before the last word each of
        its replicas: one that refuses everything, is overloaded or away, or was swapped for another is none of theirs.
        One that answers others, and these never however long they wait, would have their page go round for ever.
        """
        model = waited("model", self._serving.model)
        with waited.timed("stack"):
            batch, rejects = self._stacker(model).stack(products, prove=calls > 0)
        if not batch.products:
            return [], rejects
        outcome.pictures += len(batch.pictures)
        outcome.model_version = model.version
        try:
            return waited("predict", self._serving.predict, batch), rejects
        except (Refused, Unavailable) as error:
            calls += 1
            is_last_word = len(products) == 1 and calls >= CALLS_FOR_ONE
            self.check_model(len(batch.pictures), REPLICAS_ASKED if is_last_word else 1)
            if is_last_word:
                return [], [Reject(products[0].id, Reason.REFUSED_BY_MODEL, str(error))]
        if calls == 1 or len(products) == 1:
            return self._predict(products, waited, outcome, calls)
        half = len(products) // 2
        first, first_rejects = self._predict(products[:half], waited, outcome, calls=1)
        second, second_rejects = self._predict(products[half:], waited, outcome, calls=1)
        return first + second, first_rejects + second_rejects


def _poisonous(identity: ProductId, detail: str) -> Reject:
    if isinstance(identity, str):
        return Reject(stand_in_id(identity), Reason.BAD_ID, f"_id is {identity}; {detail}")
    return Reject(identity, Reason.POISON, detail)


def _by_pictures(products: Iterable[Product]) -> dict[bytes, list[Product]]:
    """Group products whose pictures are the same bytes: the model need be asked about one of them only."""
    twins: dict[bytes, list[Product]] = {}
    for product in products:
        twins.setdefault(product.fingerprint, []).append(product)
    return twins


def _waiting_helps(error: Exception) -> bool:
    return isinstance(error, Unavailable) and not isinstance(error, ModelUnfit)


class _Patience:
    """Calls again while a server is unavailable, with backoff and jitter; what it waits adds up over a page."""

    def __init__(self, limit_seconds: float, seconds: dict[str, float]):
        self._left_seconds = limit_seconds
        self._seconds = seconds

    def __call__(self, stage: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        started, attempts = time.monotonic(), 0
        try:
            with self.timed(stage):
                for attempt in stamina.retry_context(
                    on=_waiting_helps,
                    attempts=None,
                    timeout=max(self._left_seconds, 0.001),  # 0 would mean no limit
                    wait_initial=FIRST_WAIT_SECONDS,
                    wait_max=LONGEST_WAIT_SECONDS,
                ):
                    with attempt:
                        attempts += 1
                        return function(*args, **kwargs)
        except Unavailable:
            attempts += 1
            raise
        finally:
            if attempts > 1:
                self._left_seconds -= time.monotonic() - started
        raise AssertionError("stamina raises the last error itself")

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count what happens inside towards a stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0) + time.monotonic() - started
