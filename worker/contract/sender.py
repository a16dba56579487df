"""Put product ids on the queue, in pages. Whoever imports this imports Celery."""

from collections.abc import Iterable, Iterator
from itertools import islice

from celery import Celery
from kombu.exceptions import OperationalError

from worker.contract import traces
from worker.contract.broker import celery_options
from worker.contract.errors import QueueUnavailable
from worker.contract.messages import TASK, Page, Queue
from worker.contract.product import ProductId
from worker.contract.settings import Settings
from worker.contract.unreachable import reason
from worker.contract.urls import redact

#: after a failed attempt to publish a page; with the connect timeout this bounds how long a caller waits
RETRIES = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}


class Pages:
    """Sends pages to Redis over one connection pool."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._app = Celery("shelver", set_as_current=False)
        self._app.conf.update(celery_options(settings))

    def send(self, page: Page) -> None:
        """Put one page on its queue; raises QueueUnavailable after a bounded time."""
        queue = page.queue.value
        with traces.span("enqueue", kind="producer", began=page.listed_at, queue=queue, products=len(page.ids)):
            headers = traces.carrier()
            try:
                self._app.send_task(
                    TASK, (page.to_wire(),), queue=queue, headers=headers, retry=True, retry_policy=RETRIES
                )
            except (OperationalError, OSError) as error:
                url = self._settings.redis_url
                raise QueueUnavailable(
                    f"Redis at {redact(url)} takes no page (SHELVER_REDIS_URL): {reason(error, url)}"
                ) from error

    def send_all(self, ids: Iterable[ProductId], queue: Queue) -> Iterator[int]:
        """Cut `ids` into pages and send them, yielding the number of ids of each page once it is on the queue."""
        remaining = iter(ids)
        while chunk := tuple(islice(remaining, self._settings.page_size)):
            self.send(Page(chunk, queue))
            yield len(chunk)

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
