"""Draw the pictures of a toy product: one look, several poses."""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, exp, hypot, radians, sin

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

from deploy.local.toy_shapes import SHELVES, Part, Point, Shelf

SIDE = 180
#: Drawn this many times larger, then averaged down: Pillow's shapes have no smooth edges of their own.
OVERSAMPLE = 3
#: Of products with 1, 2, 3 and 4 pictures, per cent: the real dump's, 1.75 on average.
PICTURE_COUNTS = (62, 16, 8, 14)
#: As in a real shop some pictures show but a detail, and some another thing as well. Without them and the shelves
#: that look alike, frozen features and a softmax head are right 160 times of 160, and nothing is left to review.
DETAILS, PROPS = 0.25, 0.25
#: Scales, as shares of the picture's side.
WHOLE, DETAIL, PROP = (0.6, 0.95), (1.6, 2.8), (0.3, 0.5)

Colour = tuple[int, int, int]
EDGE: Colour = (40, 40, 40)


@dataclass(frozen=True)
class Look:
    """What all pictures of one product share."""

    parts: tuple[Part, ...]
    colours: dict[str, Colour]
    #: Width to height of what is drawn as a square: some mugs are slim.
    aspect: float
    #: Of the dark line around each part, in pixels of the oversampled drawing; 0: none.
    edge: int


@dataclass(frozen=True)
class Pose:
    """How one picture shows the product: x, y of the unit square to pixels of the oversampled drawing."""

    across: Point
    down: Point
    corner: Point

    def points(self, part: Part) -> list[Point]:
        """Return the part's outline in pixels."""
        (ax, ay), (dx, dy), (left, top) = self.across, self.down, self.corner
        return [(left + x * ax + y * dx, top + x * ay + y * dy) for x, y in part.points]


def pictures(shelf: Shelf, rng: random.Random) -> Iterator[bytes]:
    """Yield the 1 to 4 JPEG pictures of one new product."""
    look = _look(shelf, rng)
    (count,) = rng.choices((1, 2, 3, 4), PICTURE_COUNTS)
    for _ in range(count):
        file = io.BytesIO()
        _picture(look, rng).save(file, "JPEG", quality=90)
        yield file.getvalue()


def _look(shelf: Shelf, rng: random.Random) -> Look:
    """Choose colours whatever the shelf: only the form tells it."""
    hue, saturation = rng.randrange(360), rng.choice((rng.randrange(15), *(rng.randrange(30, 95) for _ in range(3))))
    value = rng.randrange(35, 90)
    body = _hsv(hue, saturation, value)
    trim = _hsv(hue + rng.randrange(90, 270), rng.randrange(20, 90), value - 40 if value > 62 else value + 35)
    grey = rng.randrange(120, 200)
    colours = {
        "body": body,
        "trim": trim,
        "shade": _scaled(body, 0.68),
        "tint": _scaled(body, 0.55, lift=115),
        "dark": _hsv(rng.randrange(360), rng.randrange(40), rng.randrange(10, 26)),
        "metal": (grey, grey + rng.randrange(8), grey + rng.randrange(16)),
        "paper": (245, 245 - rng.randrange(10), 245 - rng.randrange(20)),
    }
    traits = {trait for trait in (1, 2, 3) if rng.random() < 0.5}
    parts = tuple(part for part in shelf.parts if not part.trait or (abs(part.trait) in traits) == (part.trait > 0))
    return Look(parts, colours, exp(rng.uniform(-0.2, 0.2)), edge=rng.choice((0, 0, 2, 3)))


