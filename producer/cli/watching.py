"""watch: follow the catalog."""

from typing import Annotated

import typer

from producer import metrics
from producer.watching.watcher import Watcher
from worker.contract import settings as configuration
from worker.contract.stopping import stopped_by_signals


def watch(
    from_now: Annotated[
        bool, typer.Option("--from-now", help="forget the stored position and begin with the next change")
    ] = False,
) -> None:
    """Enqueue every newly listed product, and those whose pictures change, until stopped.

    It goes on where it was after a restart, and waits for servers that do not
    answer. Several may watch the same collection: one works, the others stand by
    and take over within seconds when it dies.

    It follows MongoDB's change stream. When MongoDB no longer has the changes since
    the last position, it enqueues the listings whose SHELVER_MONGO_ORDER_FIELD is
    higher than what it saw, on the queue that gives way, and follows the stream
    again. Where there is no replica set, it asks for such listings every second.
    SHELVER_MONGO_COLLECTION, _ID_FIELD, _PICTURE_PATH and _FILTER say which listings
    count, and where they keep what.
    """
    settings = configuration.load()
    metrics.start(settings, is_watcher=True)
    Watcher(settings, stopped_by_signals(), from_now).run()


COMMANDS = (watch,)
