"""Everything that enqueues listings. For the catalog system: `from producer import enqueue`."""

from producer.queue import QueueUnavailable, enqueue
from worker.contract.messages import Queue

__all__ = ["Queue", "QueueUnavailable", "enqueue"]
