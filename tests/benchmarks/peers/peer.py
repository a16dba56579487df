"""The peers, in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One of them."""

    #: how many listings it is given: the slow ones fewer
    size: str
    #: ours over it
    target: float
    what: str
    lacks: str


PEERS = {
    "celery_task": Peer(
        "few",
        5,
        "one Celery task a product: late acknowledgement, retries, clients kept by each child",
        "the model is asked about one product at a time; a product whose child is killed is acknowledged and lost",
    ),
    "celery_batches": Peer(
        "few",
        3,
        "celery-batches: tasks sent one by one, 64 taken at once",
        "a batch that raises what it does not foresee is acknowledged and lost, one damaged picture with 63 products; "
        "it does not go with Celery 5.7",
    ),
    "ray_data": Peer(
        "many",
        1.5,
        "Ray Data: `read_mongo`, then `map_batches` with two actors",
        "no queue: a job over what is there, which begins anew when it fails, and takes nothing new meanwhile",
    ),
    "asyncio_loop": Peer(
        "many",
        0.8,
        "asyncio by hand: no queue, four batches of 64 under way, two threads that decode",
        "no queue: what is under way when it ends is nobody's, any error ends it, and a second one does the same work",
    ),
}