def _pose(look: Look, scales: tuple[float, float], rng: random.Random) -> Pose:
    """Turn by up to 12 degrees, lean, mirror, scale to a share of the picture's side, and shift within it."""
    turn, lean = radians(rng.uniform(-12, 12)), radians(rng.uniform(-8, 8))
    side, scale = SIDE * OVERSAMPLE, SIDE * OVERSAMPLE * rng.uniform(*scales)
    width, height = scale * min(look.aspect, 1) * rng.choice((1, 1, -1)), scale * min(1 / look.aspect, 1)
    across, down = (width * cos(turn), width * sin(turn)), (-height * sin(turn + lean), height * cos(turn + lean))
    slack = max(side - scale, 0) / 2 + 0.02 * side
    # A detail is centred on a point of the drawing, so that it shows something.
    x, y = rng.choice(rng.choice(look.parts).points) if scale > side else (0.5, 0.5)
    left, top = (side / 2 + rng.uniform(-slack, slack) - x * across[axis] - y * down[axis] for axis in (0, 1))
    return Pose(across, down, (left, top))


def _picture(look: Look, rng: random.Random) -> Image.Image:
    """Return RGB, SIDE x SIDE: the thing in one pose and light before a near-white ground."""
    things = [(look, _pose(look, DETAIL if rng.random() < DETAILS else WHOLE, rng))]
    if rng.random() < PROPS:
        prop = _look(rng.choice(SHELVES), rng)
        things.insert(0, (prop, _pose(prop, PROP, rng)))
    ground = (rng.randrange(246, 256), rng.randrange(246, 256), rng.randrange(246, 256))
    drawing, mask = (Image.new(mode, (SIDE * OVERSAMPLE,) * 2, colour) for mode, colour in (("RGB", ground), ("L", 0)))
    light = rng.uniform(0.85, 1.15)
    for thing, pose in things:
        for part in thing.parts:
            hole = part.role == "ground"
            colour = ground if hole else _scaled(thing.colours[part.role], light)
            _paint(ImageDraw.Draw(drawing), part, pose, colour, 0 if hole else thing.edge)
            _paint(ImageDraw.Draw(mask), part, pose, 0 if hole else 255, 0)
    return _lit(drawing.reduce(OVERSAMPLE), mask.reduce(OVERSAMPLE), ground, rng)


def _paint(pen: ImageDraw.ImageDraw, part: Part, pose: Pose, colour: Colour | int, edge: int) -> None:
    points = pose.points(part)
    if not part.width:
        pen.polygon(points, fill=colour, outline=EDGE if edge else colour, width=max(edge, 1))
        return
    width = max(round(part.width * hypot(*pose.down)), 1)
    pen.line(points, fill=colour, width=width, joint="curve")
    for x, y in (points[0], points[-1]) if width > OVERSAMPLE else ():  # round ends
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


def _lit(drawing: Image.Image, mask: Image.Image, ground: Colour, rng: random.Random) -> Image.Image:
    """Set the drawing before its ground: light from one side, a soft shadow, and the grain of a cheap camera."""
    gradient = Image.linear_gradient("L").point(lambda value: 255 - value // 5).resize(mask.size)
    gradient = gradient.rotate(rng.choice((0, 90, 180, 270)))
    shadow = Image.new("L", mask.size)
    shadow.paste(mask, (rng.randrange(-7, 8), rng.randrange(2, 9)))
    shadow = shadow.filter(ImageFilter.GaussianBlur(rng.uniform(2, 6))).point(lambda value: value * 2 // 5)
    picture = Image.new("RGB", mask.size, ground)
    picture.paste(_scaled(ground, 0.55), mask=shadow)
    picture.paste(ImageChops.multiply(drawing, Image.merge("RGB", [gradient] * 3)), mask=mask)
    grain = Image.frombytes("L", mask.size, rng.randbytes(mask.width * mask.height)).convert("RGB")
    return Image.blend(picture, grain, rng.uniform(0, 0.03))


def _hsv(hue: int, saturation: int, value: int) -> Colour:
    """Degrees and per cents to RGB."""
    return _scaled(ImageColor.getrgb(f"hsv({hue % 360},{saturation}%,{value}%)"), 1)


def _scaled(colour: Sequence[int], factor: float, lift: int = 0) -> Colour:
    red, green, blue = (min(round(channel * factor) + lift, 255) for channel in colour)
    return red, green, blue
