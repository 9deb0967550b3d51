"""The cast that every scenario finds on the stage, and one call of each command there is."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.mode_commands import (
    ChangeMode,
    DeleteMode,
    MakeMode,
    SaveMode,
    SeedModes,
)
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.commands import Combine, GetStarter, Repair, Train, Upgrade
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.mint_commands import CompleteMint, FailMint, LinkNft, MintBroker, Nft
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker, Stat
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView
from aiba_domain.claims.commands import (
    BY_REQUEST,
    ConnectWallet,
    RecordSignature,
    ReserveBattleClaim,
    ReserveClaim,
    SettleClaim,
    claim_id,
)
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.decision import Command, Principal, Record
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily, ClaimDailyCombo
from aiba_domain.economy.config_commands import AdjustCap, PatchConfig, SetRates, UpdateRate
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.economy.policy import EconomyPolicy, next_version
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.economy.treasury_commands import CreditUser, Fund, Pot
from aiba_domain.fairness.commands import RotateSeed
from aiba_domain.fairness.epochs import commitment, epoch_secret
from aiba_domain.guilds.model import Guild
from aiba_domain.ids import derive_id
from aiba_domain.instants import HOUR, MINUTE, day_key
from aiba_domain.leases.commands import KeepLease, TakeLease
from aiba_domain.leases.model import Lease
from aiba_domain.moderation.commands import (
    BanBroker,
    BanPlayer,
    SetBadges,
    UnbanBroker,
    UnbanPlayer,
)
from aiba_domain.moderation.leader_commands import LEADER_BADGE, SyncTopLeaderBadges
from aiba_domain.moderation.model import Ban, Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.players.commands import OpenSession, SetSchool
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import UnitOfWork
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT, signature_of
from aiba_domain.testing.crash_matrix.admins import ADMIN_COMMANDS, ADMIN_RECORDS
from aiba_domain.testing.crash_matrix.auditing import AUDIT_COMMANDS
from aiba_domain.testing.crash_matrix.bench import NETWORK, SHOP, Bench
from aiba_domain.testing.crash_matrix.letters import LETTER_COMMANDS, LETTER_RECORDS
from aiba_domain.testing.doubles import NOON, ROOT
from aiba_domain.testing.playground import OPERATOR

HERO: Final = "1"
"""A player with brokers, a guild, a wallet and money."""
NEWCOMER: Final = "2"
"""A player whom the service has never seen."""
WAITING: Final = ("3", "4")
"""Players with a reserved claim each, so that other money than the hero's stands in `claims`."""
OUTLAW: Final = "5"
"""A banned player with a banned broker."""
LEADERS: Final = ("6", "7")
"""The owners of the two guilds."""
PLAYERS: Final = (HERO, NEWCOMER, *WAITING, OUTLAW, *LEADERS)

FUNDS: Final = 10_000
AMOUNT: Final = 100
"""What a withdrawal takes."""
KEY: Final = "k"

STARTER: Final = derive_id("starter", HERO)
SPARE: Final = derive_id("spare", HERO)
BANNED_BROKER: Final = derive_id("spare", OUTLAW)
DIGEST: Final = "digest of launch data"
PAYMENT: Final = IncomingPayment(
    hash="ab" * 32,
    network=NETWORK,
    source=f"0:{int(HERO):064x}",
    destination=SHOP,
    value_nano=10**9,
    comment="",
    is_bounced=False,
    time_s=GENESIS_S,
)
_SESSION_MS: Final = 3_600_000
_LATER: Final = ChainView(seqno=0, time_s=GENESIS_S + VALIDITY_S + EXPIRY_MARGIN_S + 1)


def wallet(player: str) -> str:
    """Return a player's wallet."""
    return f"0:{int(player):064x}"


def key_of(player: str) -> str:
    """Return the key of a waiting player's claim; no two withdrawals here share one."""
    return f"{KEY}-{player}"


def claim_of(player: str) -> str:
    """Return the id of the claim that stands reserved for a waiting player."""
    return claim_id(player, BY_REQUEST, key_of(player))


def reserve(player: str, kind: type[ReserveClaim] = ReserveClaim) -> ReserveClaim:
    """Return the reservation of a withdrawal before the chain has paid anything."""
    return kind(
        amount=AMOUNT,
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        recipient=wallet(player),
        seen=ChainView(seqno=0, time_s=GENESIS_S),
    )


def terms_of(player: str) -> ClaimTerms:
    """Return the terms of a player's first claim, reserved while the chain is new."""
    return ClaimTerms(
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        recipient=wallet(player),
        amount=AMOUNT,
        seqno=1,
        valid_until_s=GENESIS_S + VALIDITY_S,
    )


