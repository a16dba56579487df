"""Write training data, in parallel and resumable: the same dump, tree, verdicts and recipe give the same bytes."""

import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from trainer.data import CATEGORIES, MANIFEST, Data
from trainer.prepare import manifest
from trainer.prepare.outline import Outline, plans
from trainer.prepare.selection import QUOTED, SelectionError
from trainer.prepare.shards import DONE, Plan, ShardError, write
from trainer.replacing import replacing

logger = logging.getLogger("trainer")

PLAN, UNDECODABLE = "plan.json", "undecodable.csv"


def prepare(
    outlined: Outline, folder: Path, advance: Callable[[int], None] = lambda _: None, processes: int | None = None
) -> Data:
    """Write the shards and their manifest to `folder`, which appears when all is done; `advance` is told pictures.

    What is unfinished stands in FOLDER.part, and the same call goes on from the shards that are whole. Raises
    SelectionError when the folder is taken, or a class has no picture that decodes; ShardError.
    """
    if folder.exists():
        raise SelectionError(f"{folder} exists: choose another --output, or remove it")
    draft = folder.with_name(f"{folder.name}.part")
    planned = list(plans(outlined, draft))
    facts = manifest.known(outlined, planned)
    try:
        _begin(draft, facts)
        shutil.copyfile(outlined.categories, draft / CATEGORIES)
        _write_all(planned, draft, advance, processes or os.cpu_count() or 1)
        complete = manifest.complete(facts, planned, draft / UNDECODABLE)
        _check_classes(outlined, complete, draft)
        (draft / MANIFEST).write_text(json.dumps(complete, indent=1))
    except OSError as error:
        raise ShardError(
            f"{draft} cannot be written ({error.strerror}): free some room and run the same command again"
        ) from error
    for path in (*draft.glob(f"*{DONE}"), draft / PLAN):
        path.unlink()
    draft.rename(folder)
    return Data.open(folder)


def _begin(draft: Path, facts: dict[str, Any]) -> None:
    plan = draft / PLAN
    if draft.exists() and (not plan.exists() or json.loads(plan.read_text()) != facts):
        raise SelectionError(f"{draft} holds another unfinished preparation: remove it, or choose another --output")
    draft.mkdir(parents=True, exist_ok=True)
    with replacing(plan) as partial:
        partial.write_text(json.dumps(facts))


def _write_all(planned: list[Plan], draft: Path, advance: Callable[[int], None], processes: int) -> None:
    """Write the shards that are not there yet."""
    if done := sum(plan.is_done() for plan in planned):
        logger.info("going on: %d of %d shards are written", done, len(planned))
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(processes, len(planned)), context) as pool:
            try:
                for pictures in pool.map(write, planned):
                    advance(pictures)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise ShardError(
            f"a process that wrote to {draft} was killed, perhaps for want of memory: run the same command again, with "
            "fewer --processes if need be"
        ) from error
    finally:  # of the processes that were stopped in the middle, by us or by whatever killed the last attempt
        for half in draft.glob("*.part"):
            half.unlink()


def _check_classes(outlined: Outline, complete: dict[str, Any], draft: Path) -> None:
    empty = [place for place, count in enumerate(complete["splits"]["train"]["counts"]) if not count]
    if not empty:
        return
    shutil.rmtree(draft)
    categories = [outlined.taxonomy.by_id[outlined.selection.classes[place]] for place in empty]
    named = ", ".join(f"{each.id} ({each.name})" for each in categories[:QUOTED])
    raise SelectionError(
        f"{len(empty)} categories have no picture to train on that decodes: {named}; leave them out with "
        + " ".join(f"--without {each.id}" for each in categories)
    )
