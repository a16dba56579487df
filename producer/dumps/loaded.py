"""What became of a dump's documents."""

from dataclasses import dataclass

from producer.dumps.insertion import Inserted
from producer.dumps.portion import Batch
from worker.contract.errors import ShelverError


class LoadError(ShelverError):
    """The dump cannot be loaded now, or MongoDB refused documents of it."""


@dataclass(slots=True)
class Loaded:
    """How far a load is, and what became of the documents up to there; of all runs together."""

    #: of the dump's contents; every document before it is done
    offset: int = 0
    #: documents before it
    count: int = 0
    inserted: int = 0
    already_there: int = 0
    without_id: int = 0
    #: documents that MongoDB refused, and why the first
    refused: int = 0
    refusal: str | None = None

    def add(self, batch: Batch, inserted: Inserted) -> None:
        """Count a batch that is done."""
        self.offset = batch.end
        self.count += batch.count
        self.without_id += batch.without_id
        self.inserted += inserted.inserted
        self.already_there += inserted.already_there
        self.refused += len(inserted.refused)
        for offset, reason in inserted.refused[:1]:
            self.refusal = self.refusal or f"MongoDB refuses the document at byte {offset:,} of the dump: {reason}"

    @property
    def problem(self) -> LoadError | None:
        """What there is to mend, where MongoDB refused something."""
        if not self.refusal:
            return None
        return LoadError(
            f"{self.refusal} ({self.refused:,} refused in all); mend or remove what is refused and load again, or "
            "accept the loss with --tolerate"
        )
