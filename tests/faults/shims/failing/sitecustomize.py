"""On a worker's PYTHONPATH: our own code fails in a way that nobody foresaw, while the file FAIL_WHILE is there."""

import os
import sys
from pathlib import Path


class Failing:
    """Changes worker.pipeline once it is imported."""

    def find_spec(self, name, *_):
        if name == "worker.tasks":
            sys.meta_path.remove(self)
            from worker.pipeline import Pipeline

            classify = Pipeline.classify

            def fail_or_classify(pipeline, *page_and_rollout):
                if Path(os.environ["FAIL_WHILE"]).exists():
                    raise RuntimeError("nobody foresaw this")
                return classify(pipeline, *page_and_rollout)

            Pipeline.classify = fail_or_classify


sys.meta_path.insert(0, Failing())
