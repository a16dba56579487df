"""Changed pictures: by the seed alone, within the range of pixels, and as far as was asked for."""

import numpy as np
import pytest
import tensorflow as tf

from tests.pictures import draw
from trainer.config import Augmentation
from trainer.training.augment import augment

PIXELS = np.stack([np.asarray(draw(seed, 64)) for seed in range(8)]).astype(np.float32)
EVERYTHING = Augmentation(flip=True, rotation_degrees=40, shear=0.3, zoom=0.2, colour=0.3)


def changed(how: Augmentation, seed: int = 1, pixels: np.ndarray = PIXELS) -> np.ndarray:
    return augment(tf.constant(pixels), how, tf.constant([seed, 7])).numpy()


def test_nothing_asked_nothing_changed() -> None:
    """The default is the picture as it is."""
    assert np.array_equal(changed(Augmentation()), PIXELS)


def test_the_seed_decides() -> None:
    """A resumed run sees the same pictures; another step sees others, and no two pictures of a batch move alike."""
    assert np.array_equal(changed(EVERYTHING), changed(EVERYTHING))
    assert not np.array_equal(changed(EVERYTHING), changed(EVERYTHING, seed=2))
    same = changed(EVERYTHING, pixels=np.repeat(PIXELS[:1], 8, axis=0))
    assert len({each.tobytes() for each in same}) == 8


def test_flips_mirror_about_half() -> None:
    """A picture is itself or its mirror image."""
    many = np.repeat(PIXELS[:1], 200, axis=0)
    mirrored = [np.array_equal(each, PIXELS[0][:, ::-1]) for each in changed(Augmentation(flip=True), pixels=many)]
    kept = [np.array_equal(each, PIXELS[0]) for each in changed(Augmentation(flip=True), pixels=many)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 60 < sum(mirrored) < 140


@pytest.mark.parametrize(
    "how",
    [Augmentation(rotation_degrees=40), Augmentation(shear=0.3), Augmentation(zoom=0.3), Augmentation(colour=0.4)],
    ids=["rotation", "shear", "zoom", "colour"],
)
def test_pixels_stay_in_range(how: Augmentation) -> None:
    """What comes in at the edges is the nearest pixel, not black."""
    result = changed(how)
    assert result.shape == PIXELS.shape
    assert result.min() >= 0
    assert result.max() <= 255.001  # the rounding of an interpolation
    assert not np.array_equal(result, PIXELS)
    white = np.full((4, 64, 64, 3), 255, np.float32)
    if not how.colour:
        assert np.allclose(changed(how, pixels=white), white, atol=1e-3)


def test_a_rotation_turns_about_the_middle() -> None:
    """The middle stays where it is, up to half a pixel, and a dot elsewhere keeps its distance from it."""
    dot = np.zeros((50, 65, 65, 3), np.float32)
    dot[:, 32, 52] = 255
    for each in changed(Augmentation(rotation_degrees=180), pixels=dot):
        row, column = np.unravel_index(each[:, :, 0].argmax(), (65, 65))
        assert abs(np.hypot(row - 32, column - 32) - 20) < 1.5
    middle = np.zeros((50, 65, 65, 3), np.float32)
    middle[:, 32, 32] = 255
    assert all(each[32, 32, 0] > 200 for each in changed(EVERYTHING.model_copy(update={"colour": 0}), pixels=middle))
