"""A part's figures as a picture, the same bytes for the same figures."""

from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.benchmarks.producer.plot import STYLE

PANEL_INCHES = (4.5, 3.2)


def draw(part: ModuleType, figures: dict[str, Any], path: Path) -> None:
    """Have a part draw(axes, figures): into one panel, or into a list of them where it has PANELS, (rows, columns)."""
    rows, columns = getattr(part, "PANELS", (1, 1))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in panels:
            axes.set_axisbelow(True)
        part.draw(panels if len(panels) > 1 else panels[0], figures)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
