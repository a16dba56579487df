"""Who enters the console; tests/integration/console/test_shell.py has a browser try."""

import pytest

from deploy.console.entrance import LOCAL
from deploy.console.passes import LIFE_SECONDS, Passes
from deploy.console.password import FORGET_SECONDS, MINUTE_SECONDS, MOST_ADDRESSES, MOST_WRONG, Gate

SECRET = "correct horse battery"  # noqa: S105 - of no console but ours


class Clock:
    """Says what it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_wrong_passwords_slow_their_address_down() -> None:
    """Each doubles the wait, to a bound, until the right one or a long silence; other addresses are not held up."""
    clock = Clock()
    gate = Gate(SECRET, clock)
    waits = []
    for _ in range(6):
        assert not gate.enter("here", b"wrong")
        waits.append(gate.seconds_closed("here"))
        assert not gate.enter("here", SECRET.encode())
        assert gate.enter("elsewhere", SECRET.encode())
        clock.now += waits[-1]
    assert waits == [2, 4, 8, 16, 32, 32]
    assert gate.enter("here", SECRET.encode())
    for silence_seconds in (0, FORGET_SECONDS + 1):
        clock.now += silence_seconds
        assert not gate.enter("here", b"wr\xf6ng")
        assert gate.seconds_closed("here") == 2


def test_many_addresses_cannot_try_without_limit() -> None:
    """After so many wrong ones in a minute nobody's is looked at; no more addresses are remembered than is said."""
    clock = Clock()
    gate = Gate(SECRET, clock)
    for number in range(MOST_ADDRESSES + 1):
        if number and number % MOST_WRONG == 0:
            assert not gate.enter("new", SECRET.encode())
            assert gate.seconds_closed("new") == MINUTE_SECONDS
            clock.now += MINUTE_SECONDS
        assert not gate.enter(str(number), b"wrong")
    assert len(gate._failures) == MOST_ADDRESSES
    assert gate.enter("new", SECRET.encode())


def test_a_password_may_hold_any_bytes() -> None:
    """As a variable of the environment may."""
    assert Gate("p\udcffssw\xf6rd").enter("here", b"p\xffssw\xc3\xb6rd")


def test_a_pass_ends_and_is_of_one_process() -> None:
    """One that was changed, made up, of another process or of yesterday is none."""
    clock = Clock()
    passes = Passes(clock)
    shown = passes.issue()
    until, _, signature = shown.partition(".")
    assert passes.is_valid(shown)
    assert not Passes(clock).is_valid(shown)
    for other in (
        "",
        ".",
        until,
        f"{until}.",
        f"{int(until) + 1}.{signature}",
        f"x.{signature}",
        "\xff.\xff",
        "\udcff",
    ):
        assert not passes.is_valid(other)
    clock.now = LIFE_SECONDS
    assert not passes.is_valid(shown)


@pytest.mark.parametrize(
    ("path", "is_local"),
    [
        ("/", True),
        ("/predictions?shelf=1000000001&days=a%20b", True),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("/\t/evil.example", False),
        ("https://evil.example/", False),
        ("/x\r\nSet-Cookie: a=b", False),
        ("", False),
    ],
)
def test_the_way_in_leads_nowhere_else(path: str, is_local: bool) -> None:
    """Only to paths of the console's own, as a browser reads them."""
    assert bool(LOCAL.fullmatch(path)) is is_local
