"""Strategies for everything a principal can ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.mode_commands import (
    ChangeMode,
    DeleteMode,
    MakeMode,
    SaveMode,
    SeedModes,
)
from aiba_domain.battle.modes import ARENAS, LEAGUE_LEVELS, mode_id
from aiba_domain.brokers.commands import Combine, GetStarter, Repair, Train, Upgrade
from aiba_domain.brokers.mint_commands import CompleteMint, FailMint, LinkNft, MintBroker, Nft
from aiba_domain.brokers.model import Stat
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.commands import (
    ConnectWallet,
    RecordSignature,
    ReserveBattleClaim,
    ReserveClaim,
    SettleClaim,
)
from aiba_domain.decision import Command
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily, ClaimDailyCombo
from aiba_domain.economy.config import NAMES
from aiba_domain.economy.config_commands import AdjustCap, PatchConfig, SetRates, UpdateRate
from aiba_domain.economy.treasury_commands import CreditUser, Fund, Pot
from aiba_domain.fairness.commands import RotateSeed
from aiba_domain.leases.commands import KeepLease, TakeLease
from aiba_domain.ledger_audit.commands import RecordAudit
from aiba_domain.moderation.commands import (
    BanBroker,
    BanPlayer,
    SetBadges,
    UnbanBroker,
    UnbanPlayer,
)
from aiba_domain.moderation.leader_commands import SyncTopLeaderBadges
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.outbox.commands import (
    Delivery,
    DropLetter,
    LendLetters,
    RetryLetter,
    SettleLetter,
)
from aiba_domain.players.commands import OpenSession, SetSchool
from aiba_domain.testing.strategies.administration import admin_commands
from aiba_domain.testing.strategies.basics import (
    ids,
    maybe,
    texts,
    wallet_of,
)
from aiba_domain.testing.strategies.ledger_audit import ledger_standings
from aiba_domain.testing.strategies.records import (
    PAID_WALLET,
    chain_views,
    incoming_payments,
    modes,
    rates,
    windows,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who and what a random command may name: things that exist, and some that don't."""

    player_ids: Sequence[str]
    broker_ids: Sequence[str]
    mode_keys: Sequence[str]
    claim_ids: Sequence[str] = ("0" * 24,)
    job_ids: Sequence[str] = ("0" * 24,)


_WORK = st.sampled_from(("work", "other work", ""))
"""Names of leases, some of which can't be given."""


def commands(cast: Cast) -> Mapping[type[Command[Any]], st.SearchStrategy[Any]]:
    """Return a strategy for each command there is, over the members of `cast`."""
    broker = st.sampled_from(cast.broker_ids)
    player = st.sampled_from(cast.player_ids)
    stat = st.sampled_from(Stat)
    return {
        **admin_commands(),
        OpenSession: st.builds(
            OpenSession, init_data_digest=st.sampled_from("ab"), lifetime_ms=st.just(3_600_000)
        ),
        SetSchool: st.builds(SetSchool, school_id=ids() | texts(5)),
        GetStarter: st.just(GetStarter()),
        Train: st.builds(Train, broker_id=broker, stat=stat),
        Repair: st.builds(Repair, broker_id=broker),
        Upgrade: st.builds(Upgrade, broker_id=broker, stat=stat),
        Combine: st.builds(Combine, base_broker_id=broker, sacrifice_broker_id=broker),
        RunBattle: battle_commands(cast),
        ClaimDaily: st.just(ClaimDaily()),
        ClaimDailyCombo: st.just(ClaimDailyCombo()),
        ConnectWallet: st.builds(ConnectWallet, address=player.map(wallet_of)),
        ReserveClaim: _reservations(ReserveClaim, player),
        ReserveBattleClaim: _reservations(ReserveBattleClaim, player),
        RecordSignature: st.builds(
            RecordSignature,
            claim_id=st.sampled_from(cast.claim_ids),
            signature=st.just("signature"),
            payload=st.just("payload"),
        ),
        SettleClaim: st.builds(
            SettleClaim, claim_id=st.sampled_from(cast.claim_ids), seen=chain_views()
        ),
        CreateBrokerWithTon: st.sampled_from(("a" * 64, "b" * 64)).flatmap(
            lambda tx_hash: st.builds(
                CreateBrokerWithTon,
                tx_hash=st.just(tx_hash),
                destination=st.just(PAID_WALLET),
                network=st.just(-239),
                payment=maybe(incoming_payments(st.just(tx_hash))),
            )
        ),
        SeedModes: st.just(SeedModes()),
        SaveMode: st.builds(SaveMode, mode=modes(key=st.sampled_from(cast.mode_keys))),
        ChangePolicy: st.builds(ChangePolicy, changes=policy_changes()),
        **_operations(cast),
        TakeLease: st.builds(
            TakeLease, name=_WORK, holder=st.sampled_from("ab"), ttl_ms=st.integers(-1, 9_000)
        ),
        RecordAudit: st.builds(RecordAudit, standing=ledger_standings()),
        LendLetters: st.builds(
            LendLetters, limit=st.sampled_from((1, 9, 0)), loan_ms=st.integers(0, 9_000)
        ),
        SettleLetter: st.builds(
            SettleLetter,
            subject=player.map("player:{}".format),
            number=st.integers(0, 3),
            result=st.sampled_from(Delivery),
            after_ms=st.integers(0, 9_000),
            reason=texts(5),
        ),
        RetryLetter: st.builds(RetryLetter, letter_id=_letter_ids(player)),
        DropLetter: st.builds(DropLetter, letter_id=_letter_ids(player)),
        KeepLease: st.builds(
            KeepLease,
            name=_WORK,
            holder=st.sampled_from("ab"),
            number=st.integers(0, 3),
            ttl_ms=st.integers(-1, 9_000),
        ),
    }


