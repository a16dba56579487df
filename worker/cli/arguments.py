"""What a person types, read: ids and ages."""

import re
from datetime import UTC, datetime, timedelta

import typer

from worker.contract.product import stand_in_id, to_product_id

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def to_key(identity: str) -> int:
    """Return the key under which the store has an id; one that is no 64-bit integer stands under another number."""
    try:
        number = int(identity)
    except ValueError:
        if identity.startswith("-"):  # commands that take negative ids are given misspelt options as ids
            raise typer.BadParameter(f"no such option: {identity}") from None
        return stand_in_id(identity)
    product_id = to_product_id(number)
    return product_id if isinstance(product_id, int) else stand_in_id(product_id)


def to_moment(age: str) -> datetime:
    """Return the moment that is `age` ago: 90s, 30m, 2h, 7d or 2w."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])", age.strip().lower(), re.ASCII)
    if match is None:
        raise typer.BadParameter(f"{age!r} is no age: write a number and one of s, m, h, d, w, as in 90s, 2h or 7d")
    try:
        return datetime.now(UTC) - timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise typer.BadParameter(f"{age!r} is before there were dates") from None
