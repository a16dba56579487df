"""The model on trial: asked for a share of a page, and whatever it fails at is the stable model's to do.

Nothing that happens here holds up, rejects or returns a page. A canary is not waited for, it has less time to answer,
and after a failure it is left alone for a while.
"""

import time

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from worker.asking import Answers, Asking
from worker.contract import traces
from worker.contract.errors import ModelUnfit, ShelverError
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.metrics.definitions import Cause
from worker.metrics.observe import SERVERS
from worker.outcome import Outcome, Side
from worker.patience import Once, Patience
from worker.rollout import CANARY
from worker.serving import Refused, Serving
from worker.store import Store

logger = structlog.stdlib.get_logger("worker")

#: of SHELVER_PREDICT_TIMEOUT_SECONDS: a canary that needs longer for a call is none to promote
DEADLINE_SHARE = 0.25
#: it rests so many times as long as its failure took: one that times out takes a tenth of its worker's time at most
RESTS = 10
#: but at least so long
SHORTEST_REST_SECONDS = 1.0


class Canary(Asking):
    """The model labelled canary. Use it after fork."""

    def __init__(self, settings: Settings, store: Store):
        deadline = settings.predict_timeout_seconds * DEADLINE_SHARE
        settings = settings.model_copy(update={"predict_timeout_seconds": deadline})
        super().__init__(settings, Serving(settings, CANARY), store)
        self._rests_until = 0.0  # on the monotonic clock
        self._cause: Cause | None = None

    def close(self) -> None:
        """Close the channel."""
        self._serving.close()

    def answer(self, page: Page, products: list[Product], side: Side) -> Outcome:
        """Return what it makes of some products of a page, stored already.

        Those that are not in it, `fallbacks` says why and how many, are for the stable model to predict or to reject.
        """
        if self._cause and time.monotonic() < self._rests_until:
            return Outcome(page, side=side, fallbacks={self._cause: len(products)})
        outcome, started = Outcome(page, side=side), time.monotonic()
        once = Once(outcome.seconds)
        try:
            with traces.span(side.value, products=len(products)):
                self.fill(outcome, products, once)
                refused = [each for each in outcome.rejects if each.reason is Reason.REFUSED_BY_MODEL]
                outcome.rejects = []
                once("save", self._store.save, outcome)
        except SoftTimeLimitExceeded:
            if side is Side.CANARY:  # the stable model has no time left either
                raise
            cause, reason = Cause.TIME_LIMIT, "the page took too long"
        except ShelverError as error:
            cause, reason = Cause.MODEL if isinstance(error, ModelUnfit) else SERVERS[once.stage], str(error)
        except Exception as error:  # noqa: BLE001 - of a trial, too, that nobody foresaw
            cause, reason = Cause.UNFORESEEN, repr(error)
        else:
            if refused:
                outcome.fallbacks = {Cause.REFUSED: len(refused)}
                self._tell(Cause.REFUSED, refused[0].detail)
            else:
                self._tell(None)
            return outcome
        self._tell(cause, reason)
        now = time.monotonic()
        self._rests_until = now + max(SHORTEST_REST_SECONDS, RESTS * (now - started))
        return Outcome(page, side=side, fallbacks={cause: len(products)})

    def _predict(self, products: list[Product], waited: Patience, outcome: Outcome) -> Answers:
        """Predict a group; it is refused whole when the model refuses it again after every picture was proven."""
        for prove in (False, True):
            batch, rejects = self._stack(products, waited, outcome, prove)
            if not batch.products:
                break
            try:
                return waited("predict", self._ask, batch, outcome.side), rejects
            except Refused as error:
                reason = str(error)
        return [], [*rejects, *(Reject(each.id, Reason.REFUSED_BY_MODEL, reason) for each in batch.products)]

    def _tell(self, cause: Cause | None, reason: str = "") -> None:
        """Log how the canary does, once until that changes."""
        if cause is not None and cause is not self._cause:
            logger.warning("canary fails: the stable model answers for it", cause=cause.value, reason=reason)
        elif cause is None and self._cause is not None:
            logger.info("canary answers again")
        self._cause = cause