def _operations(cast: Cast) -> Mapping[type[Command[Any]], st.SearchStrategy[Any]]:
    """What operators ask for, and the minting that they bring to an end."""
    broker, player = st.sampled_from(cast.broker_ids), st.sampled_from(cast.player_ids)
    job = st.sampled_from(cast.job_ids)
    delta = st.integers(-200, 200)
    fields = st.fixed_dictionaries(
        {}, optional={"name": texts(5), "energy_cost": st.integers(-1, 5), "enabled": st.booleans()}
    )
    a_mode = st.sampled_from(cast.mode_keys).map(mode_id)
    nft = st.builds(
        Nft, collection_address=st.just("c"), item_address=st.sampled_from("xyz"), index=st.none()
    )
    values: st.SearchStrategy[object] = st.integers(-1, 200) | st.booleans() | st.just({})
    return {
        MintBroker: st.builds(MintBroker, broker_id=broker),
        CompleteMint: st.builds(CompleteMint, job_id=job, nft=nft),
        FailMint: st.builds(FailMint, job_id=job, reason=texts(5)),
        LinkNft: st.builds(LinkNft, broker_id=broker, nft=nft),
        MakeMode: st.builds(
            MakeMode,
            key=st.sampled_from(cast.mode_keys),
            fields=fields.map(lambda some: {"name": "n", "arena": "prediction"} | some),
        ),
        ChangeMode: st.builds(ChangeMode, mode_id=a_mode, fields=fields),
        DeleteMode: st.builds(DeleteMode, mode_id=a_mode),
        PatchConfig: st.builds(
            PatchConfig,
            document=st.dictionaries(st.sampled_from((*sorted(NAMES), "x")), values, max_size=2),
        ),
        SetRates: st.builds(
            SetRates, aiba_per_ton=maybe(st.integers(0, 9)), neur_per_aiba=maybe(st.integers(0, 9))
        ),
        UpdateRate: st.builds(UpdateRate, ton_usd=maybe(st.fractions(0, 9, max_denominator=100))),
        AdjustCap: st.just(AdjustCap()),
        CreditUser: st.builds(CreditUser, player_id=player, aiba_delta=delta, neur_delta=delta),
        Fund: st.builds(Fund, pot=st.sampled_from(Pot), aiba_delta=delta, neur_delta=delta),
        BanPlayer: st.builds(
            BanPlayer, player_id=player, minutes=st.integers(0, 3), reason=texts(5)
        ),
        UnbanPlayer: st.builds(UnbanPlayer, player_id=player),
        BanBroker: st.builds(BanBroker, broker_id=broker, reason=texts(5)),
        UnbanBroker: st.builds(UnbanBroker, broker_id=broker),
        RotateSeed: st.builds(
            RotateSeed, closes=st.just(-1), commitment=st.just(""), secret=st.none()
        ),
        SyncTopLeaderBadges: st.just(SyncTopLeaderBadges()),
        SetBadges: st.builds(
            SetBadges, player_id=player, badges=st.lists(texts(5), max_size=2).map(tuple)
        ),
    }


def _letter_ids(player: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("player:{}/{}".format, player, st.integers(0, 3))


def _reservations(
    kind: type[ReserveClaim], player: st.SearchStrategy[str]
) -> st.SearchStrategy[ReserveClaim]:
    """Withdrawals of some AIBA, or all, to somebody's wallet."""
    return st.builds(
        kind,
        amount=maybe(st.integers(-1, 200)),
        vault=st.just(wallet_of("vault")),
        jetton_master=st.just(wallet_of("jetton master")),
        recipient=player.map(wallet_of),
        seen=chain_views(),
    )


def battle_commands(cast: Cast) -> st.SearchStrategy[RunBattle]:
    """Battles by mode key, or by arena and league."""
    broker = st.sampled_from(cast.broker_ids)
    return st.one_of(
        st.builds(RunBattle, broker_id=broker, mode_key=st.sampled_from(cast.mode_keys)),
        st.builds(
            RunBattle,
            broker_id=broker,
            arena=st.sampled_from((*ARENAS, "nowhere")),
            league=st.sampled_from(tuple(LEAGUE_LEVELS)),
        ),
    )


def policy_changes() -> st.SearchStrategy[dict[str, object]]:
    """Changes of a policy as an operator may make them: tight caps, odd hours, free or dear things.

    Some are out of range and must be refused.
    """
    caps = st.sampled_from((0, 1, 60, 500, 10_000, -1))
    by_arena = st.dictionaries(st.sampled_from((*ARENAS, "daily_login")), caps, max_size=2)
    costs = st.sampled_from((0, 1, 30, MAX_AMOUNT, MAX_AMOUNT + 1))
    bonus = st.sampled_from((0, 1, 70))
    return st.fixed_dictionaries(
        {},
        optional={
            "daily_cap_aiba": caps,
            "daily_cap_neur": caps,
            "daily_cap_aiba_by_arena": by_arena,
            "daily_cap_neur_by_arena": by_arena,
            "emission_windows": windows(),
            "rewards": rates(),
            "daily_reward_neur": bonus,
            "daily_combo_requirement_aiba": bonus,
            "daily_combo_bonus_aiba": bonus,
            "train_neur_cost": costs,
            "repair_neur_cost": costs,
            "upgrade_aiba_cost": costs,
            "combine_neur_cost": costs,
            "claims_paused": st.booleans(),
            "claim_max_aiba": costs,
            "claim_player_day_max_aiba": costs,
            "claim_day_max_aiba": costs,
            "battle_max_energy": st.sampled_from((0, 1, 20, 100)),
            "battle_energy_regen_seconds_per_energy": st.sampled_from((1, 60)),
        },
    )