def _mode(key: str, arena: str, *, entry: int = 0) -> GameMode:
    return GameMode(
        id=mode_id(key),
        key=key,
        name=key,
        arena=arena,
        energy_cost=1,
        cooldown_seconds=60,
        entry_neur=entry,
        entry_aiba=entry,
        rules=ModeRules(variance_base=0),
        created_at=0,
        updated_at=0,
    )


_MODES: Final = (_mode("war", "guildWars", entry=7), _mode("trial", "trials", entry=3))

BATTLE: Final = RunBattle(broker_id=STARTER, mode_key="war")
"""A battle between guilds for a fee: the most that a battle can move."""

JOB: Final = derive_id("mint", OUTLAW)
"""A mint job of the outlaw's broker, still to be done."""
NFT: Final = Nft(collection_address="a collection", item_address="an item", index=1)

WORK: Final = "work.ended"
"""The lease whose holder is gone."""
KEPT: Final = Lease(name="work.kept", holder="worker", number=1, expires_at=NOON + MINUTE)
"""A lease that its holder may renew."""
_ENDED: Final = Lease(name=WORK, holder="gone", number=1, expires_at=NOON - MINUTE)

COMMANDS: Final[Mapping[type[Command[Any]], tuple[Principal, Command[Any]]]] = {
    type(command): (principal, command)
    for principal, command in (
        (Principal(id=HERO), OpenSession(init_data_digest=DIGEST, lifetime_ms=_SESSION_MS)),
        (Principal(id=HERO), SetSchool(school_id="ab" * 12)),
        (Principal(id=NEWCOMER), GetStarter()),
        (Principal(id=HERO), Train(broker_id=STARTER, stat=Stat.SPEED)),
        (Principal(id=HERO), Repair(broker_id=STARTER)),
        (Principal(id=HERO), Upgrade(broker_id=STARTER, stat=Stat.RISK)),
        (Principal(id=HERO), Combine(base_broker_id=STARTER, sacrifice_broker_id=SPARE)),
        (
            Principal(id=HERO),
            CreateBrokerWithTon(
                tx_hash=PAYMENT.hash, destination=SHOP, network=NETWORK, payment=PAYMENT
            ),
        ),
        (Principal(id=HERO), BATTLE),
        (OPERATOR, SeedModes()),
        (OPERATOR, SaveMode(mode=_mode("new", "prediction", entry=1))),
        (Principal(id=HERO), ClaimDaily()),
        (Principal(id=HERO), ClaimDailyCombo()),
        (OPERATOR, ChangePolicy(changes={"train_neur_cost": 30})),
        (Principal(id=NEWCOMER), ConnectWallet(address=wallet(NEWCOMER))),
        (Principal(id=HERO), reserve(HERO)),
        (Principal(id=HERO), reserve(HERO, ReserveBattleClaim)),
        (
            OPERATOR,
            RecordSignature(
                claim_id=claim_of(WAITING[0]),
                signature=signature_of(terms_of(WAITING[0])),
                payload="payload",
            ),
        ),
        (OPERATOR, SettleClaim(claim_id=claim_of(WAITING[1]), seen=_LATER)),
        (Principal(id=HERO), MintBroker(broker_id=STARTER)),
        (OPERATOR, CompleteMint(job_id=JOB, nft=NFT)),
        (OPERATOR, FailMint(job_id=JOB, reason="a reason")),
        (OPERATOR, LinkNft(broker_id=STARTER, nft=NFT)),
        (OPERATOR, MakeMode(key="made", fields={"name": "made", "arena": "prediction"})),
        (OPERATOR, ChangeMode(mode_id=mode_id("trial"), fields={"energy_cost": 2})),
        (OPERATOR, DeleteMode(mode_id=mode_id("trial"))),
        (OPERATOR, PatchConfig(document={"trainNeurCost": 31, "version": 1})),
        (OPERATOR, SetRates(aiba_per_ton=5, neur_per_aiba=6)),
        (OPERATOR, UpdateRate(ton_usd=Fraction(3))),
        (OPERATOR, AdjustCap()),
        (OPERATOR, CreditUser(player_id=NEWCOMER, aiba_delta=5, neur_delta=6)),
        (OPERATOR, Fund(pot=Pot.TREASURY, aiba_delta=7)),
        (OPERATOR, SetBadges(player_id=HERO, badges=("a badge",))),
        (OPERATOR, SyncTopLeaderBadges()),
        (OPERATOR, BanPlayer(player_id=HERO, minutes=60, reason="a reason")),
        (OPERATOR, UnbanPlayer(player_id=OUTLAW)),
        (OPERATOR, BanBroker(broker_id=STARTER, reason="a reason")),
        (OPERATOR, UnbanBroker(broker_id=BANNED_BROKER)),
        (
            OPERATOR,
            RotateSeed(
                closes=1,
                commitment=commitment(2, epoch_secret(ROOT, 2)),
                secret=epoch_secret(ROOT, 1),
            ),
        ),
        (OPERATOR, TakeLease(name=WORK, holder="successor", ttl_ms=MINUTE)),
        (OPERATOR, KeepLease(name=KEPT.name, holder=KEPT.holder, number=1, ttl_ms=MINUTE)),
        *ADMIN_COMMANDS,
        *LETTER_COMMANDS,
        *AUDIT_COMMANDS,
    )
}
"""One call of each command, which takes effect on the stage, and who issues it."""

