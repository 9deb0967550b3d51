"""The catalogue of commands: what the service can be asked to change. Add a new command here."""

from collections.abc import Mapping
from typing import Any

from aiba_domain.administration import account_commands as accounts
from aiba_domain.administration import commands as administration
from aiba_domain.application.handler import Handler
from aiba_domain.battle import commands as battle
from aiba_domain.battle import mode_commands as modes
from aiba_domain.brokers import commands as brokers
from aiba_domain.brokers import mint_commands as minting
from aiba_domain.brokers import payment_commands as purchases
from aiba_domain.claims import commands as claims
from aiba_domain.decision import Command
from aiba_domain.economy import commands as economy
from aiba_domain.economy import config_commands as config
from aiba_domain.economy import treasury_commands as treasury
from aiba_domain.fairness import commands as fairness
from aiba_domain.leases import commands as leases
from aiba_domain.ledger_audit import commands as ledger_audit
from aiba_domain.moderation import commands as moderation
from aiba_domain.moderation import leader_commands as leaders
from aiba_domain.outbox import commands as outbox
from aiba_domain.players import commands as players

_AREAS: tuple[tuple[Handler[Any, Any, Any], ...], ...] = (
    players.HANDLERS,
    brokers.HANDLERS,
    purchases.HANDLERS,
    minting.HANDLERS,
    battle.HANDLERS,
    modes.HANDLERS,
    economy.HANDLERS,
    config.HANDLERS,
    treasury.HANDLERS,
    claims.HANDLERS,
    moderation.HANDLERS,
    leaders.HANDLERS,
    fairness.HANDLERS,
    leases.HANDLERS,
    ledger_audit.HANDLERS,
    outbox.HANDLERS,
    administration.HANDLERS,
    accounts.HANDLERS,
)

HANDLERS: Mapping[type[Command[Any]], Handler[Any, Any, Any]] = {
    handler.command: handler for area in _AREAS for handler in area
}
"""Every command's handler by the command's type."""
