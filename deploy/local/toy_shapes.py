"""The toy catalog's shelves: names as the real tree writes them, and how a thing of each is drawn.

A drawing is a list of parts, painted first to last, in a unit square: x to the right, y down, 0..1. A part
names the role of its colour, never the colour: what a thing is must show in its form. Roles: body and trim
(random for each product), shade and tint (darker and lighter body), dark, metal, paper, and ground (a hole).
"""

from dataclasses import dataclass, replace
from math import cos, pi, radians, sin

Point = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """One outline in one colour."""

    role: str
    points: tuple[Point, ...]
    #: Of the stroke, in unit lengths; 0 fills the outline instead.
    width: float = 0.0
    #: 0: always drawn; n: by the half of the products that has trait n; -n: by the other half.
    trait: int = 0


@dataclass(frozen=True)
class Shelf:
    """A level-3 category and the things on it."""

    id: int
    level1: str
    level2: str
    level3: str
    parts: tuple[Part, ...]


def polygon(role: str, *numbers: float) -> Part:
    """Fill the outline through x, y, x, y, …."""
    return Part(role, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def line(role: str, width: float, *numbers: float) -> Part:
    """Stroke the way through x, y, x, y, …."""
    return replace(polygon(role, *numbers), width=width)


def arc(role: str, width: float, x: float, y: float, rx: float, ry: float, start: float, end: float) -> Part:
    """Stroke an ellipse's edge from `start` to `end`, degrees clockwise from the right."""
    circle = (polar(0, 0, 1, start + (end - start) * step / 32) for step in range(33))
    return Part(role, tuple((x + rx * u, y + ry * v) for u, v in circle), width)


def sector(role: str, x: float, y: float, rx: float, ry: float, start: float, end: float) -> Part:
    """Fill between an ellipse's edge from `start` to `end` degrees and the chord that closes it."""
    return replace(arc(role, 0.0, x, y, rx, ry, start, end), width=0.0)


def ellipse(role: str, x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Part:
    """Fill an ellipse around (x, y), turned by `turn` degrees."""
    around = sector(role, 0, 0, rx, ry, 0, 360).points
    across, along = cos(radians(turn)), sin(radians(turn))
    return Part(role, tuple((x + u * across - v * along, y + u * along + v * across) for u, v in around))


def box(role: str, left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Part:
    """Fill a rectangle with rounded corners."""
    corners = ((right, bottom, 0), (left, bottom, 90), (left, top, 180), (right, top, 270))
    points: list[Point] = []
    for x, y, start in corners:
        middle = (x + radius * (-1 if x == right else 1), y + radius * (-1 if y == bottom else 1))
        points += sector(role, *middle, radius, radius, start, start + 90).points if radius else [(x, y)]
    return Part(role, tuple(points))


def dots(role: str, radius: float, *numbers: float) -> tuple[Part, ...]:
    """Fill a disc at each of x, y, x, y, …."""
    return tuple(ellipse(role, x, y, radius, radius) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def when(trait: int, *parts: Part) -> tuple[Part, ...]:
    """Only products with this trait (negative: without it) have these parts."""
    return tuple(replace(part, trait=trait) for part in parts)


def wider(factor: float, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Stretch a drawing across, around its middle."""
    return tuple(replace(part, points=tuple((0.5 + (x - 0.5) * factor, y) for x, y in part.points)) for part in parts)


def polar(x: float, y: float, radius: float, angle: float) -> Point:
    """Return the point at `radius` from (x, y), degrees clockwise from the right."""
    return x + radius * cos(radians(angle)), y + radius * sin(radians(angle))


def round_about(
    x: float, y: float, radius: float, count: int, start: float = -90.0
) -> list[tuple[float, float, float]]:
    """Return (x, y, degrees) of `count` places evenly on a circle, from the top on."""
    angles = [start + 360 * step / count for step in range(count)]
    return [(*polar(x, y, radius, angle), angle) for angle in angles]


def star(role: str, x: float, y: float, radius: float, points: int, inner: float) -> Part:
    """Fill a star, or with inner = cos(pi / points) a regular polygon."""
    corners = range(2 * points)
    radii = [radius * (inner if corner % 2 else 1) for corner in corners]
    return Part(role, tuple(polar(x, y, radii[corner], -90 + 180 * corner / points) for corner in corners))


def hands(x: float, y: float, length: float) -> tuple[Part, ...]:
    """Two hands of a clock, at ten past ten."""
    hour = line("dark", length * 0.14, x, y, x - length * 0.55, y - length * 0.4)
    return hour, line("dark", length * 0.1, x, y, x + length * 0.7, y - length * 0.6)


def wheel(x: float, y: float, radius: float) -> tuple[Part, ...]:
    """Tyre, rim and hub of a car or lorry."""
    sizes = (("dark", 1.0), ("metal", 0.55), ("dark", 0.18))
    return tuple(ellipse(role, x, y, radius * size, radius * size) for role, size in sizes)


def spoked(x: float, y: float, radius: float) -> tuple[Part, ...]:
    """A bicycle's wheel."""
    spokes = (line("metal", 0.006, x, y, u, v) for u, v, _ in round_about(x, y, radius, 12))
    return (*spokes, arc("dark", 0.035, x, y, radius, radius, 0, 360), ellipse("dark", x, y, 0.025, 0.025))


def ball(radius: float, angle: float) -> Point:
    """Return a point on a ball in the middle of the square."""
    return polar(0.5, 0.5, radius, angle)


def boots(top: float) -> tuple[Part, ...]:
    """A pair seen from the side, the toes to the right."""
    return (*_boot(0.1, top), *_boot(0.52, top))


def _boot(left: float, top: float) -> tuple[Part, ...]:
    leg = (0.0, top, 0.22, top, 0.23, 0.58, 0.34, 0.68, 0.42, 0.74, 0.43, 0.86, 0.0, 0.86)
    laces = [y for y in (0.3, 0.38, 0.46, 0.54) if y > top + 0.1]
    return (
        polygon("body", *(number + left * (1 - place % 2) for place, number in enumerate(leg))),
        box("dark", left, 0.84, left + 0.44, 0.9, 0.02),
        box("dark", left, 0.84, left + 0.14, 0.95),
        box("shade", left - 0.01, top, left + 0.23, top + 0.07, 0.02),
        *when(1, *(line("trim", 0.02, left + 0.14, y, left + 0.24, y + 0.03) for y in laces)),
        *when(2, box("trim", left, 0.6, left + 0.23, 0.66)),
    )


def table(floor: float) -> tuple[Part, ...]:
    """A table whose front legs end at y = floor."""
    return (
        *(line("shade", 0.045, x, 0.5, x, floor - 0.16) for x in (0.24, 0.76)),
        *when(1, box("shade", 0.06, 0.46, 0.94, 0.56)),
        *(line("body", 0.06, x, 0.5, x, floor) for x in (0.08, 0.92)),
        polygon("tint", 0.2, 0.3, 0.8, 0.3, 0.99, 0.46, 0.01, 0.46),
        box("body", 0.01, 0.46, 0.99, 0.5),
        *when(2, polygon("trim", 0.42, 0.3, 0.58, 0.3, 0.62, 0.46, 0.38, 0.46), box("trim", 0.38, 0.46, 0.62, 0.6)),
    )


MUG = (
    arc("body", 0.075, 0.68, 0.52, 0.19, 0.19, -100, 100),
    box("body", 0.16, 0.2, 0.68, 0.88, 0.07),
    ellipse("tint", 0.42, 0.21, 0.26, 0.06),
    ellipse("dark", 0.42, 0.22, 0.22, 0.042),
    *when(1, box("trim", 0.16, 0.45, 0.68, 0.62)),
    *when(-1, star("trim", 0.42, 0.56, 0.14, 5, 0.45)),
    *when(2, *(arc("metal", 0.012, x, 0.1, 0.025, 0.05, 90, 270) for x in (0.34, 0.42, 0.5))),
)

CUP = (ellipse("shade", 0.45, 0.89, 0.42, 0.07), ellipse("trim", 0.45, 0.88, 0.42, 0.06), *MUG)

PLATE = (
    ellipse("shade", 0.5, 0.51, 0.34, 0.34),
    ellipse("body", 0.5, 0.5, 0.34, 0.34),
    *when(1, arc("trim", 0.02, 0.5, 0.5, 0.31, 0.31, 0, 360)),
    *when(2, *(ellipse("trim", x, y, 0.022, 0.022) for x, y, _ in round_about(0.5, 0.5, 0.28, 14))),
    ellipse("shade", 0.5, 0.5, 0.23, 0.23),
    ellipse("tint", 0.5, 0.505, 0.215, 0.215),
    line("metal", 0.03, 0.07, 0.4, 0.07, 0.85),
    *(line("metal", 0.014, x, 0.18, x, 0.36) for x in (0.035, 0.07, 0.105)),
    line("metal", 0.022, 0.035, 0.37, 0.07, 0.41, 0.105, 0.37),
    line("metal", 0.03, 0.93, 0.5, 0.93, 0.85),
    polygon("metal", 0.915, 0.52, 0.915, 0.18, 0.95, 0.2, 0.975, 0.32, 0.965, 0.52),
)

BOTTLE = (
    box("body", 0.33, 0.42, 0.67, 0.96, 0.04),
    box("body", 0.44, 0.1, 0.56, 0.5),
    *when(1, sector("body", 0.5, 0.46, 0.17, 0.15, 180, 360)),
    *when(-1, polygon("body", 0.44, 0.2, 0.56, 0.2, 0.67, 0.46, 0.33, 0.46)),
    box("dark", 0.43, 0.04, 0.57, 0.14, 0.015),
    box("paper", 0.33, 0.56, 0.67, 0.82),
    box("trim", 0.33, 0.58, 0.67, 0.64),
    *when(2, *(line("dark", 0.012, 0.38, y, 0.62, y) for y in (0.69, 0.73, 0.77))),
    line("tint", 0.025, 0.375, 0.46, 0.375, 0.54),
)

POT = (
    box("body", 0.06, 0.42, 0.62, 0.8, 0.08),
    box("shade", 0.06, 0.7, 0.62, 0.8, 0.05),
    box("metal", 0.04, 0.39, 0.64, 0.45, 0.02),
    *when(1, sector("metal", 0.34, 0.4, 0.29, 0.13, 180, 360), box("dark", 0.29, 0.21, 0.39, 0.28, 0.02)),
    *when(-1, ellipse("metal", 0.34, 0.4, 0.3, 0.06), ellipse("shade", 0.34, 0.41, 0.27, 0.045)),
)

SAUCEPAN = (box("dark", 0.6, 0.44, 0.98, 0.52, 0.04), ellipse("ground", 0.94, 0.48, 0.015, 0.015), *POT)

STOCKPOT = (*POT, *(arc("dark", 0.03, x, 0.55, 0.06, 0.05, 0, 360) for x in (0.05, 0.63)))

TEAPOT = (
    arc("body", 0.055, 0.76, 0.58, 0.16, 0.17, -110, 110),
    polygon("body", 0.3, 0.72, 0.16, 0.6, 0.03, 0.36, 0.12, 0.32, 0.2, 0.44, 0.34, 0.52),
    ellipse("body", 0.5, 0.62, 0.28, 0.25),
    box("shade", 0.36, 0.83, 0.64, 0.89, 0.02),
    sector("shade", 0.5, 0.4, 0.16, 0.09, 180, 360),
    ellipse("trim", 0.5, 0.28, 0.035, 0.035),
    *when(1, *(ellipse("trim", x, y, 0.03, 0.03) for x, y, _ in round_about(0.5, 0.62, 0.12, 6))),
    *when(-1, box("trim", 0.225, 0.58, 0.775, 0.66)),
)

TABLE_LAMP = (
    line("metal", 0.035, 0.5, 0.45, 0.5, 0.88),
    *when(1, ellipse("trim", 0.5, 0.7, 0.13, 0.17)),
    *when(-1, box("trim", 0.45, 0.52, 0.55, 0.88, 0.03)),
    ellipse("dark", 0.5, 0.9, 0.2, 0.045),
    *when(
        2, polygon("body", 0.34, 0.06, 0.66, 0.06, 0.86, 0.48, 0.14, 0.48), line("shade", 0.02, 0.14, 0.48, 0.86, 0.48)
    ),
    *when(
        -2,
        polygon("body", 0.24, 0.08, 0.76, 0.08, 0.82, 0.46, 0.18, 0.46),
        line("trim", 0.025, 0.185, 0.44, 0.815, 0.44),
    ),
    line("tint", 0.03, 0.36, 0.13, 0.29, 0.41),
)

PENDANT_LAMP = (
    line("dark", 0.02, 0.5, 0.0, 0.5, 0.36),
    box("dark", 0.4, 0.0, 0.6, 0.035),
    ellipse("paper", 0.5, 0.76, 0.11, 0.1),
    arc("metal", 0.01, 0.5, 0.76, 0.11, 0.1, 0, 360),
    *when(1, sector("body", 0.5, 0.74, 0.4, 0.4, 180, 360), arc("tint", 0.03, 0.5, 0.74, 0.33, 0.33, 190, 230)),
    *when(
        -1, polygon("body", 0.44, 0.36, 0.56, 0.36, 0.9, 0.74, 0.1, 0.74), line("tint", 0.02, 0.44, 0.42, 0.24, 0.66)
    ),
    box("metal", 0.45, 0.28, 0.55, 0.38, 0.01),
    line("shade", 0.03, 0.1, 0.74, 0.9, 0.74),
)

CANDLE = (
    *when(1, ellipse("metal", 0.5, 0.92, 0.36, 0.06), arc("metal", 0.03, 0.88, 0.88, 0.07, 0.06, 0, 360)),
    *when(-1, polygon("trim", 0.26, 0.84, 0.74, 0.84, 0.66, 0.97, 0.34, 0.97)),
    box("body", 0.36, 0.36, 0.64, 0.92, 0.02),
    ellipse("tint", 0.5, 0.365, 0.14, 0.04),
    *when(2, line("tint", 0.04, 0.39, 0.38, 0.39, 0.56), line("tint", 0.04, 0.57, 0.39, 0.57, 0.48)),
    line("dark", 0.016, 0.5, 0.36, 0.5, 0.27),
    polygon("trim", 0.5, 0.03, 0.56, 0.14, 0.575, 0.22, 0.54, 0.28, 0.5, 0.3, 0.46, 0.28, 0.425, 0.22, 0.44, 0.14),
    polygon("paper", 0.5, 0.14, 0.53, 0.22, 0.5, 0.28, 0.47, 0.22),
)

CLOCK = (
    *when(1, ellipse("body", 0.5, 0.5, 0.46, 0.46)),
    *when(-1, box("body", 0.06, 0.06, 0.94, 0.94, 0.08)),
    ellipse("paper", 0.5, 0.5, 0.38, 0.38),
    *(line("dark", 0.022, x, y, x * 0.9 + 0.05, y * 0.9 + 0.05) for x, y, _ in round_about(0.5, 0.5, 0.34, 12)),
    *hands(0.5, 0.5, 0.34),
    line("trim", 0.012, 0.5, 0.5, 0.52, 0.8),
    ellipse("dark", 0.5, 0.5, 0.03, 0.03),
)

CHAIR = (
    line("shade", 0.05, 0.64, 0.56, 0.64, 0.84),
    line("body", 0.055, 0.22, 0.08, 0.22, 0.9),
    line("body", 0.055, 0.64, 0.05, 0.64, 0.56),
    *when(1, *(line("body", 0.05, 0.22, y, 0.64, y - 0.03) for y in (0.12, 0.25, 0.38))),
    *when(-1, line("body", 0.07, 0.22, 0.11, 0.64, 0.08), line("body", 0.04, 0.22, 0.42, 0.64, 0.39)),
    *when(-1, *(line("shade", 0.03, x, 0.1, x, 0.42) for x in (0.33, 0.43, 0.53))),
    polygon("trim", 0.19, 0.56, 0.64, 0.53, 0.85, 0.62, 0.38, 0.67),
    polygon("shade", 0.19, 0.56, 0.38, 0.67, 0.85, 0.62, 0.85, 0.67, 0.38, 0.72, 0.19, 0.61),
    line("body", 0.055, 0.4, 0.7, 0.4, 0.97),
    line("body", 0.055, 0.82, 0.66, 0.82, 0.93),
)

BED = (
    *(box("dark", x, 0.84, x + 0.05, 0.94) for x in (0.06, 0.89)),
    box("shade", 0.1, 0.14, 0.9, 0.6, 0.05),
    *when(1, *(line("dark", 0.02, x, 0.18, x, 0.5) for x in (0.22, 0.36, 0.5, 0.64, 0.78))),
    polygon("paper", 0.12, 0.44, 0.88, 0.44, 0.97, 0.72, 0.03, 0.72),
    box("tint", 0.17, 0.36, 0.47, 0.5, 0.05),
    box("tint", 0.53, 0.36, 0.83, 0.5, 0.05),
    polygon("body", 0.09, 0.54, 0.91, 0.54, 0.98, 0.74, 0.02, 0.74),
    box("body", 0.02, 0.73, 0.98, 0.86, 0.03),
    polygon("trim", 0.1, 0.52, 0.9, 0.52, 0.92, 0.58, 0.08, 0.58),
    *when(2, polygon("trim", 0.045, 0.66, 0.955, 0.66, 0.98, 0.73, 0.02, 0.73)),
)

CHEST = (
    *(box("dark", x, 0.86, x + 0.07, 0.96) for x in (0.14, 0.79)),
    box("body", 0.1, 0.14, 0.9, 0.88),
    box("shade", 0.06, 0.1, 0.94, 0.17, 0.02),
    *(box("tint", 0.15, y, 0.85, y + 0.19, 0.01) for y in (0.21, 0.43, 0.65)),
    *when(1, *(ellipse("dark", x, y, 0.025, 0.025) for x in (0.32, 0.68) for y in (0.305, 0.525, 0.745))),
    *when(-1, *(box("metal", 0.4, y, 0.6, y + 0.03, 0.01) for y in (0.29, 0.51, 0.73))),
)

T_SHIRT = (
    polygon(
        "body",
        *(0.36, 0.09, 0.5, 0.12, 0.64, 0.09, 0.79, 0.15, 0.98, 0.39, 0.84, 0.5, 0.75, 0.4, 0.75, 0.94),
        *(0.25, 0.94, 0.25, 0.4, 0.16, 0.5, 0.02, 0.39, 0.21, 0.15),
    ),
    sector("ground", 0.5, 0.09, 0.14, 0.11, 0, 180),
    arc("shade", 0.025, 0.5, 0.09, 0.14, 0.11, 0, 180),
    line("shade", 0.012, 0.75, 0.28, 0.75, 0.42),
    line("shade", 0.012, 0.25, 0.28, 0.25, 0.42),
    *when(1, star("trim", 0.5, 0.48, 0.14, 5, 0.45)),
    *when(2, *(box("trim", 0.25, y, 0.75, y + 0.05) for y in (0.66, 0.76, 0.86))),
    *when(3, line("trim", 0.03, 0.85, 0.48, 0.965, 0.39), line("trim", 0.03, 0.15, 0.48, 0.035, 0.39)),
)

DRESS = (
    polygon(
        "body",
        *(0.36, 0.03, 0.41, 0.03, 0.44, 0.15, 0.5, 0.18, 0.56, 0.15, 0.59, 0.03, 0.64, 0.03, 0.66, 0.2),
        *(0.61, 0.42, 0.88, 0.93, 0.7, 0.96, 0.5, 0.97, 0.3, 0.96, 0.12, 0.93, 0.39, 0.42, 0.34, 0.2),
    ),
    *(line("shade", 0.014, x * 0.3 + 0.35, 0.5, x, 0.93) for x in (0.28, 0.43, 0.57, 0.72)),
    polygon("trim", 0.39, 0.39, 0.61, 0.39, 0.625, 0.46, 0.375, 0.46),
    *when(1, *dots("tint", 0.025, 0.45, 0.27, 0.56, 0.3, 0.5, 0.6, 0.36, 0.72)),
    *when(1, *dots("tint", 0.025, 0.62, 0.7, 0.5, 0.84, 0.25, 0.86, 0.76, 0.86)),
    *when(2, polygon("trim", 0.16, 0.86, 0.84, 0.86, 0.88, 0.93, 0.7, 0.96, 0.5, 0.97, 0.3, 0.96, 0.12, 0.93)),
)

LEGWEAR = (
    polygon(
        "body",
        *(0.28, 0.05, 0.72, 0.05, 0.79, 0.5, 0.78, 0.96, 0.58, 0.96, 0.5, 0.36),
        *(0.42, 0.96, 0.22, 0.96, 0.21, 0.5),
    ),
    polygon("shade", 0.28, 0.04, 0.72, 0.04, 0.73, 0.11, 0.27, 0.11),
    line("shade", 0.014, 0.5, 0.1, 0.5, 0.34),
    line("shade", 0.014, 0.28, 0.22, 0.36, 0.19, 0.38, 0.11),
    line("shade", 0.014, 0.72, 0.22, 0.64, 0.19, 0.62, 0.11),
    *when(1, box("trim", 0.27, 0.045, 0.73, 0.1), box("metal", 0.46, 0.035, 0.54, 0.11)),
)

TROUSERS = (
    *LEGWEAR,
    *when(2, line("trim", 0.03, 0.245, 0.4, 0.245, 0.95), line("trim", 0.03, 0.755, 0.4, 0.755, 0.95)),
    *when(-2, line("shade", 0.012, 0.32, 0.4, 0.31, 0.93), line("shade", 0.012, 0.68, 0.4, 0.69, 0.93)),
)

JEANS = (
    *LEGWEAR,
    *(line("tint", 0.014, x, 0.12, 0.5 + (x - 0.5) * 1.15, 0.95) for x in (0.26, 0.74)),
    *(line("tint", 0.014, x, 0.91, x + 0.18, 0.91) for x in (0.23, 0.59)),
    *when(2, *(ellipse("tint", x, 0.58, 0.06, 0.13) for x in (0.33, 0.67))),
    *dots("metal", 0.014, 0.3, 0.2, 0.37, 0.13, 0.7, 0.2, 0.63, 0.13),
)

HAT = (
    ellipse("body", 0.5, 0.72, 0.48, 0.13),
    ellipse("shade", 0.5, 0.7, 0.3, 0.08),
    *when(1, polygon("body", 0.22, 0.7, 0.28, 0.26, 0.42, 0.2, 0.5, 0.25, 0.58, 0.2, 0.72, 0.26, 0.78, 0.7)),
    *when(-1, box("body", 0.25, 0.16, 0.75, 0.72, 0.06), ellipse("tint", 0.5, 0.2, 0.24, 0.05)),
    *when(1, polygon("trim", 0.235, 0.56, 0.765, 0.56, 0.78, 0.7, 0.22, 0.7)),
    *when(-1, box("trim", 0.25, 0.56, 0.75, 0.68)),
    sector("body", 0.5, 0.69, 0.34, 0.09, 0, 180),
)

TIE = (
    polygon("body", 0.44, 0.16, 0.56, 0.16, 0.66, 0.8, 0.5, 0.97, 0.34, 0.8),
    *when(
        1,
        *(
            polygon("trim", 0.49 - y / 7, y, 0.51 + y / 7, y + 0.1, 0.52 + y / 7, y + 0.16, 0.48 - y / 7, y + 0.06)
            for y in (0.26, 0.42, 0.58)
        ),
    ),
    *when(-1, *dots("trim", 0.018, 0.5, 0.25, 0.47, 0.36, 0.54, 0.42, 0.46, 0.52)),
    *when(-1, *dots("trim", 0.018, 0.55, 0.58, 0.44, 0.67, 0.53, 0.74, 0.5, 0.88)),
    polygon("shade", 0.41, 0.03, 0.59, 0.03, 0.56, 0.17, 0.44, 0.17),
)

RING = (
    arc("body", 0.075, 0.5, 0.64, 0.3, 0.3, 0, 360),
    arc("tint", 0.02, 0.5, 0.64, 0.31, 0.31, 110, 200),
    *when(1, polygon("trim", 0.36, 0.06, 0.64, 0.06, 0.75, 0.17, 0.5, 0.4, 0.25, 0.17)),
    *when(1, line("paper", 0.012, 0.25, 0.17, 0.75, 0.17), line("paper", 0.012, 0.41, 0.17, 0.5, 0.38, 0.59, 0.17)),
    *when(1, line("paper", 0.012, 0.36, 0.07, 0.41, 0.17, 0.5, 0.07, 0.59, 0.17, 0.64, 0.07)),
    *when(-1, ellipse("metal", 0.5, 0.25, 0.16, 0.16), ellipse("trim", 0.5, 0.25, 0.13, 0.13)),
    *when(-1, ellipse("paper", 0.45, 0.2, 0.03, 0.025)),
)

WATCH = (
    polygon("body", 0.37, 0.3, 0.4, 0.02, 0.6, 0.02, 0.63, 0.3, 0.63, 0.7, 0.6, 0.98, 0.4, 0.98, 0.37, 0.7),
    *(ellipse("dark", 0.5, y, 0.015, 0.015) for y in (0.82, 0.88, 0.94)),
    box("metal", 0.4, 0.02, 0.6, 0.07, 0.01),
    box("metal", 0.76, 0.47, 0.82, 0.53, 0.01),
    *when(1, ellipse("metal", 0.5, 0.5, 0.28, 0.28), ellipse("paper", 0.5, 0.5, 0.23, 0.23)),
    *when(-1, box("metal", 0.24, 0.24, 0.76, 0.76, 0.07), box("paper", 0.29, 0.29, 0.71, 0.71, 0.04)),
    *(line("trim", 0.018, x, y, x * 0.9 + 0.05, y * 0.9 + 0.05) for x, y, _ in round_about(0.5, 0.5, 0.2, 12)),
    *hands(0.5, 0.5, 0.2),
)

SUNGLASSES = (
    line("body", 0.045, 0.08, 0.44, 0.16, 0.26, 0.3, 0.2),
    line("body", 0.045, 0.92, 0.44, 0.84, 0.26, 0.7, 0.2),
    arc("body", 0.035, 0.5, 0.5, 0.09, 0.07, 190, 350),
    *when(1, ellipse("body", 0.26, 0.56, 0.21, 0.19), ellipse("body", 0.74, 0.56, 0.21, 0.19)),
    *when(1, ellipse("dark", 0.26, 0.56, 0.17, 0.15), ellipse("dark", 0.74, 0.56, 0.17, 0.15)),
    *when(-1, box("body", 0.05, 0.4, 0.46, 0.73, 0.1), box("body", 0.54, 0.4, 0.95, 0.73, 0.1)),
    *when(-1, box("dark", 0.09, 0.44, 0.42, 0.69, 0.08), box("dark", 0.58, 0.44, 0.91, 0.69, 0.08)),
    *(line("metal", 0.025, x, 0.58, x + 0.1, 0.48) for x in (0.17, 0.65)),
)

HAMMER = (
    line("body", 0.09, 0.45, 0.2, 0.45, 0.94),
    line("shade", 0.105, 0.45, 0.66, 0.45, 0.94),
    *when(1, *(line("trim", 0.014, 0.4, y, 0.5, y) for y in (0.7, 0.76, 0.82, 0.88))),
    box("metal", 0.36, 0.1, 0.56, 0.28, 0.02),
    box("metal", 0.14, 0.08, 0.28, 0.3, 0.02),
    box("dark", 0.28, 0.13, 0.38, 0.25),
    polygon("metal", 0.55, 0.11, 0.7, 0.09, 0.84, 0.16, 0.92, 0.32, 0.78, 0.23, 0.66, 0.23, 0.55, 0.27),
)

SAW = (
    polygon(
        "metal",
        *(0.68, 0.34, 0.02, 0.5, 0.02, 0.57),
        *(number for step in range(22) for number in (0.03 + 0.03 * step, 0.6 + 0.0045 * step + 0.025 * (step % 2))),
    ),
    polygon("body", 0.64, 0.32, 0.74, 0.27, 0.92, 0.28, 0.98, 0.4, 0.9, 0.5, 0.97, 0.72, 0.84, 0.76, 0.66, 0.72),
    polygon("ground", 0.74, 0.4, 0.85, 0.38, 0.83, 0.5, 0.87, 0.65, 0.76, 0.65),
    *(ellipse("dark", 0.69, y, 0.015, 0.015) for y in (0.4, 0.52, 0.64)),
    *when(1, line("trim", 0.03, 0.12, 0.53, 0.6, 0.45)),
)

SHOVEL = (
    line("body", 0.06, 0.5, 0.12, 0.5, 0.66),
    line("trim", 0.045, 0.4, 0.05, 0.6, 0.05),
    line("trim", 0.03, 0.4, 0.05, 0.43, 0.15, 0.5, 0.21, 0.57, 0.15, 0.6, 0.05),
    *when(1, polygon("metal", 0.33, 0.56, 0.67, 0.56, 0.69, 0.78, 0.6, 0.91, 0.5, 0.98, 0.4, 0.91, 0.31, 0.78)),
    *when(-1, box("metal", 0.32, 0.57, 0.68, 0.95, 0.04)),
    line("dark", 0.014, 0.5, 0.62, 0.5, 0.84),
    box("metal", 0.455, 0.46, 0.545, 0.6, 0.01),
)

FLOWER = (
    line("shade", 0.035, 0.5, 0.4, 0.48, 0.7, 0.5, 0.97),
    ellipse("shade", 0.36, 0.76, 0.14, 0.05, 30),
    ellipse("shade", 0.64, 0.7, 0.14, 0.05, -30),
    *when(1, *(ellipse("body", x, y, 0.15, 0.075, angle) for x, y, angle in round_about(0.5, 0.32, 0.17, 8))),
    *when(-1, *(ellipse("body", x, y, 0.12, 0.11, angle) for x, y, angle in round_about(0.5, 0.32, 0.17, 5))),
    ellipse("trim", 0.5, 0.32, 0.1, 0.1),
    *when(2, *(ellipse("dark", x, y, 0.01, 0.01) for x, y, _ in round_about(0.5, 0.32, 0.06, 8))),
)

CACTUS = (
    line("body", 0.1, 0.5, 0.56, 0.25, 0.56, 0.25, 0.34),
    line("body", 0.1, 0.5, 0.64, 0.75, 0.64, 0.75, 0.44),
    line("body", 0.2, 0.5, 0.16, 0.5, 0.78),
    *(line("shade", 0.012, x, 0.14, x, 0.74) for x in (0.45, 0.5, 0.55)),
    *(
        line("dark", 0.008, x, y, x + 0.03, y - 0.015)
        for x in (0.42, 0.48, 0.55)
        for y in (0.16, 0.28, 0.4, 0.52, 0.64)
    ),
    *(line("dark", 0.008, x, y, x + 0.03, y - 0.015) for x in (0.22, 0.72) for y in (0.38, 0.46, 0.54)),
    *when(1, *(ellipse("trim", x, y, 0.05, 0.03, angle) for x, y, angle in round_about(0.5, 0.07, 0.04, 5))),
    polygon("trim", 0.3, 0.74, 0.7, 0.74, 0.65, 0.97, 0.35, 0.97),
    box("trim", 0.27, 0.71, 0.73, 0.78, 0.01),
    line("dark", 0.012, 0.28, 0.785, 0.72, 0.785),
)

FIR = (
    box("dark", 0.45, 0.84, 0.55, 0.97),
    polygon("shade", 0.5, 0.42, 0.9, 0.87, 0.7, 0.84, 0.5, 0.87, 0.3, 0.84, 0.1, 0.87),
    polygon("body", 0.5, 0.24, 0.82, 0.64, 0.66, 0.62, 0.5, 0.65, 0.34, 0.62, 0.18, 0.64),
    polygon("tint", 0.5, 0.05, 0.73, 0.4, 0.6, 0.38, 0.5, 0.41, 0.4, 0.38, 0.27, 0.4),
    *when(1, *dots("trim", 0.03, 0.44, 0.3, 0.57, 0.34, 0.36, 0.55, 0.52, 0.52)),
    *when(1, *dots("trim", 0.03, 0.66, 0.58, 0.28, 0.78, 0.48, 0.75, 0.7, 0.78)),
    *when(1, star("trim", 0.5, 0.06, 0.07, 5, 0.4)),
)

LAPTOP = (
    box("dark", 0.14, 0.12, 0.86, 0.64, 0.03),
    box("tint", 0.17, 0.16, 0.83, 0.6),
    *when(1, polygon("trim", 0.17, 0.6, 0.36, 0.36, 0.5, 0.5, 0.64, 0.32, 0.83, 0.6)),
    *when(-1, box("trim", 0.22, 0.22, 0.54, 0.5), *(line("dark", 0.014, 0.6, y, 0.78, y) for y in (0.26, 0.34, 0.42))),
    polygon("body", 0.14, 0.65, 0.86, 0.65, 0.99, 0.86, 0.01, 0.86),
    polygon("dark", 0.17, 0.67, 0.83, 0.67, 0.89, 0.77, 0.11, 0.77),
    *(line("metal", 0.008, 0.15 - y, 0.67 + y, 0.85 + y, 0.67 + y) for y in (0.03, 0.065)),
    *(
        line("metal", 0.008, x, 0.67, 0.5 + (x - 0.5) * 1.2, 0.77)
        for x in (0.24, 0.31, 0.38, 0.45, 0.52, 0.59, 0.66, 0.73)
    ),
    polygon("shade", 0.41, 0.79, 0.59, 0.79, 0.61, 0.845, 0.39, 0.845),
    box("shade", 0.01, 0.86, 0.99, 0.89, 0.01),
)

KEYBOARD = (
    box("shade", 0.01, 0.31, 0.99, 0.72, 0.03),
    box("body", 0.01, 0.29, 0.99, 0.7, 0.03),
    *when(
        1,
        *(
            box("dark", x / 100, y, x / 100 + 0.06, y + 0.065, 0.01)
            for x in range(4, 92, 8)
            for y in (0.33, 0.42, 0.51)
        ),
    ),
    *when(
        -1,
        *(
            box("paper", x / 100, y, x / 100 + 0.06, y + 0.065, 0.01)
            for x in range(4, 92, 8)
            for y in (0.33, 0.42, 0.51)
        ),
    ),
    *(box("trim", x, 0.6, x + 0.1, 0.665, 0.01) for x in (0.04, 0.16, 0.76, 0.88)),
    *when(1, box("dark", 0.28, 0.6, 0.74, 0.665, 0.01)),
    *when(-1, box("paper", 0.28, 0.6, 0.74, 0.665, 0.01)),
)

SMARTPHONE = (
    box("body", 0.26, 0.02, 0.74, 0.98, 0.07),
    box("dark", 0.285, 0.045, 0.715, 0.955, 0.05),
    *when(1, box("tint", 0.3, 0.1, 0.7, 0.86), ellipse("metal", 0.5, 0.91, 0.03, 0.03)),
    *when(-1, box("tint", 0.3, 0.06, 0.7, 0.94, 0.04), box("dark", 0.42, 0.06, 0.58, 0.09, 0.01)),
    *(box("trim", x, y, x + 0.07, y + 0.07, 0.015) for x in (0.34, 0.465, 0.59) for y in (0.4, 0.52, 0.64)),
    *(box("paper", x, 0.77, x + 0.07, 0.84, 0.015) for x in (0.34, 0.465, 0.59)),
    line("paper", 0.02, 0.38, 0.22, 0.62, 0.22),
    line("paper", 0.012, 0.43, 0.28, 0.57, 0.28),
)

HEADPHONES = (
    arc("body", 0.075, 0.5, 0.5, 0.37, 0.42, 180, 360),
    arc("shade", 0.025, 0.5, 0.5, 0.33, 0.37, 200, 340),
    line("metal", 0.035, 0.13, 0.48, 0.15, 0.62),
    line("metal", 0.035, 0.87, 0.48, 0.85, 0.62),
    box("dark", 0.17, 0.5, 0.31, 0.88, 0.06),
    box("dark", 0.69, 0.5, 0.83, 0.88, 0.06),
    *when(1, ellipse("trim", 0.14, 0.69, 0.1, 0.17), ellipse("trim", 0.86, 0.69, 0.1, 0.17)),
    *when(-1, box("trim", 0.04, 0.54, 0.2, 0.84, 0.06), box("trim", 0.8, 0.54, 0.96, 0.84, 0.06)),
    *when(2, line("dark", 0.015, 0.14, 0.86, 0.2, 0.96, 0.4, 0.94, 0.56, 0.98)),
)

FIFTHS = (-90, -18, 54, 126, 198)

FOOTBALL = (
    ellipse("body", 0.5, 0.5, 0.46, 0.46),
    star("trim", 0.5, 0.5, 0.15, 5, cos(pi / 5)),
    *(line("dark", 0.014, *ball(0.15, turn), *ball(0.29, turn)) for turn in FIFTHS),
    *(line("dark", 0.014, *ball(0.38, turn + 20), *ball(0.38, turn + 52)) for turn in FIFTHS),
    *(
        polygon(
            "trim",
            *ball(0.29, turn),
            *ball(0.38, turn + 20),
            *ball(0.45, turn + 13),
            *ball(0.45, turn - 13),
            *ball(0.38, turn - 20),
        )
        for turn in FIFTHS
    ),
    arc("dark", 0.015, 0.5, 0.5, 0.455, 0.455, 0, 360),
)

BASKETBALL = (
    ellipse("body", 0.5, 0.5, 0.46, 0.46),
    arc("tint", 0.03, 0.5, 0.5, 0.36, 0.36, 200, 250),
    line("dark", 0.02, 0.5, 0.04, 0.5, 0.96),
    line("dark", 0.02, 0.04, 0.5, 0.96, 0.5),
    arc("dark", 0.02, 0.0, 0.5, 0.32, 0.42, -53, 53),
    arc("dark", 0.02, 1.0, 0.5, 0.32, 0.42, 127, 233),
    arc("dark", 0.015, 0.5, 0.5, 0.455, 0.455, 0, 360),
)

BICYCLE = (
    *spoked(0.2, 0.68, 0.18),
    *spoked(0.8, 0.68, 0.18),
    line("body", 0.035, 0.2, 0.68, 0.36, 0.38, 0.68, 0.36, 0.46, 0.68, 0.2, 0.68),
    line("body", 0.035, 0.46, 0.68, 0.34, 0.3),
    line("body", 0.035, 0.8, 0.68, 0.66, 0.26),
    *when(1, line("dark", 0.03, 0.58, 0.28, 0.66, 0.24, 0.74, 0.26, 0.74, 0.34)),
    *when(-1, line("dark", 0.03, 0.56, 0.22, 0.68, 0.24)),
    line("dark", 0.05, 0.27, 0.29, 0.41, 0.29),
    arc("metal", 0.02, 0.46, 0.68, 0.055, 0.055, 0, 360),
    line("dark", 0.02, 0.42, 0.76, 0.46, 0.68, 0.5, 0.6),
    *when(
        2, line("trim", 0.02, 0.04, 0.52, 0.2, 0.46, 0.36, 0.52), line("trim", 0.02, 0.66, 0.5, 0.8, 0.46, 0.94, 0.5)
    ),
)

HELMET = (
    line("dark", 0.02, 0.24, 0.66, 0.4, 0.93, 0.52, 0.66),
    line("dark", 0.02, 0.72, 0.66, 0.46, 0.93),
    sector("body", 0.5, 0.66, 0.42, 0.48, 180, 360),
    box("shade", 0.08, 0.62, 0.92, 0.7, 0.03),
    *(
        ellipse("dark", x, y, 0.1, 0.035, turn)
        for x, y, turn in ((0.26, 0.46, -50), (0.44, 0.32, -25), (0.66, 0.34, 25))
    ),
    *(ellipse("dark", x, y, 0.09, 0.03, turn) for x, y, turn in ((0.38, 0.52, -30), (0.56, 0.5, 0), (0.74, 0.52, 30))),
    *when(1, polygon("trim", 0.78, 0.6, 0.99, 0.68, 0.98, 0.74, 0.74, 0.69)),
    *when(2, arc("trim", 0.03, 0.5, 0.66, 0.39, 0.45, 195, 345)),
)

DIE = (
    polygon("tint", 0.5, 0.04, 0.92, 0.26, 0.5, 0.48, 0.08, 0.26),
    polygon("body", 0.08, 0.26, 0.5, 0.48, 0.5, 0.96, 0.08, 0.73),
    polygon("shade", 0.92, 0.26, 0.5, 0.48, 0.5, 0.96, 0.92, 0.73),
    *when(1, ellipse("dark", 0.5, 0.26, 0.07, 0.04)),
    *when(-1, *(ellipse("dark", x, y, 0.055, 0.03) for x, y in ((0.34, 0.26), (0.66, 0.26), (0.5, 0.18), (0.5, 0.34)))),
    *(ellipse("paper", x, y, 0.035, 0.05, -20) for x, y in ((0.17, 0.42), (0.29, 0.61), (0.41, 0.8))),
    *when(2, *(ellipse("paper", x, y, 0.035, 0.05, -20) for x, y in ((0.17, 0.66), (0.41, 0.56)))),
    *(ellipse("paper", x, y, 0.035, 0.05, 20) for x, y in ((0.6, 0.56), (0.82, 0.68))),
    *when(-2, *(ellipse("paper", x, y, 0.035, 0.05, 20) for x, y in ((0.6, 0.8), (0.82, 0.44)))),
)

CAR = (
    *when(1, polygon("body", 0.2, 0.48, 0.32, 0.28, 0.64, 0.28, 0.8, 0.48)),
    *when(1, polygon("metal", 0.26, 0.47, 0.345, 0.32, 0.47, 0.32, 0.47, 0.47)),
    *when(1, polygon("metal", 0.51, 0.32, 0.62, 0.32, 0.73, 0.47, 0.51, 0.47)),
    *when(-1, polygon("body", 0.06, 0.48, 0.1, 0.28, 0.6, 0.28, 0.74, 0.48)),
    *when(-1, polygon("metal", 0.12, 0.46, 0.15, 0.32, 0.34, 0.32, 0.34, 0.46)),
    *when(-1, polygon("metal", 0.38, 0.32, 0.58, 0.32, 0.67, 0.46, 0.38, 0.46)),
    polygon("body", 0.03, 0.46, 0.78, 0.46, 0.95, 0.52, 0.98, 0.68, 0.02, 0.68),
    box("shade", 0.02, 0.62, 0.98, 0.69, 0.02),
    box("trim", 0.02, 0.51, 0.07, 0.57, 0.01),
    polygon("paper", 0.9, 0.52, 0.95, 0.53, 0.96, 0.59, 0.91, 0.58),
    line("shade", 0.012, 0.49, 0.48, 0.49, 0.62),
    line("dark", 0.015, 0.53, 0.52, 0.59, 0.52),
    *wheel(0.23, 0.68, 0.12),
    *wheel(0.76, 0.68, 0.12),
)

RADIO_CAR = (line("dark", 0.014, 0.14, 0.5, 0.08, 0.1), *dots("trim", 0.025, 0.08, 0.1), *CAR)

LORRY = (
    box("dark", 0.03, 0.66, 0.96, 0.72),
    *when(
        1,
        box("trim", 0.02, 0.2, 0.64, 0.67, 0.01),
        *(line("shade", 0.01, x, 0.24, x, 0.63) for x in (0.16, 0.32, 0.48)),
    ),
    *when(
        -1,
        polygon("trim", 0.01, 0.38, 0.64, 0.38, 0.6, 0.67, 0.08, 0.67),
        sector("metal", 0.33, 0.39, 0.27, 0.14, 180, 360),
    ),
    polygon("body", 0.67, 0.34, 0.84, 0.34, 0.93, 0.5, 0.98, 0.53, 0.98, 0.7, 0.67, 0.7),
    polygon("metal", 0.72, 0.38, 0.82, 0.38, 0.88, 0.5, 0.72, 0.5),
    box("paper", 0.94, 0.57, 0.98, 0.62),
    line("dark", 0.014, 0.72, 0.56, 0.76, 0.56),
    *wheel(0.16, 0.73, 0.095),
    *wheel(0.38, 0.73, 0.095),
    *wheel(0.82, 0.73, 0.095),
)

SAILBOAT = (
    line("dark", 0.025, 0.48, 0.03, 0.48, 0.74),
    polygon("trim", 0.51, 0.08, 0.51, 0.66, 0.9, 0.66, 0.72, 0.36),
    *when(1, polygon("tint", 0.45, 0.16, 0.45, 0.66, 0.14, 0.66)),
    *when(2, line("dark", 0.01, 0.51, 0.36, 0.72, 0.36), line("dark", 0.01, 0.51, 0.52, 0.82, 0.52)),
    polygon("dark", 0.48, 0.02, 0.62, 0.05, 0.48, 0.08),
    polygon("body", 0.03, 0.72, 0.97, 0.72, 0.86, 0.88, 0.76, 0.93, 0.22, 0.93, 0.12, 0.87),
    polygon("shade", 0.1, 0.84, 0.9, 0.84, 0.86, 0.88, 0.76, 0.93, 0.22, 0.93, 0.12, 0.87),
    *(ellipse("paper", x, 0.78, 0.025, 0.025) for x in (0.3, 0.46, 0.62)),
)

KITCHEN = "ART DE LA TABLE - ARTICLES CULINAIRES"
HOME = "DECO - MEUBLE - LUMINAIRE"
FASHION = "VETEMENTS - CHAUSSURES - BIJOUX"
TOOLS = "BRICOLAGE - JARDIN"
DEVICES = "INFORMATIQUE - TELEPHONIE - SON"
SPORT = "SPORT - JEUX - JOUETS"

#: As in the real tree, ids have ten digits and names repeat: two shelves are called BALLON and two CASQUE.
SHELVES: tuple[Shelf, ...] = (
    Shelf(1000004085, KITCHEN, "VAISSELLE", "MUG", MUG),
    Shelf(1000004092, KITCHEN, "VAISSELLE", "TASSE - SOUS-TASSE", CUP),
    Shelf(1000004141, KITCHEN, "VAISSELLE", "ASSIETTE", PLATE),
    Shelf(1000015308, KITCHEN, "VAISSELLE", "BOUTEILLE", BOTTLE),
    Shelf(1000003564, KITCHEN, "CUISSON DES ALIMENTS", "CASSEROLE", SAUCEPAN),
    Shelf(1000003590, KITCHEN, "CUISSON DES ALIMENTS", "FAITOUT - MARMITE", STOCKPOT),
    Shelf(1000018296, KITCHEN, "CUISSON DES ALIMENTS", "THÉIÈRE", TEAPOT),
    Shelf(1000007421, HOME, "LUMINAIRE", "LAMPE A POSER", TABLE_LAMP),
    Shelf(1000007469, HOME, "LUMINAIRE", "SUSPENSION", PENDANT_LAMP),
    Shelf(1000010667, HOME, "OBJET DE DÉCORATION", "BOUGIE - PHOTOPHORE", CANDLE),
    Shelf(1000010653, HOME, "OBJET DE DÉCORATION", "HORLOGE - PENDULE", CLOCK),
    Shelf(1000012345, HOME, "MEUBLE", "CHAISE", CHAIR),
    Shelf(1000012378, HOME, "MEUBLE", "TABLE A MANGER", table(0.94)),
    Shelf(1000012391, HOME, "MEUBLE", "TABLE BASSE", table(0.74)),
    Shelf(1000001868, HOME, "MEUBLE", "LIT", BED),
    Shelf(1000001875, HOME, "MEUBLE", "LIT ENFANT", wider(0.68, BED)),
    Shelf(1000001921, HOME, "MEUBLE", "COMMODE", CHEST),
    Shelf(1000009130, FASHION, "VETEMENT", "T-SHIRT", T_SHIRT),
    Shelf(1000009187, FASHION, "VETEMENT", "ROBE", DRESS),
    Shelf(1000009224, FASHION, "VETEMENT", "PANTALON", TROUSERS),
    Shelf(1000009241, FASHION, "VETEMENT", "JEAN", JEANS),
    Shelf(1000016912, FASHION, "CHAUSSURES - ACCESSOIRES", "BOTTES", boots(0.08)),
    Shelf(1000016921, FASHION, "CHAUSSURES - ACCESSOIRES", "BOTTINES - LOW BOOTS", boots(0.38)),
    Shelf(1000016958, FASHION, "CHAUSSURES - ACCESSOIRES", "CHAPEAU", HAT),
    Shelf(1000017003, FASHION, "CHAUSSURES - ACCESSOIRES", "CRAVATE - NŒUD PAPILLON", TIE),
    Shelf(1000005712, FASHION, "BIJOUX - LUNETTES - MONTRES", "BAGUE - ANNEAU", RING),
    Shelf(1000005749, FASHION, "BIJOUX - LUNETTES - MONTRES", "MONTRE", WATCH),
    Shelf(1000005790, FASHION, "BIJOUX - LUNETTES - MONTRES", "LUNETTES DE SOLEIL", SUNGLASSES),
    Shelf(1000013846, TOOLS, "OUTILLAGE A MAIN", "MARTEAU", HAMMER),
    Shelf(1000013871, TOOLS, "OUTILLAGE A MAIN", "SCIE", SAW),
    Shelf(1000013902, TOOLS, "OUTILLAGE A MAIN", "PELLE", SHOVEL),
    Shelf(1000021534, TOOLS, "PLANTE - FLEUR", "FLEUR", FLOWER),
    Shelf(1000021558, TOOLS, "PLANTE - FLEUR", "CACTUS", CACTUS),
    Shelf(1000021590, TOOLS, "PLANTE - FLEUR", "SAPIN DE NOËL", FIR),
    Shelf(1000011347, DEVICES, "INFORMATIQUE", "ORDINATEUR PORTABLE", LAPTOP),
    Shelf(1000011422, DEVICES, "INFORMATIQUE", "CLAVIER", KEYBOARD),
    Shelf(1000014202, DEVICES, "TELEPHONIE - SON", "SMARTPHONE", SMARTPHONE),
    Shelf(1000014231, DEVICES, "TELEPHONIE - SON", "TABLETTE TACTILE", wider(1.5, SMARTPHONE)),
    Shelf(1000014269, DEVICES, "TELEPHONIE - SON", "CASQUE", HEADPHONES),
    Shelf(1000019638, SPORT, "FOOTBALL", "BALLON", FOOTBALL),
    Shelf(1000019705, SPORT, "BASKET-BALL", "BALLON", BASKETBALL),
    Shelf(1000020114, SPORT, "CYCLES", "VÉLO", BICYCLE),
    Shelf(1000020187, SPORT, "CYCLES", "CASQUE", HELMET),
    Shelf(1000002890, SPORT, "JEUX - JOUETS", "DÉ A JOUER", DIE),
    Shelf(1000002935, SPORT, "JEUX - JOUETS", "VOITURE MINIATURE", CAR),
    Shelf(1000002942, SPORT, "JEUX - JOUETS", "VOITURE RADIOCOMMANDÉE", RADIO_CAR),
    Shelf(1000002951, SPORT, "JEUX - JOUETS", "CAMION MINIATURE", LORRY),
    Shelf(1000002976, SPORT, "JEUX - JOUETS", "BATEAU MINIATURE", SAILBOAT),
)
