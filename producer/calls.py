"""`enqueue` and `status`, as the catalog system calls them, from Django, FastAPI or a script.

Importing this takes milliseconds: Celery, SQLAlchemy, PyMongo and pydantic are loaded by the first call. Settings are
SHELVER_ variables, read then. Both calls may be made by any number of threads, and keep their connections for the life
of the process; a process that is forked later, as by gunicorn, uWSGI or Celery, makes its own. They block: asynchronous
code makes them in a thread, by `asyncio.to_thread`.
"""

from collections.abc import Iterable
from typing import overload

from worker.contract.messages import Queue
from worker.contract.product import INT64_LIMIT
from worker.contract.standing import Standing


def enqueue(ids: int | Iterable[int], queue: Queue | str = Queue.NEW) -> int:
    """Ask for predictions of products that are in the catalog; return how many ids were enqueued, each counted once.

    `ids` is one id or many, `queue` "new" (a person waits) or "backfill" (nobody does). Enqueueing an id twice
    does no harm: a product is predicted once per model and pictures. Raises TypeError for an id that is no
    integer, ValueError for one beyond 64 bits or another queue, SettingsError for a variable that is wrong, and
    QueueUnavailable when Redis does not answer within seconds; what was enqueued before that stays enqueued.
    """
    numbers, destination = _product_ids(ids), Queue(queue)
    from producer.connections import of_this_process

    return sum(of_this_process().pages.send_all(dict.fromkeys(numbers), destination))


@overload
def status(ids: int) -> Standing: ...
@overload
def status(ids: Iterable[int]) -> dict[int, Standing]: ...
def status(ids: int | Iterable[int]) -> Standing | dict[int, Standing]:
    """Tell where products stand: predicted, rejected (with the reason), pending or unknown.

    Of one id returns its Standing; of many a dictionary by id, in their order. However many they are, that is one
    query for predictions, one for rejects, and one to MongoDB for ids that have neither: what is listed there is
    pending, whether or not it was enqueued. Raises TypeError for an id that is no integer, ValueError for one beyond
    64 bits, SettingsError for a variable that is wrong, and Unavailable, which names the server, when the store or
    MongoDB does not answer.
    """
    numbers = _product_ids(ids)
    from producer.connections import of_this_process
    from producer.standings import standings

    found = standings(of_this_process(), numbers)
    return found[int(ids)] if isinstance(ids, int) else found


def _product_ids(ids: int | Iterable[int]) -> list[int]:
    """Return plain integers (BSON's Int64 is a class of its own); raises as the calls do."""
    given = [ids] if isinstance(ids, int) else list(ids)
    for identity in given:
        if not isinstance(identity, int) or isinstance(identity, bool):
            raise TypeError(f"product ids are integers, not {identity!r}")
        if not -INT64_LIMIT <= identity < INT64_LIMIT:
            raise ValueError(f"product ids are integers of 64 bits, not {identity}")
    return [int(identity) for identity in given]
