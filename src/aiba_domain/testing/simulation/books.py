"""The auditor of a simulation: its own books, kept from what clients were told and the raw ledger.

It shares no rule with the code it judges. Every method raises AssertionError at what must not be.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.money import Currency
from aiba_domain.ports import Entry, Reader, Store
from aiba_domain.testing.auditor import Auditor, utc_day, window_open
from aiba_domain.testing.claims_auditor import Chain, ClaimsAuditor
from aiba_domain.testing.simulation.answers import Answers
from aiba_domain.testing.simulation.effects import Effects
from aiba_domain.testing.simulation.recount import check_battle, check_promise
from aiba_domain.testing.simulation.site import Ask, Told
from aiba_domain.testing.simulation.stamina import News, Stamina

_ALL: Final = 1_000_000
_NEWEST: Final = 40
_WHOLE_EVERY: Final = 64
_HELD: Final = {"neurBalance": "NEUR", "aibaBalance": "AIBA", "starsBalance": "STARS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at: whose records, and whether claims, or everything.

    `is_straight` says that no clock was ever set back, so that newest is what came last.
    """

    players: Sequence[str]
    claims: bool = False
    whole: bool = False
    is_straight: bool = True


@dataclass(slots=True)
class _Seen:
    """One consistent state of the store, as far as it was looked at."""

    entries: Sequence[Entry]
    battles: Mapping[str, Sequence[Battle]]
    brokers: Mapping[str, Sequence[Broker]]
    balances: Mapping[tuple[str, Currency], int]
    claims: Sequence[Claim] | None


