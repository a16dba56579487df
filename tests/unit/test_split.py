"""The held-out products: none shares a picture with one that is trained on."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.split import held_out, picture_hash

Products = list[tuple[int, list[int]]]

#: few pictures among many products, so that they share them
PRODUCTS = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), max_size=40).map(
    lambda pictures: list(enumerate(pictures))
)
FRACTIONS = st.sampled_from((0.1, 0.5, 0.9))


def apart(count: int) -> Products:
    return [(identity, [picture_hash(str(identity).encode())]) for identity in range(count)]


@settings(deadline=None)
@given(PRODUCTS, FRACTIONS, st.integers(0, 100))
def test_no_picture_is_on_both_sides(products: Products, fraction: float, seed: int) -> None:
    """A picture that was trained on is never used to judge the model."""
    held = held_out(products, fraction, seed)
    judged = {picture for identity, pictures in products if identity in held for picture in pictures}
    trained = {picture for identity, pictures in products if identity not in held for picture in pictures}
    assert not judged & trained


@pytest.mark.parametrize("seed", range(8))
def test_chains_stay_together(seed: int) -> None:
    """A shares a picture with B and B with C, and so on for a hundred products: one side for all of them."""
    chain: Products = [(each, [each, each + 1]) for each in range(100)]
    random.Random(seed).shuffle(chain)
    assert len(held_out(chain, 0.5, seed)) in (0, 100)


def test_both_sides_get_chains() -> None:
    """The chain of the test above is not always on the same side."""
    chain: Products = [(each, [each, each + 1]) for each in range(100)]
    assert {len(held_out(chain, 0.5, seed)) for seed in range(20)} == {0, 100}


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.9])
def test_about_the_asked_share_is_held_out(fraction: float) -> None:
    """Of 4,000 products without common pictures, the share within five standard deviations."""
    share = len(held_out(apart(4000), fraction, 1)) / 4000
    assert abs(share - fraction) < 5 * (fraction * (1 - fraction) / 4000) ** 0.5


def test_none_and_all() -> None:
    """A share of 0 holds nothing out, a share of 1 everything; no products are no problem."""
    assert held_out(apart(100), 0, 1) == set()
    assert held_out(apart(100), 1, 1) == set(range(100))
    assert held_out([], 0.5, 1) == set()


def test_the_seed_decides() -> None:
    """Another seed draws another split of about the same size."""
    one, two = (held_out(apart(1000), 0.5, seed) for seed in (1, 2))
    assert 150 < len(one & two) < 350


def test_the_same_seed_is_the_same_split_for_ever() -> None:
    """On any machine, in any release: a model's scores can be compared with those of last year."""
    products: Products = [(each, [each * 7]) for each in range(40)]
    assert held_out(products, 0.25, 1) == {1, 5, 12, 13, 16, 17, 22, 24, 25, 28, 31, 32, 35}
    assert picture_hash(b"picture") == 7856131039703280034


@settings(deadline=None)
@given(PRODUCTS, FRACTIONS, st.randoms(use_true_random=False))
def test_the_order_of_products_does_not_matter(products: Products, fraction: float, chance: random.Random) -> None:
    """A dump written in another order, with pictures in another order, is split alike."""
    turned = [(identity, chance.sample(pictures, len(pictures))) for identity, pictures in products]
    chance.shuffle(turned)
    assert held_out(turned, fraction, 3) == held_out(products, fraction, 3)


def test_a_bigger_dump_keeps_the_sides_of_what_was_there() -> None:
    """Products added without common pictures leave the others on their side."""
    assert held_out(apart(2000), 0.3, 1) & set(range(1000)) == held_out(apart(1000), 0.3, 1)


def test_hashes_are_of_the_bytes() -> None:
    """The same bytes have the same 64 bits, others others."""
    hashes = {picture_hash(str(each).encode()) for each in range(1000)}
    assert len(hashes) == 1000
    assert all(0 <= each < 2**64 for each in hashes)
