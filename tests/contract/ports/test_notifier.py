"""Whoever brings letters takes every topic, and fails in the port's words."""

from collections.abc import Sequence

import httpx

from aiba_adapters.telegram.notifier import TelegramNotifier
from aiba_domain.outbox.model import Letter
from aiba_domain.testing.contracts import NotifierContract
from aiba_domain.testing.crash_matrix.letters import Postman


class TestTelegramNotifier(NotifierContract):
    """Messages of a bot, to a bot API that takes everything."""

    async def bring(self, letters: Sequence[Letter]) -> None:
        """Send letters."""
        takes_all = httpx.MockTransport(lambda _request: httpx.Response(200, json={"ok": True}))
        notifier = TelegramNotifier("1:token", base_url="https://bot.example", transport=takes_all)
        try:
            for letter in letters:
                await notifier.deliver(letter)
        finally:
            await notifier.close()


class TestPostman(NotifierContract):
    """The notifier of tests."""

    async def bring(self, letters: Sequence[Letter]) -> None:
        """Note letters."""
        postman = Postman()
        for letter in letters:
            await postman.deliver(letter)
