"""Find listings of the catalog that have neither prediction nor reject, whatever became of their pages."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from producer.filling.predicted import Ascending, find_model, is_latest_of, is_of
from worker.contract.database import Database
from worker.contract.messages import Page
from worker.contract.product import ProductId, stand_in_id
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import predictions, rejects

#: ids that are no integers, looked up at a time: few enough parameters for SQLite
STRANGE_AT_A_TIME = 500


@dataclass(slots=True)
class Tally:
    """How many listings were found, and what of them."""

    listings: int = 0
    predicted: int = 0
    #: of those without a prediction
    rejected: int = 0
    #: neither
    missing: int = 0


class Reconciler:
    """Compares listings with the store. Every method raises Unavailable when the database does not answer."""

    def __init__(self, settings: Settings):
        self._model_name = settings.model_name
        self.database = Database(settings.database_url)
        self.tally = Tally()

    def close(self) -> None:
        """Close the pool."""
        self.database.close()

    def missing(self, ids: Iterable[ProductId], version: int | None = None) -> Iterator[ProductId]:
        """Yield those of `ids`, integers ascending among them, that have neither a prediction nor a reject.

        A prediction by any version of SHELVER_MODEL_NAME counts, if it is the product's latest: one on trial, whose
        share is small, must not make the others missing. With a `version`, one by that version. A reject that says the
        listing is not in the catalog counts for nothing: it is there now. An id that is no integer can only be
        rejected, under its stand-in; such ids are gathered, looked up some hundred at a time and yielded late.

        Raises NoModel when the version, or any at all, is not registered.
        """
        model = find_model(self.database, self._model_name, version)
        is_there = is_of(self.database, model) if version is not None else is_latest_of(self.database, self._model_name)
        predicted = Ascending(self.database, predictions.c.product_id, is_there)
        rejected = Ascending(self.database, rejects.c.product_id, rejects.c.reason != Reason.NOT_FOUND)
        strange: list[str] = []
        for identity in ids:
            self.tally.listings += 1
            if isinstance(identity, str):
                strange.append(identity)
                if len(strange) == STRANGE_AT_A_TIME:
                    yield from self._missing_strange(strange)
                    strange = []
            elif predicted.has(identity):
                self.tally.predicted += 1
            elif rejected.has(identity):
                self.tally.rejected += 1
            else:
                self.tally.missing += 1
                yield identity
        yield from self._missing_strange(strange)

    def _missing_strange(self, strange: Sequence[str]) -> Iterator[str]:
        keys = [stand_in_id(each) for each in _as_workers_read(strange)]
        query = select(rejects.c.product_id).where(rejects.c.product_id.in_(keys), rejects.c.reason != Reason.NOT_FOUND)
        with self.database.begin() as connection:
            there = set(connection.scalars(query))
        for identity, key in zip(strange, keys, strict=True):
            if key in there:
                self.tally.rejected += 1
            else:
                self.tally.missing += 1
                yield identity


def _as_workers_read(strange: Sequence[str]) -> Sequence[str]:
    """Return the texts as they arrive, long ones cut: stand-ins are made of those."""
    return [str(each) for each in Page.from_wire(Page(tuple(strange)).to_wire()).ids]
