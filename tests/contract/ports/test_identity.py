"""Telegram's launch data and the session tokens keep their contracts."""

import json

from aiba_adapters.sessions import SessionTokens
from aiba_adapters.telegram import TelegramIdentities, sign
from aiba_domain.testing.contracts import Capability, IdentityContract, SessionsContract


class TelegramStage:
    """A bot and its Mini App."""

    def __init__(self, bot_token: str) -> None:
        """Share the bot's token."""
        self._bot_token = bot_token
        self.identities = TelegramIdentities(bot_token)

    def proof(self, player_id: str, at_s: int) -> str:
        """Sign as Telegram would."""
        user = json.dumps({"id": int(player_id), "first_name": "Zoë & Co"})
        return sign({"auth_date": str(at_s), "query_id": "q=1", "user": user}, self._bot_token)


class TestTelegramIdentities(IdentityContract):
    """initData of a Mini App."""

    def make_stage(self, secret: str) -> TelegramStage:
        """Share the bot's token."""
        return TelegramStage(secret)


class TestSessionTokens(SessionsContract):
    """Session tokens."""

    capabilities = frozenset({Capability.REOPEN})

    def make_sessions(self, key: bytes) -> SessionTokens:
        """Make them."""
        return SessionTokens(key)


class TestSessionTokensOfTwoKeys(SessionsContract):
    """The same while another key is known beside, as a secret takes another's place."""

    capabilities = frozenset({Capability.REOPEN})

    def make_sessions(self, key: bytes) -> SessionTokens:
        """Know the key before, which nothing is made with."""
        return SessionTokens(key, b"the key that went before this one")
