"""Everything that enqueues listings. For the catalog system: `from producer import enqueue, status`."""

from producer.calls import enqueue, status
from worker.contract.errors import QueueUnavailable, Unavailable
from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.contract.standing import Standing, Status

__all__ = ["Queue", "QueueUnavailable", "Reason", "Standing", "Status", "Unavailable", "enqueue", "status"]
