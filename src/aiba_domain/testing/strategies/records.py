"""Strategies for what a store keeps, and for what it is made of."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from aiba_domain.administration.model import AdminAccount, AdminSession, AuditRow
from aiba_domain.battle.energy import LAST_INSTANT
from aiba_domain.battle.engine import Fighter, ModeRules
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import ARENAS, LEAGUE_LEVELS, GameMode, mode_id
from aiba_domain.battle.receipt import Receipt, battle_id
from aiba_domain.battle.resolve import BattleInputs, Emission, GuildMatch, resolve, settle
from aiba_domain.brokers.listing import Listing, ListingState
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import VALIDITY_S, ChainView, Claim, ClaimState
from aiba_domain.claims.commands import (
    BY_BATTLE,
    BY_REQUEST,
)
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.decision import Accepted, Record, Refused
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import RANGES, EconomyPolicy, TokenSplit
from aiba_domain.economy.rewards import Bonuses, RewardRates
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.fairness.epochs import SeedEpoch, commitment
from aiba_domain.guilds.model import Guild
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.moderation.model import Ban, Flag, Subject
from aiba_domain.money import BPS
from aiba_domain.outbox.model import MAX_ATTEMPTS, Letter, Mailbox, Topic
from aiba_domain.payments.model import IncomingPayment, Purpose, UsedPayment, order_comment
from aiba_domain.players.model import Player, Profile, Session
from aiba_domain.ports import Remembered, Scope
from aiba_domain.testing.strategies.administration import (
    admin_accounts,
    admin_sessions,
    audit_rows,
)
from aiba_domain.testing.strategies.basics import (
    COMMON_DAYS,
    COMMON_TIME_S,
    DAY,
    SMALL,
    amounts,
    currencies,
    fractions,
    ids,
    instants,
    maybe,
    names,
    player_ids,
    texts,
    tx_hashes,
    wallet_of,
)
from aiba_domain.testing.strategies.ledger_audit import (
    audit_states,
    audited,
    checkpoints,
    ledger_standings,
)


@cache
def bans() -> st.SearchStrategy[Ban]:
    """Bans, with and without an end."""
    return st.builds(Ban, reason=texts(), by=texts(), since=instants(), until=maybe(instants()))


@cache
def profiles() -> st.SearchStrategy[Profile]:
    """What Telegram may say of a player."""
    parts = {part.name: texts() for part in fields(Profile)}
    return st.builds(Profile, **parts)


def players() -> st.SearchStrategy[Player]:
    """Players with any history."""
    moments = maybe(instants())
    return st.builds(
        Player,
        id=player_ids(),
        created_at=instants(),
        updated_at=instants(),
        last_seen_at=instants(),
        profile=profiles(),
        starter_broker_id=maybe(ids()),
        login_streak_days=st.integers(0, SMALL),
        login_streak_day=st.sampled_from(("", *COMMON_DAYS)),
        win_streak=st.integers(0, SMALL),
        last_win_at=moments,
        first_win_at=moments,
        daily_claimed_at=moments,
        combo_spent_aiba=amounts(),
        combo_spent_day=st.sampled_from(("", *COMMON_DAYS)),
        combo_claimed_at=moments,
        premium_until=moments,
        wallet=st.sampled_from(("", "bound")),
        badges=st.lists(texts(), max_size=3).map(tuple),
        school_id=maybe(ids()),
        profile_boosted_until=moments,
        ban=maybe(bans()),
        anomaly_flags=st.integers(0, SMALL),
    ).map(lambda player: replace(player, wallet=player.wallet and wallet_of(player.id)))


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    """Withdrawals in any state."""
    state = draw(st.sampled_from(ClaimState))
    ended = state in {ClaimState.CONFIRMED, ClaimState.REFUNDED}
    return Claim(
        id=draw(ids()),
        player_id=draw(player_ids()),
        request_id=draw(names()),
        source_type=draw(st.sampled_from((BY_REQUEST, BY_BATTLE))),
        state=state,
        terms=ClaimTerms(
            vault=wallet_of("vault"),
            jetton_master=wallet_of("jetton master"),
            recipient=wallet_of(draw(player_ids())),
            amount=draw(amounts(1)),
            seqno=draw(st.integers(1, 9) | st.integers(1, MAX_SEQNO)),
            valid_until_s=draw(st.integers(1, MAX_VALID_UNTIL)),
        ),
        created_at=draw(instants()),
        signature=None if state is ClaimState.RESERVED else draw(texts()),
        payload=None if state is ClaimState.RESERVED else draw(texts()),
        settled_at=draw(instants()) if ended else None,
        seen=draw(chain_views()) if ended else None,
    )


@cache
def chain_views() -> st.SearchStrategy[ChainView]:
    """What may be seen of a recipient: few payments, around the common days or long after."""
    times = st.integers(COMMON_TIME_S, COMMON_TIME_S + 2 * VALIDITY_S)
    return st.builds(
        ChainView, seqno=st.integers(0, 3), time_s=times | st.just(MAX_VALID_UNTIL - VALIDITY_S)
    )


def used_payments() -> st.SearchStrategy[UsedPayment]:
    """Uses of payments."""
    return st.builds(
        UsedPayment,
        hash=tx_hashes(),
        purpose=st.sampled_from(Purpose),
        player_id=player_ids(),
        at=instants(),
    )


def leases() -> st.SearchStrategy[Lease]:
    """Leases, held and let go of."""
    return st.builds(
        Lease,
        name=names(),
        holder=names() | st.just(""),
        number=st.integers(1, SMALL),
        expires_at=instants(),
    )


def listings() -> st.SearchStrategy[Listing]:
    """Listings in any state."""
    return st.builds(
        Listing,
        id=ids(),
        broker_id=ids(),
        seller_id=player_ids(),
        price_aiba=amounts(),
        created_at=instants(),
        state=st.sampled_from(ListingState),
        agreed_at=maybe(instants()),
    )


def mint_jobs() -> st.SearchStrategy[MintJob]:
    """Mint jobs in any state, each of a broker of its own."""
    return st.builds(
        MintJob,
        id=ids(),
        broker_id=ids(),
        player_id=player_ids(),
        aiba_paid=amounts(),
        created_at=instants(),
        updated_at=instants(),
        status=st.sampled_from(MintStatus),
        nft_collection_address=texts(),
        nft_item_address=texts(),
        error_message=texts(),
        ended_at=maybe(instants()),
    ).map(lambda job: replace(job, broker_id=job.id))


def sessions() -> st.SearchStrategy[Session]:
    """Sessions."""
    return st.builds(
        Session, id=ids(), player_id=player_ids(), opened_at=instants(), expires_at=instants()
    )


def brokers() -> st.SearchStrategy[Broker]:
    """Brokers with any stats, tiredness and standing."""
    stats = st.integers(0, 100)
    return st.builds(
        Broker,
        id=ids(),
        owner_id=player_ids(),
        created_at=instants(),
        updated_at=instants(),
        intelligence=stats,
        speed=stats,
        risk=stats,
        specialty=texts(),
        level=st.integers(1, SMALL),
        xp=amounts(),
        energy=st.integers(0, SMALL),
        energy_updated_at=st.integers(-LAST_INSTANT, LAST_INSTANT),
        last_battle_at=maybe(instants()),
        last_request_id=texts(),
        cooldowns=st.dictionaries(names(), instants(), max_size=3),
        guild_id=maybe(ids()),
        ban=maybe(bans()),
        anomaly_flags=st.integers(0, SMALL),
        created_with_ton_tx_hash=st.just("") | tx_hashes(),
        nft_collection_address=texts(),
        nft_item_address=st.sampled_from(("", "minted")),
        nft_item_index=maybe(amounts()),
        metadata_uri=texts(),
    ).map(lambda broker: replace(broker, nft_item_address=broker.nft_item_address and broker.id))


def guilds() -> st.SearchStrategy[Guild]:
    """Guilds, active or not."""
    return st.builds(
        Guild,
        id=ids(),
        name=texts(),
        owner_id=player_ids(),
        member_ids=st.lists(player_ids(), max_size=4, unique=True).map(tuple),
        created_at=instants(),
        active=st.booleans(),
        pooled=st.integers(0, 20),
    )


@cache
def rules() -> st.SearchStrategy[ModeRules]:
    """Rules that a mode may be saved with: whole and broken factors."""
    factor = maybe(st.integers(0, 5) | st.floats(0, 5, width=16))
    league = maybe(st.integers(1, 5) | st.floats(0.5, 5, width=16))
    return st.builds(
        ModeRules,
        requires_guild=st.booleans(),
        min_broker_level=maybe(st.integers(1, 5)),
        intelligence_weight=factor,
        speed_weight=factor,
        risk_weight=factor,
        league_multiplier=league,
        variance_base=maybe(st.integers(0, 200)),
    )


@cache
def modes(*, key: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[GameMode]:
    """Game modes as operators may save them."""
    fee = st.integers(0, 60)
    return st.builds(
        GameMode,
        id=st.just(""),
        key=names() if key is None else key,
        name=st.text("abc \U0001f600\x00", min_size=1, max_size=10),
        description=texts(),
        arena=st.sampled_from(ARENAS),
        league=st.sampled_from(tuple(LEAGUE_LEVELS)),
        enabled=st.booleans(),
        energy_cost=st.integers(0, 20),
        cooldown_seconds=st.integers(0, 60),
        entry_neur=fee,
        entry_aiba=fee,
        reward_multiplier_aiba=fractions(3),
        reward_multiplier_neur=fractions(3),
        rules=rules(),
        created_at=instants(),
        updated_at=instants(),
    ).map(lambda mode: replace(mode, id=mode_id(mode.key)))


@cache
def fighters() -> st.SearchStrategy[Fighter]:
    """Brokers as a battle sees them."""
    stats = st.integers(0, 100)
    return st.builds(Fighter, intelligence=stats, speed=stats, risk=stats, level=st.integers(1, 30))


@cache
def rates() -> st.SearchStrategy[RewardRates]:
    """Reward rates, every knob at 0 or above."""
    knobs: dict[str, st.SearchStrategy[Any]] = {}
    for knob in fields(RewardRates):
        if knob.type is int:
            knobs[knob.name] = st.integers(0, 5)
        elif knob.name.endswith("_bps"):
            knobs[knob.name] = fractions(BPS)
        else:
            knobs[knob.name] = fractions(4)
    return st.builds(RewardRates, **knobs)


@cache
def windows() -> st.SearchStrategy[EmissionWindows]:
    """Emission windows: open, closed, over midnight, with overrides."""
    hours = st.integers(0, 24)
    window = st.builds(EmissionWindow, start_hour=hours, end_hour=hours)
    places = st.sampled_from(("*", "prediction", "guildWars:pro", "daily_login"))
    return st.builds(
        EmissionWindows, usual=window, overrides=st.dictionaries(places, window, max_size=2)
    )


def policies() -> st.SearchStrategy[EconomyPolicy]:
    """Economy policies with every integer anywhere in its range."""
    knobs: dict[str, st.SearchStrategy[Any]] = {
        name: st.integers(low, high) | st.sampled_from((low, high))
        for name, (low, high) in RANGES.items()
    }
    caps = st.dictionaries(names(), amounts(), max_size=2)
    bps = st.integers(0, BPS)
    split = {part.name: bps for part in fields(TokenSplit)}
    return st.builds(
        EconomyPolicy,
        daily_cap_aiba_by_arena=caps,
        daily_cap_neur_by_arena=caps,
        emission_windows=windows(),
        rewards=rates(),
        token_split=st.builds(TokenSplit, **split),
        **knobs,
    )


def flags() -> st.SearchStrategy[Flag]:
    """Flags with evidence."""
    return st.builds(
        Flag,
        id=ids(),
        subject=st.sampled_from(Subject),
        subject_id=player_ids(),
        rule=texts(),
        at=instants(),
        evidence=st.dictionaries(texts(), texts() | amounts(), max_size=3),
    )


@st.composite
def epochs(draw: st.DrawFn) -> SeedEpoch:
    """Seed epochs: open, closed, or revealed."""
    number, opened = draw(st.integers(1, SMALL)), draw(instants())
    closed = draw(maybe(st.integers(0, DAY).map(lambda wait: opened + wait)))
    return SeedEpoch(
        number=number,
        commitment=commitment(number, SECRET),
        opened_at=opened,
        closed_at=closed,
        revealed_secret=SECRET if closed is not None and draw(st.booleans()) else None,
    )


SECRET: Final = "5ec4e7" * 8
"""The secret of the battles that strategies make."""


_FEW: Final = st.integers(1, 9)
_LIMITS: Final = st.integers(1, SMALL)
_GRANTS: Final = st.sampled_from((Emission.GRANTED, Emission.CAP_EXCEEDED, Emission.OUTSIDE_WINDOW))


@st.composite
def battles(draw: st.DrawFn) -> Battle:
    """Battles with a genuine receipt under `SECRET`, whatever emission said."""
    epoch = draw(_FEW)
    mode = draw(modes())
    player_id, broker_id, request_id = draw(player_ids()), draw(ids()), draw(names())
    at = draw(instants())
    inputs = BattleInputs(
        battle_id=battle_id(player_id, request_id, at),
        player_id=player_id,
        broker_id=broker_id,
        request_id=request_id,
        at=at,
        epoch=epoch,
        commitment=commitment(epoch, SECRET),
        fighter=draw(fighters()),
        mode=mode.terms(),
        guild=draw(maybe(matches())) if mode.needs_guild else None,
        policy_version=draw(_FEW),
        rates=draw(rates()),
        bonuses=draw(maybe(bonuses())),
        anomaly_limit=draw(_LIMITS),
    )
    outcome = resolve(inputs, SECRET)
    grant = settle(inputs, outcome, aiba=draw(_GRANTS), neur=draw(_GRANTS))
    return Battle(
        id=inputs.battle_id,
        player_id=player_id,
        broker_id=broker_id,
        created_at=inputs.at,
        receipt=Receipt(inputs=inputs, outcome=outcome, grant=grant),
        stars=draw(amounts()),
        diamonds=draw(amounts()),
    )


@cache
def matches() -> st.SearchStrategy[GuildMatch]:
    """Meetings of two guilds, or of one and nobody."""
    pooled = st.integers(0, 20)
    return st.builds(
        GuildMatch,
        my_id=ids(),
        my_count=pooled,
        their_id=st.just("") | ids(),
        their_count=pooled,
        has_leader=st.booleans(),
    )


@cache
def bonuses() -> st.SearchStrategy[Bonuses]:
    """What a reward is multiplied by."""
    counts = st.integers(0, 40)
    return st.builds(
        Bonuses,
        login_streak_days=counts,
        win_streak=counts,
        premium=st.booleans(),
        invites=counts,
        boost=maybe(fractions(3)),
    )


@st.composite
def mailboxes(draw: st.DrawFn) -> Mailbox:
    """Mailboxes, empty ones and full ones."""
    settled, waiting = draw(st.integers(0, SMALL)), draw(st.integers(0, 3))
    return Mailbox(
        subject=draw(names()),
        written=settled + waiting,
        settled=settled,
        attempts=draw(st.integers(0, MAX_ATTEMPTS)),
        due_at=draw(instants()),
    )


@st.composite
def letters(draw: st.DrawFn) -> Letter:
    """Letters that wait, and dead ones."""
    number = draw(st.integers(1, SMALL))
    return Letter(
        subject=draw(names()),
        number=number,
        topic=draw(st.sampled_from(Topic)),
        facts=draw(st.dictionaries(texts(), texts() | amounts(), max_size=3)),
        at=draw(instants()),
        first=draw(st.integers(1, number)),
        died_at=draw(maybe(instants())),
        reason=draw(texts()),
    )


RECORDS: Final[Mapping[type[Record], st.SearchStrategy[Any]]] = {
    Player: players(),
    Session: sessions(),
    Broker: brokers(),
    Battle: battles(),
    Guild: guilds(),
    GameMode: modes(),
    Flag: flags(),
    SeedEpoch: epochs(),
    EconomyPolicy: policies(),
    Claim: claims(),
    Listing: listings(),
    MintJob: mint_jobs(),
    UsedPayment: used_payments(),
    Lease: leases(),
    Mailbox: mailboxes(),
    Letter: letters(),
    AdminAccount: admin_accounts(),
    AdminSession: admin_sessions(),
    AuditRow: audit_rows(),
    Checkpoint: checkpoints(),
    Audited: audited(),
    AuditState: audit_states(),
    LedgerStanding: ledger_standings(),
}
"""One strategy for each kind of record."""


@st.composite
def postings(draw: st.DrawFn, *, amount: st.SearchStrategy[int] | None = None) -> Posting:
    """Postings between a few accounts, so that they meet."""
    debit, credit = draw(
        st.lists(
            st.sampled_from(
                (
                    "chain",
                    "treasury",
                    "operator:credit",
                    "player:1",
                    "player:2",
                    "guild:000000000000000000000001",
                    "emission:2026-01-01:prediction",
                    "sink:2026-01-01:train:training",
                )
            ),
            min_size=2,
            max_size=2,
            unique=True,
        )
    )
    return Posting(
        currency=draw(currencies()),
        amount=draw(st.integers(1, 100) if amount is None else amount),
        debit=debit,
        credit=credit,
        reason=draw(texts()),
        arena=draw(texts()),
        league=draw(texts()),
        source_type=draw(texts()),
        source_id=draw(texts()),
    )


def outcomes() -> st.SearchStrategy[Accepted[Any] | Refused]:
    """Refusals as they are remembered; accepted answers differ from command to command."""
    details = st.dictionaries(texts(), texts() | amounts(), max_size=3)
    return st.builds(Refused, code=texts(), details=details)


def answers() -> st.SearchStrategy[Remembered]:
    """Remembered refusals."""
    scope = st.builds(Scope, principal=texts(), command=st.just("daily.claim"), key=ids())
    return st.builds(
        Remembered, scope=scope, fingerprint=texts(), outcome=outcomes(), at=instants()
    )


PAID_WALLET: Final = wallet_of("paid")
"""Where payments in TON go."""


def incoming_payments(tx_hash: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Any]:
    """Payments in TON to `PAID_WALLET` or elsewhere, by a few players, good and bad ones."""
    people = st.sampled_from(("1", "2", "3"))
    return st.builds(
        IncomingPayment,
        hash=tx_hashes() if tx_hash is None else tx_hash,
        network=st.sampled_from((-239, -239, -239, -3)),
        source=people.map(wallet_of),
        destination=st.sampled_from((PAID_WALLET, PAID_WALLET, PAID_WALLET, wallet_of("x"))),
        value_nano=st.sampled_from((10**9, 10**9, 10**9 - 1, 2**120 - 1)),
        comment=st.just("") | people.map(lambda one: order_comment(Purpose.CREATE_BROKER, one)),
        is_bounced=st.sampled_from((False, False, False, True)),
        time_s=st.sampled_from((COMMON_TIME_S, COMMON_TIME_S - 90_000, 2**32 - 1)),
    )
