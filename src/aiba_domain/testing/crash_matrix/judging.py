"""Judging a run: the auditors after every attempt, and the end against the run without a fault."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiba_domain.application.audit import audit
from aiba_domain.application.pipeline import Answer
from aiba_domain.claims.claim import Claim
from aiba_domain.decision import Accepted
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ids import derive_id
from aiba_domain.instants import day_key
from aiba_domain.moderation.model import Subject
from aiba_domain.ports import Entry, Reader
from aiba_domain.testing.auditor import Auditor
from aiba_domain.testing.chain import VAULT
from aiba_domain.testing.claims_auditor import Chain, ClaimsAuditor
from aiba_domain.testing.crash_matrix.admins import admins_of
from aiba_domain.testing.crash_matrix.bench import Bench
from aiba_domain.testing.crash_matrix.calls import Fault
from aiba_domain.testing.crash_matrix.letters import letters_of
from aiba_domain.testing.crash_matrix.scenarios import Scenario
from aiba_domain.testing.crash_matrix.stage import DIGEST, KEPT, PAYMENT, PLAYERS, WORK, wallet
from aiba_domain.testing.crash_matrix.wiring import Strike
from aiba_domain.testing.doubles import NOON

_ALL: Final = 1_000
_LONGEST: Final = 400

State = Mapping[str, object]
"""Everything that a run can have changed, part by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended: what is stored, what clients were told, and which events were told."""

    state: State
    told: Sequence[object]
    told_again: Sequence[object]
    events: Counter[str]


class Watch:
    """The auditors of one run: independent models of balances and of withdrawals."""

    def __init__(self, bench: Bench) -> None:
        """Begin to watch what a bench's store and chain show."""
        self._bench = bench
        self._books = Auditor()
        self._claims = ClaimsAuditor()

    async def look(self) -> None:
        """Check that all is sound now. Raises AssertionError."""
        bench = self._bench

        async def see(read: Reader) -> tuple[list[Entry], Any, EconomyPolicy, list[Claim]]:
            claims = [
                claim
                for player in PLAYERS
                for claim in await read.claims_of(player, before=None, limit=_ALL)
            ]
            return list(read.entries()), await read.accounts(), await read.policy(), claims

        entries, accounts, policy, claims = await bench.store.read(see)
        self._books.follow(entries, policy)
        self._books.compare(accounts)
        report = audit(entries, accounts)
        assert report.is_sound, report.faults
        truth = Chain(now_s=bench.chain.now_s, paid=bench.chain.vault.paid)
        self._claims.audit(entries, claims, bench.released, truth)
        for terms, answers in bench.signed.items():
            assert len(answers) == 1, f"{terms} was signed in {len(answers)} ways"


async def end_of(bench: Bench) -> Ending:
    """Return how a run ended, having asked everything once more.

    Asked again, every request is answered from memory and changes nothing: AssertionError else.
    """
    state = await _state(bench)
    again = []
    for asked in bench.asked:
        answer = await bench.ask(asked.issue)
        assert answer.replayed, f"{asked.name} was forgotten"
        again.append(_seen(answer))
    after = await _state(bench)
    for part, before in state.items():
        assert after[part] == before, (
            f"asked again, {part} changed{_difference(after[part], before)}"
        )
    return Ending(
        state=state,
        told=[*(_seen(asked.answer) for asked in bench.asked), *bench.answers],
        told_again=again,
        events=Counter(map(repr, bench.seen.events)),
    )