MONEY: Final = frozenset(
    {
        Train,
        Repair,
        Upgrade,
        Combine,
        CreateBrokerWithTon,
        RunBattle,
        ClaimDaily,
        ClaimDailyCombo,
        ReserveClaim,
        ReserveBattleClaim,
        SettleClaim,
        MintBroker,
        FailMint,
        CompleteMint,
        CreditUser,
        Fund,
    }
)
"""The commands that move money, or use money up that came in on the chain."""


async def set_up(bench: Bench) -> None:
    """Bring the cast onto the stage: nothing of it is struck by a fault."""
    await bench.start_up()

    async def keep(unit: UnitOfWork) -> None:
        funded = [(player, Currency.AIBA) for player in (HERO, *WAITING)]
        await unit.write(
            at=NOON,
            postings=[_fund(*each) for each in (*funded, (HERO, Currency.NEUR))],
            changed=(*_people(), *_brokers(), *_things(), *_MODES, _POLICY),
        )

    await bench.store.transact(keep)
    for player in WAITING:
        execute = bench.process.pipeline.execute
        await execute(Principal(id=player), reserve(player), key_of(player))


_BAN: Final = Ban(reason="a reason", by=OPERATOR.id, since=NOON, until=NOON + HOUR)
_POLICY: Final = next_version(
    EconomyPolicy(),
    {
        "rewards": RewardRates(aiba_per_score=Fraction(2), guild_creator_share_bps=Fraction(1_000)),
        "daily_combo_requirement_aiba": 1,
        "automation_enabled": True,
        "oracle_aiba_usd": Fraction(1, 2),
    },
    NOON,
)


def _people() -> list[Player]:
    """Return the players with what they bring: a daily combo earned, a badge that is not."""
    hero = replace(
        new_player(HERO, None, NOON),
        wallet=wallet(HERO),
        starter_broker_id=STARTER,
        combo_spent_aiba=1,
        combo_spent_day=day_key(NOON),
    )
    waiting = [replace(new_player(each, None, NOON), wallet=wallet(each)) for each in WAITING]
    outlaw = replace(new_player(OUTLAW, None, NOON), ban=_BAN, badges=(LEADER_BADGE,))
    return [hero, *waiting, outlaw]


def _brokers() -> list[Broker]:
    banned = replace(_broker(BANNED_BROKER, OUTLAW), ban=replace(_BAN, until=None))
    return [_broker(STARTER, HERO), _broker(SPARE, HERO), banned]


def _broker(broker_id: str, owner_id: str) -> Broker:
    return Broker(
        id=broker_id, owner_id=owner_id, created_at=NOON, updated_at=NOON, energy_updated_at=NOON
    )


def _things() -> list[Record]:
    """Return the guilds, the offer of the hero's spare broker, flags against the outlaw, a job."""
    flags = (
        Flag(id=derive_id("flag", name), subject=subject, subject_id=name, rule="rule", at=NOON)
        for subject, name in ((Subject.PLAYER, OUTLAW), (Subject.BROKER, BANNED_BROKER))
    )
    guilds = (
        Guild(
            id=f"{number:024x}",
            name=f"guild {number}",
            owner_id=leader,
            member_ids=(leader, HERO) if number == 1 else (leader,),
            created_at=0,
            pooled=2 * number,
        )
        for number, leader in enumerate(LEADERS, start=1)
    )
    offer = Listing(
        id=derive_id("listing", SPARE),
        broker_id=SPARE,
        seller_id=HERO,
        price_aiba=10,
        created_at=NOON,
    )
    job = MintJob(
        id=JOB,
        broker_id=BANNED_BROKER,
        player_id=OUTLAW,
        aiba_paid=100,
        created_at=NOON,
        updated_at=NOON,
    )
    return [*guilds, offer, *flags, job, _ENDED, KEPT, *ADMIN_RECORDS, *LETTER_RECORDS]


def _fund(player: str, currency: Currency) -> Posting:
    return Posting(
        currency=currency,
        amount=FUNDS,
        debit=CHAIN,
        credit=player_account(player),
        reason="deposit",
        arena="chain",
        league="global",
        source_type="deposit",
        source_id=player,
    )
