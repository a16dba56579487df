"""A model that answers in a millisecond: what is measured is how pages wait for one another, not a network."""

from pathlib import Path

from worker.contract.settings import Settings
from worker.contract.taxonomy import Taxonomy

SIDE = 180


def publish_tiny(folder: Path, categories: Path, settings: Settings) -> Path:
    """Publish it as version 1; return the folder to serve."""
    # TensorFlow takes seconds and half a gigabyte, which no other part shall have beside it.
    from tests.integration.conftest import tiny_classifier
    from trainer.publishing.publish import publish
    from trainer.run import CATEGORIES, Run

    run = Run(
        folder=folder / "run",
        config_name="tiny",
        config={},
        data="none",
        plan="none",
        backbone="tiny, for the benchmark",
        seed=1,
        classes=[category.id for category in Taxonomy.from_csv(categories).level(3)],
        picture_side=SIDE,
        counts={"products": 0, "pictures": 0},
    )
    run.folder.mkdir()
    (run.folder / CATEGORIES).write_bytes(categories.read_bytes())
    publish(run, tiny_classifier(run), folder / "models", settings.model_name, 1, settings.database_url)
    return folder / "models"
