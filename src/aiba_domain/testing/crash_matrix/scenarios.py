"""The scenarios: every command with a key and without one, and every flow that talks to a port.

Each begins on the stage and comes to an end, whatever strikes meanwhile: clients ask until they are
answered, and the settlement runs. A new port call needs a scenario here that reaches it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from aiba_domain.administration.account_commands import AddAdmin, RevokeTokens
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.mode_commands import DeleteMode, MakeMode
from aiba_domain.brokers.mint_commands import CompleteMint, FailMint
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.commands import RecordSignature
from aiba_domain.decision import Command
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.config_commands import AdjustCap, SetRates, UpdateRate
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.moderation.leader_commands import SyncTopLeaderBadges
from aiba_domain.testing.crash_matrix import acts
from aiba_domain.testing.crash_matrix.admins import look_at_admins
from aiba_domain.testing.crash_matrix.auditing import audit
from aiba_domain.testing.crash_matrix.bench import Bench
from aiba_domain.testing.crash_matrix.calls import calls
from aiba_domain.testing.crash_matrix.parts import Need
from aiba_domain.testing.crash_matrix.stage import (
    COMMANDS,
    KEY,
)

Act = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that happens, and the port calls that it is here for.

    `prepare` is done before anything can strike. `begins_empty`: without the stage. `commands` are
    those that it is about. `may_differ` names the parts of the final state that a fault may change,
    or `told` for what clients are told, and says why that is right.
    """

    name: str
    act: Act
    reaches: tuple[str, ...]
    prepare: Act = acts.nothing
    needs: frozenset[Need] = frozenset()
    begins_empty: bool = False
    commands: tuple[type[Command[Any]], ...] = ()
    may_differ: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_command(self) -> bool:
        """Whether it is one command under a key."""
        return [kind.__name__ for kind in self.commands] == [self.name]


_VERSION: Final = {"policy": "a change that is made again makes one more version, of the same"}
_ENDED_AGAIN: Final = "tokens that are ended again are ended once more"
_AGAIN: Final[Mapping[type[Command[Any]], Mapping[str, str]]] = {
    BanPlayer: {"letters": "whoever is banned again is told so again"},
    ChangePolicy: _VERSION,
    SetRates: _VERSION,
    UpdateRate: _VERSION,
    AdjustCap: {"told": "once adjusted, there is nothing to adjust"},
    MakeMode: {"told": "a key that is taken can't be taken again"},
    DeleteMode: {"told": "what is gone isn't found"},
    CompleteMint: {"told": "a job that is over can't be ended again"},
    FailMint: {"told": "a job that is over can't be ended again"},
    SyncTopLeaderBadges: {"told": "holders are counted as they were just before"},
    AddAdmin: {"told": "an account is made once"},
    RevokeTokens: {"admins": _ENDED_AGAIN, "told": _ENDED_AGAIN},
}
"""What a fault may change where a command is made again without a key."""


def _commands() -> list[Scenario]:
    """Return each command under a key, and without one where it needs none."""
    found = []
    for kind in COMMANDS:
        prepare = acts.sign_beforehand if kind is RecordSignature else acts.nothing
        keys = (KEY,) if HANDLERS[kind].keyed else (KEY, None)
        for key in keys:
            scenario = Scenario(
                name=kind.__name__ if key else f"{kind.__name__} without a key",
                act=partial(acts.issue, kind, key),
                reaches=("Store.transact", "UnitOfWork.write", "Clock.now"),
                prepare=prepare,
                commands=(kind,),
                may_differ={} if key else _AGAIN.get(kind, {}),
            )
            found.append(scenario)
    return found


_DOOR: Final = frozenset({Need.FRONT_DOOR})
_ISOLATED: Final = frozenset({Need.ISOLATED})

