"""Telegram: who a Mini App's launch data says the player is."""

from aiba_adapters.telegram.init_data import (
    InitDataRefused,
    Problem,
    TelegramIdentities,
    TelegramIdentity,
    sign,
    verify,
)

__all__ = ["InitDataRefused", "Problem", "TelegramIdentities", "TelegramIdentity", "sign", "verify"]
