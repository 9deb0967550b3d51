"""The market's price of a TON: asked of one source after another, and believed only as a price."""

import asyncio
from collections.abc import Callable
from fractions import Fraction

import httpx
import pytest

from aiba_adapters.prices import MarketPrices, PriceUnknown

GECKO = '{"the-open-network": {"usd": %s}}'
TONAPI = '{"rates": {"TON": {"prices": {"USD": %s}}}}'


def ask(handler: Callable[[httpx.Request], httpx.Response]) -> Fraction:
    """Return the price that a market with these answers tells."""
    prices = MarketPrices(transport=httpx.MockTransport(handler))
    return asyncio.run(prices.ton_usd())


def answering(gecko: str | int, tonapi: str | int) -> Callable[[httpx.Request], httpx.Response]:
    """Return a market where each source answers a body, or a status."""

    def handler(request: httpx.Request) -> httpx.Response:
        told = gecko if "coingecko" in request.url.host else tonapi
        if isinstance(told, int):
            return httpx.Response(told, headers={"location": "https://elsewhere.example/"})
        return httpx.Response(200, text=told)

    return handler


@pytest.mark.parametrize(
    ("text", "price"),
    [("5.25", "5.25"), ("3", "3"), ("0.000000000000000001", "1/" + "1" + "0" * 18)],
)
def test_a_price_is_read_with_every_digit(text: str, price: str) -> None:
    """It is no double on its way."""
    assert ask(answering(GECKO % text, 500)) == Fraction(price)


@pytest.mark.parametrize(
    "told",
    [
        500,
        302,
        429,
        "",
        "no JSON",
        "[]",
        "{}",
        GECKO % "null",
        GECKO % '"5"',
        GECKO % "true",
        GECKO % "0",
        GECKO % "-1",
        GECKO % "1e30",
        GECKO % "NaN",
        GECKO % "Infinity",
        GECKO % ("[" * 90_000),
        "x" * 70_000,
    ],
    ids=range(17),
)
def test_what_is_no_price_is_passed_over(told: str | int) -> None:
    """The next source is asked; a redirection is not followed."""
    assert ask(answering(told, TONAPI % "4.5")) == Fraction("4.5")


def test_without_any_price_it_is_said_what_each_source_did() -> None:
    """In words that hold no address and no body."""
    with pytest.raises(PriceUnknown, match=r"^CoinGecko: HTTPStatusError; tonapi: no price$"):
        ask(answering(500, "{}"))


def test_a_source_that_is_down_is_passed_over() -> None:
    """Whatever the transport says."""

    def handler(request: httpx.Request) -> httpx.Response:
        if "coingecko" in request.url.host:
            raise httpx.ConnectError("refused")
        assert "authorization" not in request.headers
        return httpx.Response(200, text=TONAPI % "4")

    assert ask(handler) == 4
