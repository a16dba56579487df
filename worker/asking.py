"""One model asked about products: what it knows, what it can copy, and what is left to predict.

store.known     drop what this model already predicted from the same pictures
store.copies    answers of products whose pictures this model has seen under another id
pictures.stack  products -> a batch of sound pictures, and rejects
serving.predict batch -> predictions, one call (several when over SHELVER_MAX_BATCH_PICTURES)
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace

from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import CALLS_FOR_ONE, Settings
from worker.metrics import observe
from worker.metrics.definitions import Cause
from worker.model import Model
from worker.outcome import Outcome, Prediction, Side
from worker.patience import Patience
from worker.pictures import GREY, WHITE, Batch, Stacker, groups
from worker.serving import REPLICAS_ASKED, Refused, Serving
from worker.store import Store

#: of a group: those that were predicted, and the others
Answers = tuple[list[Prediction], list[Reject]]


class Asking(ABC):
    """A model, and what the store has of it."""

    def __init__(self, settings: Settings, serving: Serving, store: Store):
        self._settings = settings
        self._serving = serving
        self._store = store

    def fill(self, outcome: Outcome, products: list[Product], waited: Patience) -> None:
        """Put every product into the outcome, predicted, known or rejected. Raises as Pipeline.classify does."""
        version = waited("model", self._model).version
        outcome.known, outcome.known_version = waited("known", self._store.known, products, version), version
        known = set(outcome.known)
        twins = self._copy([each for each in products if each.id not in known], version, outcome, waited)
        alike_of = {alike[0].id: alike for alike in twins}
        outcome.copied = len(outcome.predictions)
        for group in groups((alike[0] for alike in twins), self._settings):
            predictions, rejects = self._predict(group, waited, outcome)
            told = [replace(each, product=twin) for each in predictions for twin in alike_of[each.product.id]]
            outcome.predictions += told
            outcome.copied += len(told) - len(predictions)
            outcome.rejects += [
                replace(each, product_id=twin.id) for each in rejects for twin in alike_of[each.product_id]
            ]

    def _copy(self, products: list[Product], version: int, outcome: Outcome, waited: Patience) -> list[list[Product]]:
        """Put answers from the store into the outcome; return the others, in groups with the same pictures."""
        if not self._settings.copy_answers:
            return [[each] for each in products]
        twins = _by_pictures(products)
        copies = waited("known", self._store.copies, [alike[0] for alike in twins.values()], version)
        for copy in copies:
            # Two may have the same pictures: one was given those of the other while it was looked for.
            alike = twins.pop(copy.product.fingerprint, [])
            outcome.predictions += [replace(copy, product=twin) for twin in alike]
        return list(twins.values())

    def check(self, pictures: int = 1, times: int = 1) -> Model:
        """Return the model; raise ModelUnfit, or Unavailable, unless it is ours and answers about plain pictures.

        It is asked so often in a row about two products, one of about so many pictures, SHELVER_MAX_PICTURES at most.
        """
        model = self._serving.model()
        self._store.model_id(model.version)
        for _ in range(times):
            ask_plainly(self._settings, self._serving, pictures)
        return model

    def _stack(
        self, products: list[Product], waited: Patience, outcome: Outcome, prove: bool
    ) -> tuple[Batch, list[Reject]]:
        """Return the batch for the model that is served now, and a reject for each product without a sound picture."""
        model = waited("model", self._model)
        with waited.timed("stack"):
            batch, rejects = _stacker(self._settings, model).stack(products, prove=prove)
        if batch.products:
            outcome.pictures += len(batch.pictures)
            outcome.model_version = model.version
        return batch, rejects

    def _model(self) -> Model:
        return self._serving.model()

    def _ask(self, batch: Batch, side: Side) -> list[Prediction]:
        started = time.monotonic()
        predictions = self._serving.predict(batch)
        observe.answered(predictions[0].model_version, len(batch.pictures), time.monotonic() - started, side)
        return predictions

    @abstractmethod
    def _predict(self, products: list[Product], waited: Patience, outcome: Outcome) -> Answers:
        """Predict a group that fits one call."""


class Stable(Asking):
    """The model that decides: it is waited for, and what it cannot predict is rejected."""

    def _predict(self, products: list[Product], waited: Patience, outcome: Outcome, calls: int = 0) -> Answers:
        """Predict a group; when the model fails at it, prove every picture, then halve it down to the culprit.

        Before anything is blamed on products the model must answer about plain pictures, before the last word each of
        its replicas: one that refuses everything, is overloaded or away, or was swapped for another is none of theirs.
        One that answers others, and these never however long they wait, would have their page go round for ever.
        """
        batch, rejects = self._stack(products, waited, outcome, prove=calls > 0)
        if not batch.products:
            return [], rejects
        try:
            return waited("predict", self._ask, batch, outcome.side), rejects
        except (Refused, Unavailable) as error:
            calls += 1
            is_last_word = len(products) == 1 and calls >= CALLS_FOR_ONE
            self.check(len(batch.pictures), REPLICAS_ASKED if is_last_word else 1)
            if is_last_word:
                return [], [Reject(products[0].id, Reason.REFUSED_BY_MODEL, str(error))]
            if isinstance(error, Refused):
                observe.retried(Cause.REFUSED)
        if calls == 1 or len(products) == 1:
            return self._predict(products, waited, outcome, calls)
        half = len(products) // 2
        first, first_rejects = self._predict(products[:half], waited, outcome, calls=1)
        second, second_rejects = self._predict(products[half:], waited, outcome, calls=1)
        return first + second, first_rejects + second_rejects


def ask_plainly(settings: Settings, serving: Serving, pictures: int) -> float:
    """Ask about two products that no sound model fails at, one of about so many pictures; return the seconds it took.

    Raises ModelUnfit when it fails at them, Unavailable when the model server does not answer.
    """
    model = serving.model()
    products = [Product(0, (GREY,) * max(1, pictures - 1)), Product(1, (WHITE,))]
    batch = _stacker(settings, model).stack(products[: settings.max_batch_pictures])[0]
    started = time.monotonic()
    try:
        serving.predict(batch)
    except Refused as error:
        serving.model()  # a replica that has no version under the label refuses everything, and is none to blame
        raise ModelUnfit(
            f"version {model.version} of {settings.model_name} fails even at plain pictures: {error}; "
            "publish a sound version with shelver-trainer"
        ) from error
    return time.monotonic() - started


def _stacker(settings: Settings, model: Model) -> Stacker:
    return Stacker(settings, settings.model_signature, model.side)


def _by_pictures(products: Iterable[Product]) -> dict[bytes, list[Product]]:
    """Group products whose pictures are the same bytes: the model need be asked about one of them only."""
    twins: dict[bytes, list[Product]] = {}
    for product in products:
        twins.setdefault(product.fingerprint, []).append(product)
    return twins
