"""What a store owes of its questions: order, pages, and who is found by what."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiba_domain.battle.model import Battle
from aiba_domain.battle.opponents import GuildStrength, choose_opponent
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvariantViolation
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.ports import Reader
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.samples import (
    AT,
    broker,
    guild,
    movement,
    player,
    refusal,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad


class ReadsContract(StoreSuite):
    """The meaning of reads over many records."""

    def test_brokers_come_newest_first(self, desk: Desk) -> None:
        """Brokers are ordered by age and then by id."""
        made = [broker("b", created_at=5), broker("a", created_at=5), broker("c", created_at=1)]
        desk.write(changed=(made[1], made[2], made[0], broker("z", "2", created_at=9)))
        same(list(desk.read(lambda read: read.brokers_of("1"))), made)

    @broad()
    @given(
        ages=st.lists(st.integers(0, 4), max_size=8),
        sample=strategies.battles(),
        size=st.integers(1, 3),
    )
    def test_pages_of_battles_are_the_whole(
        self, desk: Desk, ages: list[int], sample: Battle, size: int
    ) -> None:
        """Pages of any size, put together, are all battles newest first, each once."""
        mine = desk.fresh()
        made = [
            replace(sample, id=desk.fresh(), player_id=mine, created_at=AT + age) for age in ages
        ]
        desk.write(changed=(*made, replace(sample, id=desk.fresh(), player_id=desk.fresh())))
        pages: list[Battle] = []
        before: tuple[int, str] | None = None
        while True:
            page = desk.battles(mine, before, size)
            holds(len(page) <= size, f"a page of {size} holds no more")
            if not page:
                break
            pages += page
            holds(len(pages) <= len(made), "no page goes back over one before")
            before = (page[-1].created_at, page[-1].id)
        same(pages, sorted(made, key=lambda each: (each.created_at, each.id), reverse=True))

    @broad()
    @given(made=st.lists(strategies.modes(), max_size=6, unique_by=lambda mode: mode.key))
    def test_modes_are_ordered_by_arena_league_and_key(self, desk: Desk, made: list[Any]) -> None:
        """The order of modes is that of their places and keys."""
        desk.write(changed=made)
        places = [
            (mode.arena, mode.league, mode.key) for mode in desk.read(lambda read: read.modes())
        ]
        same(places, sorted(places))
        listed = {key for _, _, key in places}
        holds({mode.key for mode in made} <= listed, "every mode is listed")

    def test_flags_come_oldest_first_and_of_their_subject(self, desk: Desk) -> None:
        """A broker's flags are not a player's, whatever the id."""
        made = [
            Flag(id=flag_id, subject=subject, subject_id="1", rule="r", at=at)
            for flag_id, subject, at in (
                ("d", Subject.PLAYER, 3),
                ("b", Subject.PLAYER, 2),
                ("a", Subject.PLAYER, 2),
                ("c", Subject.BROKER, 1),
            )
        ]
        desk.write(changed=made)
        found = desk.read(lambda read: read.flags_of(Subject.PLAYER, "1"))
        same([flag.id for flag in found], ["a", "b", "d"])

    def test_epochs_are_ordered_and_the_last_is_open(self, desk: Desk) -> None:
        """Epochs come by number, ten after nine."""
        made = [SeedEpoch(number=number, commitment="c", opened_at=1) for number in (9, 10, 2)]
        desk.write(changed=made)
        same([each.number for each in desk.read(lambda read: read.epochs())], [2, 9, 10])
        same(desk.read(lambda read: read.epoch()), made[1])

    def test_policy_is_the_newest(self, desk: Desk) -> None:
        """Version 10 is newer than version 9."""
        for version in range(2, 12):
            desk.write(changed=(EconomyPolicy(version=version),))
        same(desk.read(lambda read: read.policy()).version, 11)

    def test_guild_of_a_player_is_the_active_one_with_the_smallest_id(self, desk: Desk) -> None:
        """Inactive guilds don't count, and of several the choice is stable."""
        desk.write(
            changed=(
                guild(3, 1, members=("1",)),
                guild(2, 1, members=("1", "2")),
                guild(1, 1, members=("1",), active=False),
            )
        )
        same(desk.read(lambda read: read.guild_of("1")), guild(2, 1, members=("1", "2")))
        same(desk.read(lambda read: read.guild_of("11")), None)

    @broad()
    @given(
        pools=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=8),
        mine=st.integers(0, 4),
    )
    @example(pools=[(2, True), (2, True)], mine=3)
    @example(pools=[(4, True), (4, True)], mine=3)
    @example(pools=[(4, True), (2, True)], mine=3)
    @example(pools=[(3, True), (3, True)], mine=3)
    def test_rivals_hold_the_one_that_is_met(
        self, desk: Desk, pools: list[tuple[int, bool]], mine: int
    ) -> None:
        """The rule of the opponent gives on a store's rivals what it gives on all guilds."""
        # The guilds of the examples before are taken out of play.
        made = [guild(number, pooled, active=on) for number, (pooled, on) in enumerate(pools, 1)]
        made += [guild(number, 0, active=False) for number in range(len(made) + 1, 10)]
        own = guild(20, mine)
        desk.write(changed=(*made, own))
        strength = GuildStrength(guild_id=own.id, pooled=own.pooled)
        everyone = [
            GuildStrength(guild_id=each.id, pooled=each.pooled) for each in made if each.active
        ]
        rivals = desk.read(lambda read: read.rivals_of(own))
        holds(own.id not in {each.guild_id for each in rivals}, "no guild is its own rival")
        same(choose_opponent(strength, rivals), choose_opponent(strength, everyone))

    @broad()
    @given(moves=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=10))
    def test_a_wallet_has_one_player(self, desk: Desk, moves: list[tuple[int, int]]) -> None:
        """Whoever binds a wallet that another has is undone whole; wallet 0 is none at all."""
        names = [desk.fresh() for _ in range(3)]
        wallets = ["", *(desk.fresh() for _ in range(3))]
        bound: dict[str, str] = {}
        for who, which in moves:
            name, wallet, key = names[who], wallets[which], desk.fresh()
            taken = wallet and bound.get(wallet, name) != name
            with pytest.raises(InvariantViolation) if taken else contextlib.nullcontext():
                desk.write(
                    movement(1, credit=f"player:{name}"),
                    changed=(replace(player(name), wallet=wallet),),
                    remember=refusal(key),
                )
            same(desk.answer(key) is None, bool(taken))
            if not taken:
                bound = {has: owner for has, owner in bound.items() if owner != name}
                bound |= {wallet: name} if wallet else {}
            for each in wallets[1:]:
                same(self._owner(desk, each), bound.get(each))
        for name in names:
            found = desk.player(name)
            owner = name if found is None else bound.get(found.wallet, name)
            same(owner, name, f"whose wallet player {name} has")

    def _owner(self, desk: Desk, wallet: str) -> str | None:
        async def look(read: Reader) -> str | None:
            return await read.wallet_owner(wallet)

        return desk.read(look)
