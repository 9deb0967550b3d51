"""The port's reads of the state."""

from collections.abc import Iterable, Mapping, Sequence

from aiba_adapters.memory.audit_reads import AuditReads
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import (
    emission_prefix,
)
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.leases.model import Lease
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Backlog, Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session
from aiba_domain.ports import (
    Entry,
    Remembered,
    Scope,
)


class MemoryReads(AuditReads):
    """Implements the port's reads."""

    async def player(self, player_id: str) -> Player | None:
        return self._get(Player, player_id)

    async def session(self, session_id: str) -> Session | None:
        return self._get(Session, session_id)

    async def broker(self, broker_id: str) -> Broker | None:
        return self._get(Broker, broker_id)

    async def brokers_of(self, player_id: str) -> Sequence[Broker]:
        mine = [broker for broker in self._all(Broker) if broker.owner_id == player_id]
        return sorted(mine, key=lambda broker: (broker.created_at, broker.id), reverse=True)

    async def battle(self, battle_id: str) -> Battle | None:
        return self._get(Battle, battle_id)

    async def battles_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        mine = [
            battle
            for battle in self._all(Battle)
            if battle.player_id == player_id
            and (before is None or (battle.created_at, battle.id) < before)
        ]
        mine.sort(key=lambda battle: (battle.created_at, battle.id), reverse=True)
        return mine[:limit]

    async def mode(self, key: str) -> GameMode | None:
        return self._get(GameMode, key)

    async def modes(self) -> Sequence[GameMode]:
        return sorted(self._all(GameMode), key=lambda mode: (mode.arena, mode.league, mode.key))

    async def guild_of(self, player_id: str) -> Guild | None:
        mine = [
            guild for guild in self._all(Guild) if guild.active and player_id in guild.member_ids
        ]
        return min(mine, key=lambda guild: guild.id, default=None)

    async def rivals_of(self, guild: Guild) -> Sequence[GuildStrength]:
        return [
            GuildStrength(guild_id=other.id, pooled=other.pooled)
            for other in self._all(Guild)
            if other.active and other.id != guild.id
        ]

    async def wallet_owner(self, address: str) -> str | None:
        return self._state.wallets.get(address)

    async def claim(self, claim_id: str) -> Claim | None:
        return self._get(Claim, claim_id)

    async def open_claim(self, vault: str, recipient: str) -> Claim | None:
        flying = self._state.flights.get((vault, recipient))
        return None if flying is None else self._get(Claim, flying)

    async def confirmed_seqno(self, vault: str, recipient: str) -> int:
        target = (vault, recipient)
        paid = (
            claim.terms.seqno
            for claim in self._all(Claim)
            if claim.state is ClaimState.CONFIRMED
            and (claim.terms.vault, claim.terms.recipient) == target
        )
        return max(paid, default=0)

    async def open_claims(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Claim]:
        flying = [
            claim
            for claim in self._all(Claim)
            if claim.is_open and (after is None or (claim.created_at, claim.id) > after)
        ]
        flying.sort(key=lambda claim: (claim.created_at, claim.id))
        return flying[:limit]

    async def claims_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Claim]:
        mine = [
            claim
            for claim in self._all(Claim)
            if claim.player_id == player_id
            and (before is None or (claim.created_at, claim.id) < before)
        ]
        mine.sort(key=lambda claim: (claim.created_at, claim.id), reverse=True)
        return mine[:limit]

    async def claimed(self, day: str, player_id: str | None) -> int:
        return self._state.claimed.get((day, player_id), 0)

    async def payment_use(self, tx_hash: str) -> UsedPayment | None:
        return self._get(UsedPayment, tx_hash)

    async def listing(self, listing_id: str) -> Listing | None:
        return self._get(Listing, listing_id)

    async def listing_of(self, broker_id: str) -> Listing | None:
        offer = self._state.offers.get(broker_id)
        return None if offer is None else self._get(Listing, offer)

    async def flags_of(self, subject: Subject, subject_id: str) -> Sequence[Flag]:
        flags = [
            flag
            for flag in self._all(Flag)
            if flag.subject is subject and flag.subject_id == subject_id
        ]
        return sorted(flags, key=lambda flag: (flag.at, flag.id))

    async def lease(self, name: str) -> Lease | None:
        return self._get(Lease, name)

    async def mailbox(self, subject: str) -> Mailbox | None:
        return self._get(Mailbox, subject)

    async def mailboxes_due(self, now: int, *, limit: int) -> Sequence[Mailbox]:
        due = [each for each in self._all(Mailbox) if each.is_pending and each.due_at <= now]
        return sorted(due, key=lambda each: (each.due_at, each.subject))[:limit]

    async def letter(self, letter_id: str) -> Letter | None:
        return self._get(Letter, letter_id)

    async def dead_letters(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Letter]:
        dead = [
            ((each.died_at, each.id), each)
            for each in self._all(Letter)
            if each.died_at is not None
        ]
        dead.sort(key=lambda each: each[0])
        return [each for place, each in dead if after is None or place > after][:limit]

    async def backlog(self) -> Backlog:
        waiting = [each.at for each in self._all(Letter) if not each.is_dead]
        dead = sum(each.is_dead for each in self._all(Letter))
        return Backlog(pending=len(waiting), oldest_at=min(waiting, default=None), dead=dead)

    async def epoch(self) -> SeedEpoch | None:
        return max(self._all(SeedEpoch), key=lambda epoch: epoch.number, default=None)

    async def epochs(self) -> Sequence[SeedEpoch]:
        return sorted(self._all(SeedEpoch), key=lambda epoch: epoch.number)

    async def policy(self) -> EconomyPolicy:
        return max(self._all(EconomyPolicy), key=lambda policy: policy.version)

    async def balances(self, account: str) -> Mapping[Currency, int]:
        held = self._state.balances
        return {
            currency: held[account, currency]
            for currency in Currency
            if (account, currency) in held
        }

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:
        prefix = emission_prefix(day)
        found: dict[Currency, dict[str, int]] = {}
        balances = self._state.balances
        for account, currency in self._state.sources:
            if account.startswith(prefix) and (account, currency) in balances:
                emitted = -balances[account, currency]
                found.setdefault(currency, {})[account.removeprefix(prefix)] = emitted
        return {currency: EmissionUse(by_arena=arenas) for currency, arenas in found.items()}

    async def accounts(self) -> Mapping[tuple[str, Currency], int]:
        return dict(self._state.balances)

    def entries(self) -> Iterable[Entry]:
        return tuple(self._state.entries)

    async def remembered(self, scope: Scope) -> Remembered | None:
        return self._state.answers.get(scope)
