"""Letters as messages of the game's bot, by Telegram's bot API.

A message is sent again after an outage, and Telegram can't tell that it is the same: a player may
get it twice. Nothing made here holds the bot's token, which is a part of the URL.
"""

import asyncio
import html
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from aiba_domain.outage import Unavailable
from aiba_domain.outbox.model import Letter, Topic
from aiba_domain.outbox.ports import NotNow, Undeliverable

MAX_TEXT: Final = 4096
"""How long a message may be, in characters."""

TIMEOUT_S: Final = 10.0
"""How long one request may take in all."""

LONGEST_PAUSE_MS: Final = 3_600_000
"""The longest that Telegram's wish to be left alone is taken for."""

_SUBJECT: Final = "player:"
_OK: Final = 200
_TOO_MANY: Final = 429
_HOPELESS: Final = frozenset({400, 403})
_PAUSE_S: Final = 30
_LARGEST_ANSWER: Final = 65_536

Facts = Mapping[str, str | int]


class TelegramNotifier:
    """Sends letters to players. Belongs to one event loop; close it when done."""

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Send as the bot that has the token, by the bot API at `base_url`."""
        # Its log lines would tell the URL, and with it the token.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._token = token
        self._url = f"{base_url.rstrip('/')}/bot{token}/sendMessage"
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, transport=transport)

    def __repr__(self) -> str:
        return "TelegramNotifier([hidden])"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def deliver(self, letter: Letter) -> None:
        """Send a letter. Raises Undeliverable, NotNow and Unavailable."""
        kind, _, player_id = letter.subject.partition(":")
        if f"{kind}:" != _SUBJECT or not player_id.isdecimal():
            raise Undeliverable(f"{letter.subject} has no chat")
        message = {
            "chat_id": int(player_id),
            "text": text_of(letter),
            "parse_mode": "HTML",
            "disable_web_page_preview": True,
        }
        status, answer = await self._post(message)
        if status == _OK:
            if answer.get("ok") is not True:
                raise Unavailable("Telegram's answer is none of its bot API")
            return
        if status == _TOO_MANY:
            raise NotNow("Telegram asks for a pause", retry_after_ms=_pause_ms(answer))
        if status in _HOPELESS:
            raise Undeliverable(f"Telegram: {self._told(answer) or status}")
        raise Unavailable(f"Telegram answered {status}")

    async def _post(self, message: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """Return the answer's status and what of it is JSON."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.post(self._url, json=message)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # Neither the text nor the error itself: both may hold the URL.
            raise Unavailable(f"Telegram can't be reached: {type(error).__name__}") from None
        try:
            told = json.loads(answer.content[:_LARGEST_ANSWER])
        except ValueError:
            told = None
        return answer.status_code, told if isinstance(told, dict) else {}

    def _told(self, answer: Mapping[str, Any]) -> str:
        """Return what a refusal says, kept with the letter: whatever repeats the token is cut."""
        told = str(answer.get("description") or "")
        return "a refusal that repeats the token" if self._token.partition(":")[2] in told else told


def text_of(letter: Letter) -> str:
    """Return the message of a letter, in Telegram's HTML."""
    return _TEXTS[letter.topic](letter.facts)[:MAX_TEXT]


def _pause_ms(answer: Mapping[str, Any]) -> int:
    """Return how long Telegram wants to be left alone, some while where it doesn't say."""
    parameters = answer.get("parameters")
    wished = parameters.get("retry_after") if isinstance(parameters, dict) else None
    seconds = wished if isinstance(wished, int) and wished > 0 else _PAUSE_S
    return min(LONGEST_PAUSE_MS, seconds * 1_000)


def _victory(facts: Facts) -> str:
    lines = [
        "🏆 <b>Battle won</b>",
        f"Arena: {_safe(facts['arena'])}",
        f"Score: {facts['score']}",
        f"AIBA: +{facts['aiba']}",
        f"NEUR: +{facts['neur']}",
    ]
    lines += [
        f"{name}: +{amount}"
        for name, amount in (("Stars", facts["stars"]), ("Diamonds", facts["diamonds"]))
        if amount
    ]
    return "\n".join(lines)


def _paid(facts: Facts) -> str:
    return f"✅ <b>Withdrawal paid</b>\n{facts['aiba']} AIBA have arrived in your wallet."


def _refunded(facts: Facts) -> str:
    return (
        "↩️ <b>Withdrawal expired</b>\n"
        f"It was not claimed in time; {facts['aiba']} AIBA are back in your balance."
    )


def _banned(facts: Facts) -> str:
    until = f"\nUntil: {_safe(facts['until'])}" if "until" in facts else ""
    return f"⛔ <b>Your account is suspended</b>\nReason: {_safe(facts['reason'])}{until}"


def _safe(value: str | int) -> str:
    """Return a text that is one in HTML too, and not too long to leave the rest of it whole."""
    return html.escape(str(value)[:500])


_TEXTS: Final[Mapping[Topic, Callable[[Facts], str]]] = {
    Topic.BATTLE_WON: _victory,
    Topic.CLAIM_PAID: _paid,
    Topic.CLAIM_REFUNDED: _refunded,
    Topic.PLAYER_BANNED: _banned,
}
"""How each topic is told."""
