"""The HTTP service's guard: whom it counts as one caller, and what it remembers of them."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from producer.api.guard import MOST_ADDRESSES, RateLimit


async def application(_: object, __: object, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


async def answers(limit: RateLimit, hosts: list[str], path: str = "/listings/1") -> list[int]:
    """The status that each of these clients gets, one request after the other."""
    codes: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            codes.append(message["status"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    for host in hosts:
        await limit({"type": "http", "path": path, "client": (host, 1)}, receive, send)
    return codes


@pytest.mark.parametrize(
    ("hosts", "codes"),
    [
        (["192.0.2.1", "192.0.2.1", "192.0.2.2"], [200, 429, 200]),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"], [200, 429, 200]),
        (["::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"], [200, 429, 200]),
        (["what a proxy wrote", "what a proxy wrote", ""], [200, 429, 200]),
    ],
    ids=["IPv4", "a network of IPv6", "IPv4 in IPv6", "no address"],
)
def test_an_address_is_one_caller(hosts: list[str], codes: list[int]) -> None:
    """And so is a network of IPv6, whose owner may use 2 to the 64th of them."""
    assert asyncio.run(answers(RateLimit(application, 1), hosts)) == codes


def test_the_limit_is_of_a_minute() -> None:
    """So many pass and the next does not; /health always does."""

    async def ask() -> None:
        limit = RateLimit(application, 50)
        assert await answers(limit, ["192.0.2.1"] * 60) == [200] * 50 + [429] * 10
        assert await answers(limit, ["192.0.2.1"] * 60, "/health") == [200] * 60

    asyncio.run(ask())


def test_a_flood_of_addresses_is_forgotten() -> None:
    """Memory, and the time of a request, stay bounded however many callers there are."""

    async def flood() -> int:
        limit = RateLimit(application, 1)
        await answers(limit, [f"10.0.{each // 256}.{each % 256}" for each in range(MOST_ADDRESSES + 500)])
        counts = limit._counts
        return max(map(len, (counts.storage, counts.expirations, counts.locks, counts.events)))

    assert 0 < asyncio.run(flood()) <= MOST_ADDRESSES + 1