def compare(ending: Ending, undisturbed: Ending, scenario: Scenario, strike: Strike) -> None:
    """Check that a run ended as the one without a fault. Raises AssertionError.

    The ledger's entries may stand in another order, of which the auditors approve. An event may be
    missing, since a crash after the commit loses it; none may be told too often, unless that is
    what struck.
    """
    for part, owed in undisturbed.state.items():
        if part not in scenario.may_differ:
            found = ending.state[part]
            assert found == owed, f"{part} is not as without the fault{_difference(found, owed)}"
    for what, told, owed_told in (
        ("told", ending.told, undisturbed.told),
        ("told again", ending.told_again, undisturbed.told_again),
    ):
        is_free = "told" in scenario.may_differ
        assert is_free or told == owed_told, (
            f"clients were {what} otherwise{_difference(told, owed_told)}"
        )
    surplus = ending.events - undisturbed.events
    is_doubled = strike.call.startswith("Observer.") and strike.fault is Fault.DUPLICATED
    assert not surplus or is_doubled, f"events told too often: {_short(dict(surplus))}"


def _seen(answer: Answer[Any]) -> object:
    """Return what a client sees of an answer."""
    outcome = answer.outcome
    if isinstance(outcome, Accepted):
        return outcome.reply
    return outcome.code, dict(outcome.details)


async def _state(bench: Bench) -> State:
    """Read everything that a scenario can change."""
    postman = bench.postman

    async def look(read: Reader) -> State:
        brokers = {player: list(await read.brokers_of(player)) for player in PLAYERS}
        owned = [broker.id for mine in brokers.values() for broker in mine]
        return {
            "players": [await read.player(player) for player in PLAYERS],
            "sessions": [await read.session(_session(player)) for player in PLAYERS],
            "brokers": brokers,
            "listings": [await read.listing_of(broker) for broker in owned],
            "battles": [
                list(await read.battles_of(player, before=None, limit=_ALL)) for player in PLAYERS
            ],
            "claims": [
                list(await read.claims_of(player, before=None, limit=_ALL)) for player in PLAYERS
            ],
            "claims in flight": list(await read.open_claims(after=None, limit=_ALL)),
            "claimed": await read.claimed(day_key(NOON), None),
            "seqnos": [await read.confirmed_seqno(VAULT, wallet(player)) for player in PLAYERS],
            "wallets": [await read.wallet_owner(wallet(player)) for player in PLAYERS],
            "flags": [
                *[list(await read.flags_of(Subject.PLAYER, player)) for player in PLAYERS],
                *[list(await read.flags_of(Subject.BROKER, broker)) for broker in owned],
            ],
            "payment": await read.payment_use(PAYMENT.hash),
            "mint jobs": list(await read.mint_jobs(status=None, limit=_ALL)),
            "leases": [await read.lease(name) for name in (WORK, KEPT.name)],
            "admins": await admins_of(read),
            "letters": await letters_of(read, postman),
            "modes": list(await read.modes()),
            "epochs": list(await read.epochs()),
            "policy": await read.policy(),
            "accounts": dict(await read.accounts()),
            "ledger": Counter((entry.at, entry.posting) for entry in read.entries()),
        }

    state = dict(await bench.store.read(look))
    state["paid"] = list(bench.chain.vault.paid)
    if bench.memory is not None:
        memory = await bench.memory.transact(lambda unit: (unit.state(), unit.dump()))
        about, held = memory
        state["signer"] = (about.locked, held.claims, held.marks, held.usage)
    return state


def _session(player: str) -> str:
    return derive_id("session", player, DIGEST)


def _difference(found: Any, owed: Any) -> str:  # noqa: ANN401 - parts of any type
    """Say where two parts of an ending differ, shortly."""
    if isinstance(found, list) and isinstance(owed, list):
        if len(found) != len(owed):
            return f": {len(found)} instead of {len(owed)}"
        pairs = zip(found, owed, strict=True)
        found, owed = next(pair for pair in pairs if pair[0] != pair[1])
    elif isinstance(found, dict) and isinstance(owed, dict):
        keys = [key for key in found.keys() | owed.keys() if found.get(key) != owed.get(key)]
        key = min(keys, key=repr)
        return f": {key} is {_short(found.get(key))} instead of {_short(owed.get(key))}"
    return f": {_short(found)} instead of {_short(owed)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
