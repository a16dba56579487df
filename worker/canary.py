"""The model on trial: asked for a share of a page, and whatever it fails at is the stable model's to do.

Nothing that happens here rejects or returns a page, or holds one up for longer than a canary's time. A canary is not
waited for, all its calls for a page share that time, and after a failure it is left alone for a while.
"""

import time

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from worker.asking import Answers, Asking
from worker.contract import traces
from worker.contract.errors import ModelUnfit, ShelverError, Unavailable
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.rejects import Reason, Reject
from worker.contract.settings import Settings
from worker.metrics.definitions import Cause
from worker.metrics.observe import SERVERS
from worker.model import Model
from worker.outcome import Outcome, Side
from worker.patience import Once, Patience
from worker.rollout import CANARY, OFF, Rollout
from worker.serving import Refused, Serving
from worker.store import Store

logger = structlog.stdlib.get_logger("worker")

#: it rests so many times as long as its failure took: one that times out takes a tenth of its worker's time at most
RESTS = 10
#: but at least so long
SHORTEST_REST_SECONDS = 1.0


class OnAnother(ShelverError):
    """The label canary is on another version than the trial is of: that one is to be asked about no product."""

    def __init__(self, version: int):
        super().__init__(f"version {version} is labelled canary")
        self.version = version


class Canary(Asking):
    """The model labelled canary. Use it after fork."""

    def __init__(self, settings: Settings, store: Store):
        self._seconds = settings.canary_seconds
        settings = settings.model_copy(update={"predict_timeout_seconds": self._seconds})
        super().__init__(settings, Serving(settings, CANARY), store)
        self._rollout = OFF
        self._rests_until = 0.0  # on the monotonic clock
        self._cause: Cause | None = None
        self._late = ""  # why the rest of the page is not asked of it
        self._passed_over: int | None = None

    def close(self) -> None:
        """Close the channel."""
        self._serving.close()

    def answer(self, page: Page, products: list[Product], rollout: Rollout) -> Outcome | None:
        """Return what it makes of some products of a page, stored already; None when it is of another rollout.

        Those that are not in it, `fallbacks` says why and how many, are for the stable model to predict or to reject.
        """
        outcome, started = Outcome(page, side=rollout.side), time.monotonic()
        if self._cause and started < self._rests_until:
            outcome.fallbacks = {self._cause: len(products)}
            return outcome
        self._rollout, self._serving.deadline = rollout, started + self._seconds
        once = Once(outcome.seconds)
        try:
            with traces.span(rollout.side.value, products=len(products)):
                self._ask_and_store(outcome, products, once)
        except OnAnother as other:
            self._pass_over(other.version)
            return None
        except SoftTimeLimitExceeded:
            if rollout.side is Side.CANARY:  # the stable model has no time left either
                raise
            cause, reason = Cause.TIME_LIMIT, "the page took too long"
        except ShelverError as error:
            cause, reason = Cause.MODEL if isinstance(error, ModelUnfit) else SERVERS[once.stage], str(error)
        except Exception as error:  # noqa: BLE001 - of a trial, too, that nobody foresaw
            cause, reason = Cause.UNFORESEEN, repr(error)
        else:
            return outcome
        self._rest(cause, reason, started)
        return Outcome(page, side=rollout.side, fallbacks={cause: len(products)})

    def _ask_and_store(self, outcome: Outcome, products: list[Product], once: Once) -> None:
        """Store what it answers in its time, and count what it leaves to the stable model."""
        self._late, started = "", time.monotonic()
        self.fill(outcome, products, once)
        refused = [each for each in outcome.rejects if each.reason is Reason.REFUSED_BY_MODEL]
        left = len(products) - len(outcome.answered) - len(outcome.rejects)
        outcome.rejects = []
        once("save", self._store.save, outcome)
        counted = {Cause.REFUSED: len(refused), Cause.SERVING: left}
        outcome.fallbacks = {cause: count for cause, count in counted.items() if count}
        if self._late:
            self._rest(Cause.SERVING, self._late, started)
        elif refused:
            self._tell(Cause.REFUSED, refused[0].detail)
        else:
            self._tell(None)

    def _model(self) -> Model:
        model = super()._model()
        self._check(model.version)
        return model

    def _check(self, version: int) -> None:
        """Raise OnAnother when the trial is not of this version: the label has moved since it began."""
        if not self._rollout.is_of(version):
            raise OnAnother(version)

    def _predict(self, products: list[Product], waited: Patience, outcome: Outcome) -> Answers:
        """Predict a group; it is refused whole when the model refuses it again after every picture was proven.

        It is left out, as are all that follow, when the model does not answer in its time.
        """
        if self._late:
            return [], []
        for prove in (False, True):
            try:
                batch, rejects = self._stack(products, waited, outcome, prove)
                predictions = waited("predict", self._ask, batch, outcome.side) if batch.products else []
            except Refused as error:
                reason = str(error)
            except ModelUnfit:
                raise
            except Unavailable as error:
                self._late = str(error)
                return [], []
            else:
                if predictions:
                    self._check(predictions[0].model_version)
                return predictions, rejects
        return [], [*rejects, *(Reject(each.id, Reason.REFUSED_BY_MODEL, reason) for each in batch.products)]

    def _rest(self, cause: Cause, reason: str, started: float) -> None:
        """Leave it alone for a while that is long beside what its failure took."""
        self._tell(cause, reason)
        now = time.monotonic()
        self._rests_until = now + max(SHORTEST_REST_SECONDS, RESTS * (now - started))

    def _pass_over(self, version: int) -> None:
        """Log that it is asked about nothing, once until that changes."""
        if version != self._passed_over:
            told = "canary is not asked: the rollout is of another version, run shelver-worker rollout again"
            logger.warning(told, rollout=self._rollout.version, canary=version)
        self._passed_over = version

    def _tell(self, cause: Cause | None, reason: str = "") -> None:
        """Log how the canary does, once until that changes."""
        if cause is not None and cause is not self._cause:
            logger.warning("canary fails: the stable model answers for it", cause=cause.value, reason=reason)
        elif cause is None and self._cause is not None:
            logger.info("canary answers again")
        self._cause = cause
