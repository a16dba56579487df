"""What is said of prepared data: beforehand, so that two preparations can be compared, and in the end."""

import csv
import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data import FORMAT
from trainer.prepare.outline import Outline
from trainer.prepare.shards import Plan
from trainer.prepare.split import SPLITS

COLUMNS = ("product_id", "picture", "problem")


def known(outlined: Outline, plans: list[Plan]) -> dict[str, Any]:
    """Return what is known beforehand; two preparations with the same facts write the same bytes."""
    recipe = outlined.recipe.model_dump(mode="json")
    digest = hashlib.blake2b(json.dumps([recipe, outlined.selection.classes]).encode(), digest_size=16)
    digest.update(outlined.index.pictures)
    for plan in plans:
        digest.update(outlined.index.products[plan.rows].tobytes() + plan.labels.tobytes())
    outlined.index.release()
    return {
        "format": FORMAT,
        "dump": {"name": outlined.index.dump.name, "bytes": outlined.index.dump.stat().st_size},
        "recipe": recipe,
        "plan": digest.hexdigest(),
        "left_out": outlined.selection.left_out,
        "documents_left_out": dict(sorted(outlined.index.left_out.items())),
        "labels_corrected": outlined.selection.corrected,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("shelver", "numpy", "pillow", "scipy", "xxhash")},
        },
        "classes": outlined.selection.classes,
    }


def complete(facts: dict[str, Any], plans: Iterable[Plan], undecodable: Path) -> dict[str, Any]:
    """Return the manifest of shards that are all written, and list the pictures that are not in them as CSV.

    What became of each shard is read from beside it, one at a time: that of all would be megabytes.
    """
    counts = {name: np.zeros(len(facts["classes"]), np.int64) for name in SPLITS}
    splits: dict[str, dict[str, Any]] = {name: {"products": 0, "pictures": 0, "shards": []} for name in SPLITS}
    shards, left_out, without_picture = {}, 0, 0
    with undecodable.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for plan in plans:
            name, written = plan.path.name.partition("-")[0], plan.written()
            splits[name]["products"] += written.products
            splits[name]["pictures"] += written.pictures
            splits[name]["shards"].append(plan.path.name)
            for place, count in written.counts.items():
                counts[name][int(place)] += count
            shards[plan.path.name] = {"bytes": written.bytes, "xxh3_128": written.digest}
            writer.writerows(written.undecodable)
            left_out += len(written.undecodable)
            without_picture += written.without_picture
    return {
        **facts,
        "undecodable_pictures": left_out,
        "products_without_picture": without_picture,
        "splits": {name: {**each, "counts": counts[name].tolist()} for name, each in splits.items()},
        "shards": shards,
    }