class Books:
    """Everything the auditor knows."""

    def __init__(self, players: Sequence[str], modes: Mapping[str, ModeTerms]) -> None:
        """Start with an empty store, whose first policy is the usual one."""
        self.policies = [EconomyPolicy()]
        self.answers = Answers()
        self.effects = Effects(modes)
        self.claims = ClaimsAuditor()
        self.ledger = Auditor()
        self._stamina = Stamina()
        self._players = players
        self._battles: dict[str, Battle] = {}
        self._by_epoch: dict[int, list[Battle]] = defaultdict(list)
        self._promised: dict[int, str] = {}
        self._revealed: set[int] = set()
        self._unread: list[Entry] = []
        self._fought: set[str] = set()
        self._looks = 0

    @property
    def policy(self) -> EconomyPolicy:
        """The policy in force."""
        return self.policies[-1]

    # What clients and operators are told.

    def asked(self, ask: Ask) -> None:
        """Note a request as it is sent."""
        self.answers.ask(ask)
        self.effects.asked(ask, self.policy.version)

    def told(self, ask: Ask, told: Told) -> None:
        """Note an answer as it arrives."""
        if not self.answers.hear(ask, told):
            return
        self.effects.told(ask, told, self.policies)
        if ask.kind == "battle" and told.is_ok:
            self._fought.add(str(told.body["_id"]))

    def changed(self, policy: EconomyPolicy) -> None:
        """Note the policy that an operator has put in force."""
        assert policy.version == self.policy.version + 1, policy.version
        self.policies.append(policy)

    def shown(self, player: str, body: Mapping[str, object]) -> None:
        """Compare balances that a player was shown just now with the ledger's history."""
        for name, currency in _HELD.items():
            due = self.ledger.history.get((f"player:{player}", currency), 0)
            assert body[name] == due, f"{player} was shown {body[name]} {currency}, not {due}"

    # What the store holds.

    async def look(self, store: Store, look: Look, chain: Chain, signed: list[ClaimTerms]) -> int:
        """Look at the store and check everything that is new; return how many entries are."""
        self._looks += 1
        whole = look.whole or self._looks % _WHOLE_EVERY == 0
        seen = await store.read(self._extract(look, whole=whole))
        self._enter(seen.entries)
        for player in look.players:
            self._follow(player, seen)
        self.effects.compare()
        held = {(name, str(each)): sum_ for (name, each), sum_ in seen.balances.items()}
        if whole:
            self.ledger.compare(seen.balances)
        for place, balance in held.items():
            history = self.ledger.history.get(place, 0)
            assert balance == history, f"{place} stores {balance}, its history is {history}"
        if seen.claims is not None:
            self.claims.audit(self._unread, seen.claims, signed, chain)
            self._unread = []
        return len(seen.entries)

    def _extract(self, look: Look, *, whole: bool) -> Callable[[Reader], Awaitable[_Seen]]:
        """Return what reads all that is to be looked at from one state."""
        since = self.ledger.seen
        newest = _NEWEST if look.is_straight and not look.whole else _ALL

        async def read_all(read: Reader) -> _Seen:
            entries = list(islice(read.entries(), since, None))
            balances: dict[tuple[str, Currency], int] = {}
            if whole:
                balances |= await read.accounts()
            else:
                for name in _accounts(entries):
                    for currency, balance in (await read.balances(name)).items():
                        balances[name, currency] = balance
            claims: list[Claim] | None = None
            if look.claims or whole:
                claims = []
                for player in self._players:
                    claims += await read.claims_of(player, before=None, limit=_ALL)
            return _Seen(
                entries=entries,
                battles={
                    player: await read.battles_of(player, before=None, limit=newest)
                    for player in look.players
                },
                brokers={player: await read.brokers_of(player) for player in look.players},
                balances=balances,
                claims=claims,
            )

        return read_all

    def _enter(self, entries: Sequence[Entry]) -> None:
        self.ledger.follow(entries, self.policy)
        self._unread += entries
        for entry in entries:
            self.effects.enter(entry)
            if entry.posting.reason == "daily_combo":
                self._check_combo(entry)

    def _check_combo(self, entry: Entry) -> None:
        """Check that a combo's AIBA was spent on its day."""
        place = (entry.posting.credit[7:], utc_day(entry.at))
        spent, due = self.effects.spent[place], self.policy.daily_combo_requirement_aiba
        assert spent >= due, f"{place} got the combo for {spent} of {due} AIBA"

    def _follow(self, player: str, seen: _Seen) -> None:
        """Follow one player's battles, brokers and streaks."""
        fresh = [battle for battle in seen.battles[player] if battle.id not in self._battles]
        for battle in fresh:
            self._enter_battle(battle)
        mine = f"player:{player}"
        entries = [
            entry for entry in seen.entries if mine in (entry.posting.credit, entry.posting.debit)
        ]
        news = News(battles=fresh, entries=entries, brokers=seen.brokers[player])
        self._stamina.follow(player, news, self.policy)

    def _enter_battle(self, battle: Battle) -> None:
        """Keep a battle until its epoch is revealed, and judge what emission refused it."""
        inputs, grant = battle.receipt.inputs, battle.receipt.grant
        self._battles[battle.id] = battle
        assert inputs.epoch not in self._revealed, f"{battle.id} was drawn with a public secret"
        assert self._promised.get(inputs.epoch) == inputs.commitment, battle.id
        self._by_epoch[inputs.epoch].append(battle)
        mode, at = inputs.mode, inputs.at
        for currency, amount, verdict in (
            ("AIBA", battle.receipt.outcome.proposed_aiba, grant.aiba_emission),
            ("NEUR", battle.receipt.outcome.proposed_neur, grant.neur_emission),
        ):
            is_open = window_open(self.policy, mode.arena, mode.league, at)
            if verdict == "outside_window":
                assert not is_open, f"{battle.id} got no {currency} in an open window"
            elif verdict == "cap_exceeded":
                used = self.ledger.emitted[currency, utc_day(at)]
                total, arena = sum(used.values()) + amount, used.get(mode.arena, 0) + amount
                assert self._is_over(currency, mode.arena, total, arena), (
                    f"{battle.id} got no {amount} {currency} below the cap: {dict(used)}"
                )

    def _is_over(self, currency: str, arena: str, total: int, of_arena: int) -> bool:
        policy = self.policy
        cap, arenas = (
            (policy.daily_cap_aiba, policy.daily_cap_aiba_by_arena)
            if currency == "AIBA"
            else (policy.daily_cap_neur, policy.daily_cap_neur_by_arena)
        )
        return total > cap or (arena in arenas and of_arena > arenas[arena])

    def epochs(self, epochs: Iterable[SeedEpoch]) -> int:
        """Take in the published epochs and recount the battles of those that were revealed."""
        recounted = 0
        for epoch in epochs:
            promised = self._promised.setdefault(epoch.number, epoch.commitment)
            assert promised == epoch.commitment, f"the promise of epoch {epoch.number} was changed"
            secret = epoch.revealed_secret
            if secret is None:
                continue
            check_promise(epoch.number, promised, secret)
            self._revealed.add(epoch.number)
            for battle in self._by_epoch.pop(epoch.number, ()):
                check_battle(battle.receipt, secret)
                recounted += 1
        return recounted

    # The end.

    async def ended(self, store: Store) -> None:
        """Check everything once more from the beginning, when nothing is under way any more."""

        async def history(read: Reader) -> list[Entry]:
            return list(read.entries())

        fresh = Auditor()
        for entry in await store.read(history):
            posting = entry.posting
            fresh.history[posting.debit, str(posting.currency)] -= posting.amount
            fresh.history[posting.credit, str(posting.currency)] += posting.amount
        assert fresh.history == self.ledger.history, "the ledger's history was changed"
        assert not any(self._by_epoch.values()), "battles of an epoch that was never revealed"
        lost = self._fought - self._battles.keys()
        assert not lost, f"battles that were told and are gone: {sorted(lost)}"
        self.effects.ended()
        self.claims.ended()


def _accounts(entries: Iterable[Entry]) -> list[str]:
    """Return the accounts that entries touch, in a fixed order."""
    found: dict[str, None] = {}
    for entry in entries:
        found[entry.posting.debit] = found[entry.posting.credit] = None
    return list(found)
