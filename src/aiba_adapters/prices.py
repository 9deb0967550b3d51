"""The market's price of a TON in USD, asked of public sources one after another."""

import asyncio
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import httpx

_SECONDS: Final = 8.0
"""How long one source may take in all."""
_LONGEST: Final = 64 * 1024
_HIGHEST: Final = Decimal(10**6)
_DIGITS: Final = 18

COINGECKO: Final = "https://api.coingecko.com/api/v3/simple/price"
TONAPI: Final = "https://tonapi.io/v2/rates"


class PriceUnknown(Exception):  # noqa: N818 - named for what is the case
    """No source told a price; the text says what each of them did, without any secret."""


class MarketPrices:
    """Asks CoinGecko, then tonapi. An answer that is no price is passed over."""

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        coingecko: str = COINGECKO,
        tonapi: str = TONAPI,
    ) -> None:
        """Ask those two addresses. No key goes to them: the provider's own is none of theirs."""
        self._transport = transport
        self._coingecko = coingecko
        self._tonapi = tonapi

    async def ton_usd(self) -> Fraction:
        """Return the price of a TON in USD, exactly as it was told. Raises PriceUnknown."""
        faults = []
        for name, ask in (("CoinGecko", self._from_coingecko), ("tonapi", self._from_tonapi)):
            try:
                return await ask()
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                faults.append(f"{name}: {type(error).__name__}")
            except (ValueError, KeyError, TypeError, RecursionError):
                faults.append(f"{name}: no price")
        raise PriceUnknown("; ".join(faults))

    async def _from_coingecko(self) -> Fraction:
        query = {"ids": "the-open-network", "vs_currencies": "usd"}
        return await self._ask(self._coingecko, query, lambda told: told["the-open-network"]["usd"])

    async def _from_tonapi(self) -> Fraction:
        query = {"tokens": "ton", "currencies": "usd"}
        return await self._ask(
            self._tonapi,
            query,
            lambda told: told["rates"]["TON"]["prices"]["USD"],
        )

    async def _ask(
        self,
        url: str,
        query: Mapping[str, str],
        pick: Callable[[Any], object],
    ) -> Fraction:
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(transport=self._transport, timeout=_SECONDS) as client,
            client.stream("GET", url, params=dict(query)) as response,
        ):
            response.raise_for_status()
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _LONGEST:
                    raise ValueError("too long an answer")
        return _price(pick(json.loads(body, parse_float=Decimal)))


def _price(told: object) -> Fraction:
    """Return a price. Raises ValueError or TypeError for what is none."""
    if isinstance(told, bool) or not isinstance(told, int | Decimal):
        raise TypeError("no number")
    price = Decimal(told)
    if not price.is_finite() or not 0 < price <= _HIGHEST:
        raise ValueError("no price")
    return Fraction(round(price, _DIGITS))
