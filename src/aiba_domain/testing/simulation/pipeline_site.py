"""A site without an entry: requests become commands, replies become what the wire would say."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.application.upkeep import open_epoch_of, rotate_seed
from aiba_domain.application.withdrawals import Withdrawals
from aiba_domain.battle.commands import DEFAULT_ARENA, DEFAULT_LEAGUE, RunBattle
from aiba_domain.battle.model import Battle
from aiba_domain.brokers.commands import (
    BrokerReply,
    Combine,
    GetStarter,
    Repair,
    Train,
    Upgrade,
)
from aiba_domain.brokers.model import Broker, Stat
from aiba_domain.claims.claim import Claim
from aiba_domain.claims.commands import ConnectWallet
from aiba_domain.decision import Command, Principal
from aiba_domain.economy.commands import ClaimDaily, ClaimDailyCombo
from aiba_domain.errors import DomainError
from aiba_domain.instants import HOUR
from aiba_domain.money import Currency
from aiba_domain.players.commands import OpenSession, SetSchool
from aiba_domain.ports import Unavailable
from aiba_domain.testing.doubles import Tally
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.simulation.site import (
    EPOCH_HOURS,
    OK,
    SESSION_MS,
    Ask,
    Parts,
    Process,
    Told,
)

Json = Mapping[str, object]
_Answer = Callable[["PipelineProcess", Principal, Ask], Awaitable[Json]]

_FORGED: Final = "forged:"


class PipelineSite:
    """The core alone: `served_by` takes the place of its withdrawals, to see faults in them found.

    Who is calling is taken from a proof that only looks like one; there are no rate limits.
    """

    name = "pipeline"

    def __init__(self, served_by: type[Withdrawals] = Withdrawals) -> None:
        """Serve withdrawals by `served_by`."""
        self._served_by = served_by

    def start(self, parts: Parts) -> Process:
        """Start a process with nothing in its memory."""
        return PipelineProcess(parts, self._served_by)

    def launch_data(self, player: str, at_s: int, *, genuine: bool = True) -> str:
        """Return a text that says who is there and when."""
        return f"{'' if genuine else _FORGED}{player}:{at_s}"


class PipelineProcess:
    """One life of the core over the given ports."""

    def __init__(self, parts: Parts, served_by: type[Withdrawals]) -> None:
        """Wire the core to its ports."""
        self._parts = parts
        self.pipeline = Pipeline(
            store=parts.store,
            clock=parts.clock,
            seeds=parts.seeds,
            observer=Tally(),
            handlers=HANDLERS,
        )
        self.queries = Queries(parts.store, parts.clock)
        self.withdrawals = served_by(
            pipeline=self.pipeline,
            store=parts.store,
            signer=parts.signer,
            chain=parts.chain,
            contracts=parts.contracts,
        )

    async def call(self, ask: Ask) -> Told:
        """Answer a request. Raises Crash if the process died meanwhile."""
        player = ask.proof.partition(":")[0]
        if not player or ask.proof.startswith(_FORGED):
            return Told(code="telegram auth failed")
        try:
            body = await _ANSWERS[ask.kind](self, Principal(id=player), ask)
        except DomainError as refusal:
            told = Told(code=refusal.code, body=dict(refusal.details))
        except Unavailable:
            told = Told(code="unavailable")
        else:
            told = Told(code=OK, body=body)
        if self._parts.is_dead():
            raise Crash("the answer")
        return told

    async def settle(self) -> int:
        """Settle the claims in flight."""
        return await self.withdrawals.settle_all()

    async def upkeep(self) -> bool:
        """Turn the seed epoch over once it has lasted its hours."""
        parts = self._parts
        epoch = await open_epoch_of(parts.store)
        if epoch is not None and parts.clock.now() < epoch.opened_at + EPOCH_HOURS * HOUR:
            return False
        await rotate_seed(self.pipeline, parts.store, parts.seeds)
        return True

    async def session(self, principal: Principal, ask: Ask) -> Json:
        """Open a session."""
        command = OpenSession(init_data_digest=ask.proof, lifetime_ms=SESSION_MS)
        session = (await self.pipeline.execute(principal, command)).reply().session
        return {"token": ask.proof, "telegramId": session.player_id}

    async def battle(self, principal: Principal, ask: Ask) -> Json:
        """Fight a battle, and withdraw its reward if that is asked for."""
        command = RunBattle(
            broker_id=_text(ask, "brokerId"),
            arena=_text(ask, "arena") or DEFAULT_ARENA,
            league=_text(ask, "league") or DEFAULT_LEAGUE,
            mode_key=_text(ask, "modeKey") or None,
        )
        answer = await self.pipeline.execute(principal, command, ask.key)
        battle = answer.reply().battle
        reward = battle.receipt.grant.aiba
        claim = None
        if ask.body.get("autoClaim") and reward:
            claim = await self.withdrawals.claim_battle(principal, reward, answer.key)
        return {**_battle(battle), "claim": _claim(claim) if claim else _claim_blank()}

    async def starter(self, principal: Principal, ask: Ask) -> Json:
        """Get the free broker."""
        answer = await self.pipeline.execute(principal, GetStarter(), ask.key)
        return _broker(answer.reply().broker)

    async def train(self, principal: Principal, ask: Ask) -> Json:
        """Train a broker."""
        command = Train(broker_id=_text(ask, "brokerId"), stat=Stat(_text(ask, "stat")))
        return await self._pay(principal, command, ask)

    async def upgrade(self, principal: Principal, ask: Ask) -> Json:
        """Upgrade a broker."""
        command = Upgrade(broker_id=_text(ask, "brokerId"), stat=Stat(_text(ask, "stat")))
        return await self._pay(principal, command, ask)

    async def repair(self, principal: Principal, ask: Ask) -> Json:
        """Repair a broker."""
        return await self._pay(principal, Repair(broker_id=_text(ask, "brokerId")), ask)

    async def combine(self, principal: Principal, ask: Ask) -> Json:
        """Merge two brokers."""
        command = Combine(
            base_broker_id=_text(ask, "baseBrokerId"),
            sacrifice_broker_id=_text(ask, "sacrificeBrokerId"),
        )
        return await self._pay(principal, command, ask)

    async def _pay(self, principal: Principal, command: Command[BrokerReply], ask: Ask) -> Json:
        reply = (await self.pipeline.execute(principal, command, ask.key)).reply()
        name = "aibaBalance" if reply.currency is Currency.AIBA else "neurBalance"
        return {"broker": _broker(reply.broker), name: reply.balance}

    async def daily(self, principal: Principal, ask: Ask) -> Json:
        """Claim the day's NEUR."""
        reply = (await self.pipeline.execute(principal, ClaimDaily(), ask.key)).reply()
        return {
            "alreadyClaimed": reply.already_claimed,
            "neurReward": reply.reward,
            "neurBalance": reply.balance,
            "loginStreakDays": reply.login_streak_days,
        }

    async def combo(self, principal: Principal, ask: Ask) -> Json:
        """Claim the day's AIBA bonus."""
        reply = (await self.pipeline.execute(principal, ClaimDailyCombo(), ask.key)).reply()
        return {
            "alreadyClaimed": reply.already_claimed,
            "bonusAiba": reply.bonus,
            "aibaBalance": reply.balance,
        }

    async def wallet(self, principal: Principal, ask: Ask) -> Json:
        """Bind a wallet, whose owner is believed."""
        command = ConnectWallet(address=_text(ask, "address"))
        return {"wallet": (await self.pipeline.execute(principal, command)).reply().address}

    async def claim(self, principal: Principal, ask: Ask) -> Json:
        """Withdraw AIBA."""
        amount = ask.body.get("amount")
        wanted = amount if isinstance(amount, int) else None
        answer = await self.withdrawals.claim(principal, wanted, ask.key)
        return {"claim": _claim(answer.reply().claim)}

    async def school(self, principal: Principal, ask: Ask) -> Json:
        """Name a school."""
        command = SetSchool(school_id=_text(ask, "schoolId"))
        return {"schoolId": (await self.pipeline.execute(principal, command)).reply().school_id}

    async def me(self, principal: Principal, _ask: Ask) -> Json:
        """Return the balances."""
        held = (await self.queries.holdings(principal.id)).balances
        names = {"neurBalance": "NEUR", "aibaBalance": "AIBA", "starsBalance": "STARS"}
        return {name: held.get(Currency(each), 0) for name, each in names.items()}


