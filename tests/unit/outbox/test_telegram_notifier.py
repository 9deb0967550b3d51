"""Letters as messages of the bot, over HTTP to a server that stands for the bot API."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.telegram.notifier import MAX_TEXT, TelegramNotifier, text_of
from aiba_domain.outage import Unavailable
from aiba_domain.outbox.model import Letter, Topic
from aiba_domain.outbox.ports import NotNow, Undeliverable
from aiba_domain.testing.doubles import NOON

TOKEN: Final = "123456:a token that nobody must see"
FACTS: Final[Mapping[Topic, Mapping[str, str | int]]] = {
    Topic.BATTLE_WON: {
        "battle": "b",
        "arena": "prediction",
        "score": 71,
        "aiba": 3,
        "neur": 12,
        "stars": 0,
        "diamonds": 2,
    },
    Topic.CLAIM_PAID: {"claim": "c", "aiba": 40},
    Topic.CLAIM_REFUNDED: {"claim": "c", "aiba": 40},
    Topic.PLAYER_BANNED: {"reason": "<b>&", "until": "2026-01-01T00:00:00.000Z"},
}
Reply = tuple[int, bytes] | None
"""A status and a body; None cuts the connection."""


def letter(topic: Topic = Topic.CLAIM_PAID, subject: str = "player:42", **facts: Any) -> Letter:
    """Return a letter to a player."""
    return Letter(
        subject=subject, number=1, topic=topic, facts={**FACTS[topic], **facts}, at=NOON, first=1
    )


class BotApi:
    """A server that answers each request as it is told, and keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        """Answer these in turn, the last one for ever; by nothing at all, never."""
        self.replies = list(replies)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._under_way: list[asyncio.Task[Any]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.append(task)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        size = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        self.asked.append((lines[0].split()[1], json.loads(await reader.readexactly(size))))
        if not self.replies:
            await reader.read()  # until the client gives up
        reply = self.replies.pop(0) if len(self.replies) > 1 else next(iter(self.replies), None)
        if reply is not None:
            status, body = reply
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def run(self, work: Callable[[TelegramNotifier], Awaitable[None]]) -> None:
        """Run work with a notifier that speaks with this server."""

        async def served() -> None:
            server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            timeout_s = 30.0 if self.replies else 0.3
            base_url = f"http://127.0.0.1:{port}/"
            notifier = TelegramNotifier(TOKEN, base_url=base_url, timeout_s=timeout_s)
            try:
                await work(notifier)
            finally:
                await notifier.close()
                server.close()
                await asyncio.gather(*self._under_way)

        asyncio.run(served())

    def failure(self, one: Letter | None = None) -> Exception:
        """Deliver a letter, and return how that failed."""
        found: list[Exception] = []

        async def work(notifier: TelegramNotifier) -> None:
            try:
                await notifier.deliver(one or letter())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
                found.append(error)

        self.run(work)
        return found[0]


def answer(**fields: Any) -> bytes:
    """Return an answer of the bot API."""
    return json.dumps(fields).encode()


def test_a_letter_is_a_message_to_the_player() -> None:
    """In HTML, without a preview of links, to the chat that has the player's id."""
    api = BotApi((200, answer(ok=True, result={})))

    async def work(notifier: TelegramNotifier) -> None:
        await notifier.deliver(letter())

    api.run(work)
    ((path, message),) = api.asked
    assert path == f"/bot{TOKEN}/sendmessage".replace(" ", "%20")
    assert message == {
        "chat_id": 42,
        "text": text_of(letter()),
        "parse_mode": "HTML",
        "disable_web_page_preview": True,
    }


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ((403, answer(ok=False, description="Forbidden: bot was blocked")), Undeliverable),
        ((400, answer(ok=False, description="Bad Request: chat not found")), Undeliverable),
        ((400, b"nonsense"), Undeliverable),
        ((401, answer(ok=False, description="Unauthorized")), Unavailable),
        ((404, answer(ok=False, description="Not Found")), Unavailable),
        ((500, b""), Unavailable),
        ((502, b"<html>"), Unavailable),
        ((200, b"<html>"), Unavailable),
        ((200, answer(ok=False)), Unavailable),
        (None, Unavailable),
    ],
)
def test_each_answer_says_what_becomes_of_the_letter(reply: Reply, kind: type[Exception]) -> None:
    """The letter's own fault is final; the bot's, the server's and the network's may pass."""
    failure = BotApi(reply).failure()
    assert type(failure) is kind


def test_a_server_that_never_answers_is_an_outage() -> None:
    """No request lasts longer than it may."""
    failure = BotApi().failure()
    assert type(failure) is Unavailable
    assert "TimeoutError" in str(failure)


@pytest.mark.parametrize(
    ("parameters", "pause_ms"),
    [
        ({"retry_after": 7}, 7_000),
        ({"retry_after": 10**9}, 3_600_000),
        ({"retry_after": -1}, 30_000),
        ({"retry_after": "7"}, 30_000),
        (None, 30_000),
    ],
)
def test_too_many_messages_ask_for_a_pause(parameters: object, pause_ms: int) -> None:
    """As long as Telegram says, within reason."""
    failure = BotApi((429, answer(ok=False, parameters=parameters))).failure()
    assert isinstance(failure, NotNow)
    assert failure.retry_after_ms == pause_ms


def test_the_token_is_in_no_text(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in failures and what caused them, nor in the log, nor in a repr."""
    caplog.set_level(logging.INFO)
    failures = [BotApi(None).failure(), BotApi((500, b"")).failure(), BotApi().failure()]
    texts = [f"{each!r} {each.__cause__!r} {each.__suppress_context__}" for each in failures]

    async def shown(notifier: TelegramNotifier) -> None:
        texts.append(repr(notifier))

    BotApi((200, b"")).run(shown)
    assert not [text for text in (*texts, caplog.text) if TOKEN[7:20] in text]


@pytest.mark.parametrize("subject", ["guild:1", "player:", "player:x", "player:-1", "42"])
def test_whoever_has_no_chat_gets_nothing(subject: str) -> None:
    """Such a letter asks nobody anything."""
    api = BotApi((200, answer(ok=True)))
    assert isinstance(api.failure(letter(subject=subject)), Undeliverable)
    assert api.asked == []


def test_a_refusal_that_repeats_the_token_is_not_kept() -> None:
    """The reason is stored with the letter and shown to operators."""
    told = f"Bad Request: POST /bot{TOKEN}/sendMessage"
    failure = BotApi((400, answer(ok=False, description=told))).failure()
    assert str(failure) == "Telegram: a refusal that repeats the token"


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_has_a_text(topic: Topic) -> None:
    """With what there is to say."""
    text = text_of(letter(topic))
    shown = {"score", "aiba", "neur", "diamonds", "until"} & FACTS[topic].keys()
    assert all(str(FACTS[topic][name]) in text for name in shown)


def test_what_was_not_won_is_not_told() -> None:
    """Stars and Diamonds are named where there are some."""
    text = text_of(letter(Topic.BATTLE_WON))
    assert ("Stars" in text, "Diamonds: +2" in text) == (False, True)


@given(reason=st.text(max_size=2_000))
def test_a_reason_is_text_and_no_markup(reason: str) -> None:
    """Whatever an operator wrote can't break the message or make it too long."""
    text = text_of(letter(Topic.PLAYER_BANNED, reason=reason))
    assert len(text) < MAX_TEXT
    body = text.partition("Reason: ")[2].rpartition("\nUntil")[0]
    assert "<" not in body
    assert ">" not in body
