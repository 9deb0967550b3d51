"""The ports: what the core needs from outside, each with the guarantees its adapters owe.

Shapes are checked by mypy in `tests/typing`, meanings by the contract suites.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditFilter,
    AuditRow,
)
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.decision import Accepted, Record, Refused
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.events import Event
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage, StoredBalances
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.outage import Clock as Clock  # noqa: PLC0414 - a port like those here
from aiba_domain.outage import Unavailable as Unavailable  # noqa: PLC0414 - as above
from aiba_domain.outbox.model import Backlog, Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an idempotency key is unique within: one principal and one kind of command."""

    principal: str
    command: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The first answer to a key, kept for ever.

    `fingerprint` is a digest of the request's body, by which another request under the same key is
    told apart.
    """

    scope: Scope
    fingerprint: str
    outcome: Accepted[object] | Refused
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One posting as the ledger holds it: numbered in commit order and dated."""

    number: int
    at: int
    posting: Posting


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One posting of the history and when it was made, without its number."""

    at: int
    posting: Posting


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How many players and battles there are, and how many of a UTC day.

    `players_seen` are those who were last seen on that day: all of its players, while it lasts.
    """

    players: int
    players_seen: int
    battles: int
    battles_fought: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A player who has fought, and the sum of the scores of all their battles."""

    player_id: str
    score: int


class Reader(Protocol):
    """Reads of one consistent state; what is absent is None or an empty collection."""

    async def player(self, player_id: str) -> Player | None:
        """Return a player."""
        ...

    async def session(self, session_id: str) -> Session | None:
        """Return a session."""
        ...

    async def broker(self, broker_id: str) -> Broker | None:
        """Return a broker."""
        ...

    async def brokers_of(self, player_id: str) -> Sequence[Broker]:
        """Return a player's brokers, newest first."""
        ...

    async def broker_of_nft(self, item_address: str) -> Broker | None:
        """Return the broker that an NFT is of; there is one at the most."""
        ...

    async def latest_brokers(self, *, minted: bool | None, limit: int) -> Sequence[Broker]:
        """Return up to `limit` brokers of all, newest first; only minted or unminted, None both."""
        ...

    async def flagged_brokers(self, *, least: int, limit: int) -> Sequence[Broker]:
        """Return up to `limit` brokers with at least `least` flags, which is 1 or more.

        The most flags first, of as many the one that changed last.
        """
        ...

    async def flagged_players(self, *, least: int, limit: int) -> Sequence[Player]:
        """Return up to `limit` players with at least `least` flags, as `flagged_brokers` does."""
        ...

    async def leaders(self, *, limit: int) -> Sequence[Leader]:
        """Return up to `limit` of those who have fought, by the score of all their battles.

        The highest first, of as high ones the smallest id, as texts compare.
        """
        ...

    async def badge_holders(self, badge: str, *, limit: int) -> Sequence[Player]:
        """Return up to `limit` players who have a badge, by rising id."""
        ...

    async def mint_job(self, job_id: str) -> MintJob | None:
        """Return a mint job."""
        ...

    async def mint_job_of(self, broker_id: str) -> MintJob | None:
        """Return a broker's open mint job; there is one at the most."""
        ...

    async def mint_jobs(self, *, status: MintStatus | None, limit: int) -> Sequence[MintJob]:
        """Return up to `limit` mint jobs, newest first; of one status, or with None of any."""
        ...

    async def battle(self, battle_id: str) -> Battle | None:
        """Return a battle."""
        ...

    async def battles_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        """Return up to `limit` battles of a player, newest first, older than `before`.

        `before` is the (created_at, id) of the last one already seen.
        """
        ...

    async def mode(self, key: str) -> GameMode | None:
        """Return a game mode."""
        ...

    async def modes(self) -> Sequence[GameMode]:
        """Return all game modes, ordered by arena, league and key."""
        ...

    async def guild_of(self, player_id: str) -> Guild | None:
        """Return the player's active guild; with several, the one with the smallest id."""
        ...

    async def rivals_of(self, guild: Guild) -> Sequence[GuildStrength]:
        """Return the other active guilds that could be the nearest in strength to `guild`.

        At least: for both directions, the nearest pooled count with the smallest id.
        """
        ...

    async def wallet_owner(self, address: str) -> str | None:
        """Return the player who has a wallet bound; an address is raw and canonical."""
        ...

    async def claim(self, claim_id: str) -> Claim | None:
        """Return a claim."""
        ...

    async def open_claim(self, vault: str, recipient: str) -> Claim | None:
        """Return the claim of a recipient whose money is in flight; there is one at the most."""
        ...

    async def confirmed_seqno(self, vault: str, recipient: str) -> int:
        """Return the highest seqno of a recipient's confirmed claims, 0 without any."""
        ...

    async def open_claims(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Claim]:
        """Return up to `limit` claims whose money is in flight, oldest first.

        `after` is the (created_at, id) of the last one already seen.
        """
        ...

    async def claims_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Claim]:
        """Return up to `limit` claims of a player, newest first, older than `before`."""
        ...

    async def claimed(self, day: str, player_id: str | None) -> int:
        """Return the AIBA of the claims reserved on a UTC day and not refunded.

        Of one player, or of all with None.
        """
        ...

    async def remembered(self, scope: Scope) -> Remembered | None:
        """Return the first answer given under a key, if there was one."""
        ...

    async def payment_use(self, tx_hash: str) -> UsedPayment | None:
        """Return how a TON payment was used, whatever for; it is used once."""
        ...

    async def listing(self, listing_id: str) -> Listing | None:
        """Return a listing, active or not."""
        ...

    async def listing_of(self, broker_id: str) -> Listing | None:
        """Return a broker's active listing; there is one at the most."""
        ...

    async def flags_of(self, subject: Subject, subject_id: str) -> Sequence[Flag]:
        """Return the flags of a player or a broker, oldest first."""
        ...

    async def recent_flags(self, subject: Subject, *, limit: int) -> Sequence[Flag]:
        """Return up to `limit` flags of all players or of all brokers, newest first."""
        ...

    async def lease(self, name: str) -> Lease | None:
        """Return a lease, whoever holds it, as it was last written."""
        ...

    async def mailbox(self, subject: str) -> Mailbox | None:
        """Return a subject's mailbox, whether anything waits in it or not."""
        ...

    async def mailboxes_due(self, now: int, *, limit: int) -> Sequence[Mailbox]:
        """Return up to `limit` mailboxes in which a letter waits that is due at `now`.

        Those that are due the longest first, then by subject.
        """
        ...

    async def letter(self, letter_id: str) -> Letter | None:
        """Return a letter of the outbox, dead or alive; one that was delivered is gone."""
        ...

    async def dead_letters(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Letter]:
        """Return up to `limit` letters that were given up, those that died first before others.

        `after` is the (died_at, id) of the last one already seen.
        """
        ...

    async def backlog(self) -> Backlog:
        """Return how much the outbox holds."""
        ...

    async def admin_account(self, email: str) -> AdminAccount | None:
        """Return an admin's account; the email is in lower case."""
        ...

    async def admin_accounts(self) -> Sequence[AdminAccount]:
        """Return all admins' accounts, ordered by email."""
        ...

    async def admin_session(self, session_id: str) -> AdminSession | None:
        """Return the session of an admin's token, revoked or not."""
        ...

    async def last_audit_row(self) -> AuditRow | None:
        """Return the row of the audit trail with the highest number."""
        ...

    async def audit_rows(
        self, wanted: AuditFilter, *, offset: int, limit: int
    ) -> tuple[Sequence[AuditRow], int]:
        """Return up to `limit` rows of the audit trail after `offset`, and how many there are.

        Newest first, those of one instant by falling number. Texts are looked for as they are,
        never as patterns.
        """
        ...

    async def attempts(self, email: str, *, since: int) -> Sequence[AuditRow]:
        """Return the rows at or after an instant of logins that tried this email's password.

        Newest first, by number; only rows that `is_attempt`. What else is in the trail makes it no
        slower: it is asked for at every login.
        """
        ...

    async def audit_trail(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        """Return up to `limit` rows with numbers above `after`, by rising number."""
        ...

    async def epoch(self) -> SeedEpoch | None:
        """Return the open seed epoch: the one with the highest number."""
        ...

    async def epochs(self) -> Sequence[SeedEpoch]:
        """Return all seed epochs, oldest first."""
        ...

    async def policy(self) -> EconomyPolicy:
        """Return the newest economy policy; a new store has version 1 with the defaults."""
        ...

    async def policies(self, *, before: int | None, limit: int) -> Sequence[EconomyPolicy]:
        """Return up to `limit` versions of the policy below version `before`, newest first."""
        ...

    async def balances(self, account: str) -> Mapping[Currency, int]:
        """Return an account's balances; an absent currency is 0."""
        ...

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:
        """Return what a UTC day has emitted so far; a currency it hasn't emitted is absent."""
        ...

    async def spent(self, day: str) -> Mapping[str, Mapping[Currency, int]]:
        """Return what the sinks of a UTC day hold, by what `sink_account` names after the day."""
        ...

    async def movements(self, account: str | None, *, limit: int) -> Sequence[Movement]:
        """Return up to `limit` postings from or to an account, newest first; with None of all.

        An account of emission or a sink isn't asked for: only others are found by it.
        """
        ...

    async def totals(self, day: str) -> Totals:
        """Return how many players and battles there are, and of a UTC day."""
        ...

    async def accounts(self) -> Mapping[tuple[str, Currency], int]:
        """Return every account's balance, for audits."""
        ...

    def entries(self) -> "Iterable[Entry]":
        """Go through the whole ledger in commit order, for audits."""
        ...

    async def ledger(self, after: str, *, limit: int, settled: bool) -> LedgerPage:
        """Return up to `limit` entries after a place, as they are stored and whatever they are.

        `after` is the place of a page that this store ever gave, also before it was copied or put
        back, "" for the start; ValueError for what no store can have given.
        With `settled` only those whose numbers are final: nothing will ever come before them.
        Whether those that the asking unit has itself posted are among them isn't said.
        """
        ...

    async def stored_balances(self, after: str, *, limit: int) -> Sequence[StoredBalances]:
        """Return up to `limit` accounts with names above `after`, as they are stored, in order."""
        ...

    async def last_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint of the ledger with the highest number.

        Of this and what else an audit has stored: what can't be read any more comes as
        `unreadable`, `UNREADABLE` or of round 0, so that an audit can tell what is wrong.
        """
        ...

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[Checkpoint]:
        """Return up to `limit` checkpoints with numbers above `after`, by rising number."""
        ...

    async def checkpoint_of(self, account: str, *, before: int | None) -> Checkpoint | None:
        """Return the newest checkpoint that covers an entry from or to an account.

        With `before` the newest below that number. It isn't asked for accounts of emission and
        sinks.
        """
        ...

    async def audit_state(self) -> AuditState | None:
        """Return how far the audit's own balances have come."""
        ...

    async def audited(self, after: str, *, limit: int) -> Sequence[Audited]:
        """Return the audit's own balances of up to `limit` accounts with names above `after`."""
        ...

    async def audited_of(self, accounts: Collection[str]) -> Sequence[Audited]:
        """Return the audit's own balances of those of some accounts that it has any of."""
        ...

    async def ledger_standing(self) -> LedgerStanding | None:
        """Return where the continuous audit of the ledger stood when it last told."""
        ...


class UnitOfWork(Reader, Protocol):
    """Reads and one write that take effect together or not at all."""

    async def write(
        self,
        *,
        at: int,
        postings: Sequence[Posting] = (),
        changed: Sequence[Record] = (),
        removed: Sequence[Record] = (),
        remember: Remembered | None = None,
    ) -> None:
        """Apply postings to balances and history, keep and drop records, remember the answer.

        Raises InvariantViolation if a guarded account would go below 0, for a second answer under
        one key, for a second battle, flag, session, policy, audit row or checkpoint under one id,
        for a second use of a payment, for a second player with one wallet, for a second claim in
        flight to one recipient, for a second claim that isn't refunded under one seqno of a
        recipient, for a second active listing or open mint job of one broker, and for a second
        broker of one NFT. A write that raises undoes the whole unit, also if `work` goes on.
        """
        ...


class Store(Protocol):
    """Durable state with serializable units of work."""

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` as one atomic unit and return its result once it is durable.

        `work` awaits nothing but the unit of work and may run more than once; its last run counts.
        When it raises, nothing of it is kept. Raises Unavailable when the store is closing or down.
        """
        ...

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` against one consistent committed state and return its result."""
        ...

    async def check(self) -> None:
        """Raise Unavailable unless the store can commit."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then release everything. Later calls raise Unavailable."""
        ...


class SeedSecrets(Protocol):
    """The secrets that battle seeds are drawn with."""

    def secret(self, number: int) -> str:
        """Return the secret to open a seed epoch with; the same number gives the same secret."""
        ...

    def promised(self, number: int, commitment: str) -> str | None:
        """Return the secret that an epoch was committed to, None if it isn't at hand.

        It is `secret(number)`, or that of another root that the source knows while one takes the
        other's place.
        """
        ...


class Observer(Protocol):
    """Whoever counts what happened. Called after the commit; must neither block nor raise.

    An event is told at most once: a crash between the commit and the call loses it, and a repeated
    command isn't told again. What must not be lost is read from the ledger and the records.
    """

    def committed(self, event: Event) -> None:
        """Count something that took effect."""
        ...

    def failed(self, command: str) -> None:
        """Count a command that ended in an unexpected error."""
        ...

    def replayed(self, command: str) -> None:
        """Count an answer that was given again from memory."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rate limiter says of one hit; instants in ms, UTC."""

    allowed: bool
    limit: int
    remaining: int
    reset_at_ms: int
    retry_after_s: int


class RateLimiter(Protocol):
    """Counts hits per key in windows."""

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        """Count one hit of `key` under the limit `name` and say whether it is within `limit`.

        A key's window starts at its first hit and lasts `window_ms`; the first hit at or after its
        end starts the next. `remaining` is what is left in the window, which ends at `reset_at_ms`;
        `retry_after_s` is 0 for a hit that is allowed, and the wait rounded up for one that isn't.
        """
        ...