_ANSWERS: Final[Mapping[str, _Answer]] = {
    "session": PipelineProcess.session,
    "battle": PipelineProcess.battle,
    "starter": PipelineProcess.starter,
    "train": PipelineProcess.train,
    "upgrade": PipelineProcess.upgrade,
    "repair": PipelineProcess.repair,
    "combine": PipelineProcess.combine,
    "daily": PipelineProcess.daily,
    "combo": PipelineProcess.combo,
    "wallet": PipelineProcess.wallet,
    "claim": PipelineProcess.claim,
    "school": PipelineProcess.school,
    "me": PipelineProcess.me,
}


def _text(ask: Ask, name: str) -> str:
    value: Any = ask.body.get(name, "")
    return str(value)


def _broker(broker: Broker) -> Json:
    return {
        "_id": broker.id,
        "intelligence": broker.intelligence,
        "speed": broker.speed,
        "risk": broker.risk,
        "level": broker.level,
        "energy": broker.energy,
    }


def _battle(battle: Battle) -> Json:
    receipt = battle.receipt
    return {
        "_id": battle.id,
        "brokerId": battle.broker_id,
        "modeKey": receipt.inputs.mode.key,
        "seedHex": receipt.outcome.seed_hex,
        "score": receipt.outcome.score,
        "rewardAiba": receipt.grant.aiba,
        "rewardNeur": receipt.grant.neur,
        "guildShareNeur": receipt.grant.leader_neur + receipt.grant.vault_neur,
        "starsGranted": battle.stars,
        "firstWinDiamond": battle.diamonds,
        "seedEpoch": receipt.inputs.epoch,
    }


def _claim(claim: Claim) -> Json:
    terms = claim.terms
    return {
        "vaultAddress": terms.vault,
        "toAddress": terms.recipient,
        "amount": str(terms.amount),
        "seqno": terms.seqno,
        "validUntil": terms.valid_until_s,
        "payloadBocBase64": claim.payload or "",
        "signatureBase64": claim.signature or "",
    }


def _claim_blank() -> Json:
    return {"vaultAddress": "", "signatureBase64": ""}
