"""What a store owes of the questions that operators ask: flags, minting, sums and totals."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.model import Battle
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.economy.policy import EconomyPolicy, next_version
from aiba_domain.errors import InvariantViolation
from aiba_domain.instants import DAY, day_key
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Reader
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.samples import AT, broker, movement, player
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad

_badges = st.lists(st.sampled_from(("one", "two", 'a "quoted" one')), max_size=3).map(tuple)


def _job(job_id: str, broker_id: str, status: MintStatus, at: int = AT) -> MintJob:
    return MintJob(
        id=job_id,
        broker_id=broker_id,
        player_id="1",
        aiba_paid=100,
        created_at=at,
        updated_at=at,
        status=status,
    )


class OperationsContract(StoreSuite):
    """The meaning of the questions that operators ask."""

    @broad()
    @given(
        flags=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=6),
        least=st.integers(1, 3),
        limit=st.integers(1, 9),
    )
    def test_the_flagged_come_by_their_flags(
        self, desk: Desk, flags: list[tuple[int, int]], least: int, limit: int
    ) -> None:
        """Players and brokers with as many flags, most first, of as many the last changed first.

        Who loses its flags is no longer among them.
        """
        players, brokers = [], []
        for number, age in flags:
            at = AT + age
            one = replace(player(desk.fresh()), anomaly_flags=number, updated_at=at)
            two = replace(broker(desk.fresh()), anomaly_flags=number, updated_at=at)
            desk.write(
                changed=(replace(one, anomaly_flags=9), replace(two, anomaly_flags=9)),
            )
            desk.write(changed=(one, two))
            players.append(one)
            brokers.append(two)

        def wanted(made: list[str], found: list[str]) -> list[str]:
            known = set(made)
            return [each for each in found if each in known]

        async def look(read: Reader) -> tuple[list[str], list[str], int]:
            some = await read.flagged_players(least=least, limit=limit)
            holds(len(some) <= limit, "no more than asked for")
            people = await read.flagged_players(least=least, limit=1_000)
            machines = await read.flagged_brokers(least=least, limit=1_000)
            same(list(some), list(people[:limit]))
            return [one.id for one in people], [two.id for two in machines], len(people)

        found_players, found_brokers, _ = desk.read(look)
        for made, found in ((players, found_players), (brokers, found_brokers)):
            due = [each for each in made if each.anomaly_flags >= least]
            due.sort(key=lambda each: (each.anomaly_flags, each.updated_at, each.id), reverse=True)
            same(wanted([each.id for each in made], found), [each.id for each in due])

    @broad()
    @given(
        sample=strategies.battles(),
        fought=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=9),
        limit=st.integers(0, 4),
    )
    def test_leaders_are_ranked_by_the_score_of_all_their_battles(
        self, desk: Desk, sample: Battle, fought: list[tuple[int, int]], limit: int
    ) -> None:
        """Every battle counts once, also in one unit; of equal ones the smaller id leads."""
        names = [desk.fresh() for _ in range(3)]
        totals: dict[str, int] = {}
        made = []
        for who, score in fought:
            outcome = replace(sample.receipt.outcome, score=score)
            made.append(
                replace(
                    sample,
                    id=desk.fresh(),
                    player_id=names[who],
                    receipt=replace(sample.receipt, outcome=outcome),
                )
            )
            totals[names[who]] = totals.get(names[who], 0) + score
        desk.write(changed=made[:3])
        for battle in made[3:]:
            desk.write(changed=(battle,))
        if made:
            with pytest.raises(InvariantViolation):
                desk.write(changed=(replace(made[0], id=desk.fresh()), made[0]))
        due = sorted(totals.items(), key=lambda each: (-each[1], each[0]))

        async def look(read: Reader) -> None:
            every = await read.leaders(limit=1_000)
            found = [(each.player_id, each.score) for each in every if each.player_id in names]
            same(found, due)
            same(list(await read.leaders(limit=limit)), list(every[:limit]))

        desk.read(look)

    @broad()
    @given(
        worn=st.lists(st.tuples(st.integers(0, 2), _badges), max_size=6),
        limit=st.integers(1, 3),
    )
    def test_a_badge_s_holders_are_who_has_it_now(
        self, desk: Desk, worn: list[tuple[int, tuple[str, ...]]], limit: int
    ) -> None:
        """By rising id; who has lost it is none of them, whatever else the player has."""
        names = [desk.fresh() for _ in range(3)]
        held: dict[str, Player] = {}
        for who, some in worn:
            held[names[who]] = replace(player(names[who]), badges=some)
            desk.write(changed=(held[names[who]],))

        async def look(read: Reader) -> None:
            for badge in ("one", "two", "nobody's"):
                every = await read.badge_holders(badge, limit=1_000)
                due = [held[name] for name in sorted(held) if badge in held[name].badges]
                same([each for each in every if each.id in names], due)
                same(list(await read.badge_holders(badge, limit=limit)), list(every[:limit]))

        desk.read(look)

    def test_recent_flags_are_of_one_subject_and_newest_first(self, desk: Desk) -> None:
        """Flags of players and of brokers are told apart; the limit holds."""
        made = [
            Flag(id=str(number), subject=subject, subject_id="x", rule="r", at=AT + number % 2)
            for number, subject in enumerate((Subject.PLAYER, Subject.BROKER, Subject.PLAYER) * 2)
        ]
        desk.write(changed=made)
        due = [flag for flag in made if flag.subject is Subject.PLAYER]
        due.sort(key=lambda flag: (flag.at, flag.id), reverse=True)
        same(list(desk.read(lambda read: read.recent_flags(Subject.PLAYER, limit=9))), due)
        same(list(desk.read(lambda read: read.recent_flags(Subject.PLAYER, limit=2))), due[:2])

    def test_latest_brokers_are_the_newest(self, desk: Desk) -> None:
        """Newest first, of all or of those with or without an NFT."""
        made = [
            replace(
                broker(desk.fresh(), created_at=AT + number // 2),
                nft_item_address=f"nft {number}" if number % 2 else "",
            )
            for number in range(5)
        ]
        desk.write(changed=made)
        due = sorted(made, key=lambda each: (each.created_at, each.id), reverse=True)
        for minted in (None, True, False):
            some = [each for each in due if minted in (None, bool(each.nft_item_address))]
            same(self._latest(desk, minted=minted, limit=9), some)
            same(self._latest(desk, minted=minted, limit=2), some[:2])

    def _latest(self, desk: Desk, *, minted: bool | None, limit: int) -> list[object]:
        async def look(read: Reader) -> list[object]:
            return list(await read.latest_brokers(minted=minted, limit=limit))

        return desk.read(look)

    def test_an_nft_has_one_broker(self, desk: Desk) -> None:
        """A second broker of an NFT is undone whole; one that is gone or unlinked gives it up."""
        first = replace(broker("a"), nft_item_address="item")
        desk.write(changed=(first, broker("b"), broker("c")))
        same(desk.read(lambda read: read.broker_of_nft("item")), first)
        same(desk.read(lambda read: read.broker_of_nft("")), None)
        second = replace(broker("b"), nft_item_address="item")
        with pytest.raises(InvariantViolation):
            desk.write(movement(1), changed=(second,))
        same(desk.balance("player:1"), 0)
        desk.write(changed=(replace(first, xp=1),))
        desk.write(removed=(replace(first, xp=1),))
        same(desk.read(lambda read: read.broker_of_nft("item")), None)
        desk.write(changed=(second,))
        same(desk.read(lambda read: read.broker_of_nft("item")), second)
        desk.write(changed=(broker("b"),))
        same(desk.read(lambda read: read.broker_of_nft("item")), None)

    def test_a_broker_has_one_open_mint_job(self, desk: Desk) -> None:
        """A second open one is undone whole; one that is over makes room."""
        first = _job("1", "b", MintStatus.PENDING)
        desk.write(changed=(first,))
        same(desk.read(lambda read: read.mint_job_of("b")), first)
        with pytest.raises(InvariantViolation):
            desk.write(movement(1), changed=(_job("2", "b", MintStatus.MINTING),))
        same(desk.balance("player:1"), 0)
        over = first.ended(MintStatus.FAILED, AT, "no gas")
        desk.write(changed=(over,))
        same(desk.read(lambda read: read.mint_job_of("b")), None)
        same(desk.read(lambda read: read.mint_job("1")), over)
        second = _job("2", "b", MintStatus.MINTING)
        desk.write(changed=(second,))
        same(desk.read(lambda read: read.mint_job_of("b")), second)

    def test_mint_jobs_come_newest_first(self, desk: Desk) -> None:
        """Of one status, or of any."""
        made = [
            _job(str(number), f"broker {number}", status, AT + number // 2)
            for number, status in enumerate((*MintStatus, *MintStatus))
        ]
        desk.write(changed=made)
        due = sorted(made, key=lambda job: (job.created_at, job.id), reverse=True)
        same(list(desk.read(lambda read: read.mint_jobs(status=None, limit=3))), due[:3])
        failed = [job for job in due if job.status is MintStatus.FAILED]
        same(
            list(desk.read(lambda read: read.mint_jobs(status=MintStatus.FAILED, limit=9))), failed
        )

    def test_policies_come_newest_first(self, desk: Desk) -> None:
        """Every version there was, by pages."""
        made = [EconomyPolicy()]
        for cost in (1, 2, 3):
            made.append(next_version(made[-1], {"train_neur_cost": cost}, AT))
        desk.write(changed=made[1:])
        made.reverse()
        same(list(desk.read(lambda read: read.policies(before=None, limit=9))), made)
        same(list(desk.read(lambda read: read.policies(before=None, limit=2))), made[:2])
        same(list(desk.read(lambda read: read.policies(before=3, limit=9))), made[2:])
        same(list(desk.read(lambda read: read.policies(before=1, limit=9))), [])

    def test_the_day_s_sinks_are_by_reason_and_arena(self, desk: Desk) -> None:
        """Only those of the day, by what follows it in their names."""
        desk.write(
            movement(3, credit="sink:2026-01-01:train:training"),
            movement(4, credit="sink:2026-01-01:entry:prediction", currency=Currency.AIBA),
            movement(5, credit="sink:2026-01-01:entry:prediction"),
            movement(6, credit="sink:2026-01-02:entry:prediction"),
        )
        same(
            dict(desk.read(lambda read: read.spent("2026-01-01"))),
            {
                "train:training": {Currency.NEUR: 3},
                "entry:prediction": {Currency.AIBA: 4, Currency.NEUR: 5},
            },
        )
        same(dict(desk.read(lambda read: read.spent("2026-01-03"))), {})

    @broad()
    @given(
        moves=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=8),
        limit=st.integers(1, 9),
    )
    def test_movements_are_an_account_s_newest_first(
        self, desk: Desk, moves: list[tuple[int, bool]], limit: int
    ) -> None:
        """Those from and to the account, of one commit and of many, also before the commit."""
        names = [f"player:{desk.fresh()}" for _ in range(3)]
        wanted, made = names[0], []
        for number, (who, alone) in enumerate(moves, 1):
            one = movement(number, credit=names[who])
            two = movement(1, debit=names[who], credit="treasury")
            posted = (one,) if alone else (one, two)
            desk.write(*posted)
            made += [each for each in posted if wanted in (each.debit, each.credit)]
        made.reverse()

        async def look(read: Reader) -> None:
            found = await read.movements(wanted, limit=limit)
            same([each.posting for each in found], made[:limit])
            holds({each.at for each in found} <= {AT}, "each is dated as it was made")
            every = await read.movements(None, limit=limit)
            newest = [entry.posting for entry in read.entries()][-limit:]
            same([each.posting for each in every], newest[::-1])

        desk.read(look)

    @broad()
    @given(
        seen=st.lists(st.integers(0, 2), max_size=4),
        sample=strategies.battles(),
        fought=st.lists(st.integers(0, 2), max_size=3),
    )
    def test_totals_count_each_once(
        self, desk: Desk, seen: list[int], sample: Battle, fought: list[int]
    ) -> None:
        """Players and battles in all, and those of the day: whoever comes back is counted there."""
        before = {day: self._totals(desk, AT + day * DAY) for day in range(3)}
        for day in seen:
            one = player(desk.fresh())
            desk.write(changed=(one,))
            desk.write(changed=(one.seen(None, AT + day * DAY),))
            desk.write(changed=(one.seen(None, AT + day * DAY + 1),))
        for day in fought:
            made = replace(sample, id=desk.fresh(), created_at=AT + day * DAY)
            desk.write(changed=(made,))
        for day, (players, today, battles, played) in before.items():
            same(
                self._totals(desk, AT + day * DAY),
                (
                    players + len(seen),
                    today + seen.count(day),
                    battles + len(fought),
                    played + fought.count(day),
                ),
            )

    def _totals(self, desk: Desk, at: int) -> tuple[int, int, int, int]:
        async def look(read: Reader) -> tuple[int, int, int, int]:
            found = await read.totals(day_key(at))
            return found.players, found.players_seen, found.battles, found.battles_fought

        return desk.read(look)

    def test_totals_of_a_unit_that_failed_are_as_before(self, desk: Desk) -> None:
        """What is undone was not counted."""
        desk.write(changed=(player("1"),))
        with pytest.raises(InvariantViolation):
            desk.write(movement(1, debit="player:1", credit="chain"), changed=(player("2"),))
        same(self._totals(desk, AT)[:2], (1, 1))
