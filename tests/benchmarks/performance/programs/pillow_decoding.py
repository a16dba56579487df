"""Bare decoding with Pillow, in a loop: what a worker that sends pixels cannot do without.

python -m tests.benchmarks.performance.programs.pillow_decoding PICTURES_FOLDER

It answers {} with what all of the pictures took.
"""

import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.performance.programs.program import answer


def main() -> None:
    """Read the pictures, and decode all of them when asked to."""
    pictures = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]

    def decode() -> dict[str, float]:
        cpu = time.process_time()
        for data in pictures:
            with Image.open(io.BytesIO(data)) as image:
                np.asarray(image)
        return {"pictures_per_cpu_second": len(pictures) / (time.process_time() - cpu)}

    answer(decode)


if __name__ == "__main__":
    main()