_FLOWS: Final = (
    Scenario(
        name="a battle by its arena",
        act=acts.battle_by_arena,
        reaches=("Reader.modes", "SeedSecrets.promised"),
        commands=(RunBattle,),
    ),
    Scenario(
        name="requests sent twice",
        act=acts.send_twice,
        reaches=(
            "Observer.committed",
            "Observer.replayed",
            "Reader.battle",
            "Reader.guild_of",
            "Reader.listing",
            "Reader.remembered",
            "Reader.rivals_of",
        ),
        commands=(RunBattle, CreateBrokerWithTon),
    ),
    Scenario(
        name="a first start",
        act=acts.start,
        reaches=("Reader.epoch", "Reader.modes", "SeedSecrets.secret"),
        begins_empty=True,
    ),
    Scenario(name="a new seed epoch", act=acts.rotate, reaches=("Reader.epochs",)),
    Scenario(name="a check of health", act=acts.check, reaches=("Store.check",)),
    Scenario(
        name="a stop in good order",
        act=acts.shut_down,
        reaches=("Store.close",),
        needs=frozenset({Need.REOPEN}),
    ),
    Scenario(
        name="a look around",
        act=acts.look_around,
        reaches=(
            "Reader.battles_of",
            "Reader.brokers_of",
            "Reader.claims_of",
            "Reader.open_claims",
            "Store.read",
        ),
    ),
    Scenario(
        name="an operator looks around",
        act=acts.look_as_operator,
        reaches=(
            "Reader.badge_holders",
            "Reader.broker_of_nft",
            "Reader.flagged_brokers",
            "Reader.flagged_players",
            "Reader.latest_brokers",
            "Reader.leaders",
            "Reader.mint_jobs",
            "Reader.movements",
            "Reader.policies",
            "Reader.recent_flags",
            "Reader.spent",
            "Reader.totals",
        ),
    ),
    Scenario(
        name="a look at the admins",
        act=look_at_admins,
        reaches=(
            "Reader.admin_account",
            "Reader.admin_accounts",
            "Reader.attempts",
            "Reader.audit_rows",
            "Reader.audit_trail",
            "Reader.last_audit_row",
        ),
    ),
    Scenario(
        name="an audit",
        act=audit,
        reaches=(
            "Reader.accounts",
            "Reader.audit_state",
            "Reader.audited",
            "Reader.audited_of",
            "Reader.checkpoint_of",
            "Reader.checkpoints",
            "Reader.entries",
            "Reader.last_checkpoint",
            "Reader.ledger",
            "Reader.ledger_standing",
            "Reader.stored_balances",
        ),
    ),
    Scenario(
        name="a look at the vault",
        act=acts.look_at_the_vault,
        reaches=("ChainReader.inventory", "VaultReader.inventory", "VaultReader.sighting"),
    ),
    Scenario(
        name="a withdrawal, paid",
        act=acts.withdraw_paid,
        reaches=("ChainReader.view", "Reader.claim", "Reader.open_claims", "Signer.sign"),
    ),
    Scenario(
        name="two withdrawals, paid",
        act=acts.withdraw_twice,
        reaches=("Reader.confirmed_seqno", "Reader.open_claim", "Reader.claimed"),
    ),
    Scenario(
        name="a withdrawal, expired",
        act=acts.withdraw_expired,
        reaches=("ChainReader.view", "Signer.sign"),
    ),
    Scenario(
        name="a withdrawal, issued again",
        act=acts.withdraw_reissued,
        reaches=("ChainReader.view", "Signer.sign"),
        prepare=acts.allow_reissues,
    ),
    Scenario(
        name="a settlement under a lease",
        act=acts.settle_under_a_lease,
        reaches=("Leases.acquire", "Leases.renew", "Leases.release", "Reader.lease"),
    ),
    Scenario(
        name="letters brought under a lease",
        act=acts.bring_letters,
        reaches=(
            "Notifier.deliver",
            "Reader.backlog",
            "Reader.dead_letters",
            "Reader.letter",
            "Reader.mailbox",
            "Reader.mailboxes_due",
        ),
        commands=(RunBattle,),
    ),
    Scenario(
        name="a withdrawal through an outage",
        act=acts.withdraw_through_an_outage,
        reaches=("Observer.failed",),
    ),
    Scenario(
        name="a reward, withdrawn at once",
        act=acts.withdraw_a_reward,
        reaches=("ChainReader.view", "Signer.sign"),
        commands=(RunBattle,),
    ),
    Scenario(
        name="a broker for TON",
        act=acts.buy_a_broker,
        reaches=("PaymentReader.payment", "Reader.payment_use"),
        prepare=acts.bring_a_payment,
        commands=(CreateBrokerWithTon,),
    ),
    Scenario(
        name="a session",
        act=acts.log_in,
        reaches=tuple(
            name
            for name, call in calls().items()
            if call.port in {"Identity", "Identities", "SessionClaim", "Sessions", "RateLimiter"}
        ),
        needs=_DOOR,
    ),
    Scenario(
        name="an isolated signer",
        act=acts.start_signing,
        reaches=(
            "Key.public_key",
            "Key.sign",
            "ProtectionStore.transact",
            "ProtectionUnit.note",
            "ProtectionUnit.protect",
            "ProtectionUnit.standing",
            "Signer.sign",
            "SigningChain.time_s",
        ),
        needs=_ISOLATED,
    ),
    Scenario(
        name="an isolated signer over a gap",
        act=acts.withdraw_over_a_gap,
        reaches=("ProtectionUnit.raise_mark", "SigningChain.view"),
        prepare=acts.signed_elsewhere,
        needs=_ISOLATED,
    ),
    Scenario(
        name="an isolated signer, locked and unlocked",
        act=acts.lock_and_unlock,
        reaches=(
            "ProtectionUnit.dump",
            "ProtectionUnit.learned",
            "ProtectionUnit.lock",
            "ProtectionUnit.recipients",
            "ProtectionUnit.restore",
            "ProtectionUnit.state",
            "ProtectionUnit.unlock",
            "SigningChain.view",
        ),
        needs=_ISOLATED,
    ),
    Scenario(
        name="an isolated signer, stopped",
        act=acts.close_the_memory,
        reaches=("ProtectionStore.close",),
        needs=_ISOLATED,
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario for scenario in (*_commands(), *_FLOWS)
}
"""All scenarios by name, the commands' first."""
