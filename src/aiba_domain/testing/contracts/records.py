"""What a store owes of records: each comes back equal, replaces the one before or is made once."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.model import Battle
from aiba_domain.brokers.listing import Listing, ListingState
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Record
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvariantViolation
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.leases.model import Lease
from aiba_domain.moderation.model import Flag
from aiba_domain.players.model import Player, Session
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import contains, nothing, same
from aiba_domain.testing.contracts.samples import (
    broker,
    guild,
    listing,
    player,
    refusal,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad


class RecordsContract(StoreSuite):
    """The meaning of changed and removed records."""

    @broad()
    @given(record=strategies.players())
    def test_players_come_back_equal(self, desk: Desk, record: Player) -> None:
        """Every field of a player survives."""
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.player(record.id)), record)

    @broad()
    @given(record=strategies.sessions())
    def test_sessions_come_back_equal(self, desk: Desk, record: Session) -> None:
        """Every field of a session survives."""
        record = replace(record, id=desk.fresh())
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.session(record.id)), record)

    @broad()
    @given(record=strategies.listings())
    def test_listings_come_back_equal(self, desk: Desk, record: Listing) -> None:
        """Every field of a listing survives, and an active one is found by its broker."""
        record = replace(record, id=desk.fresh(), broker_id=desk.fresh())
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.listing(record.id)), record)
        found = desk.read(lambda read: read.listing_of(record.broker_id))
        same(found, record if record.is_active else None)

    @broad()
    @given(record=strategies.leases(), holder=strategies.names())
    def test_leases_come_back_equal(self, desk: Desk, record: Lease, holder: str) -> None:
        """Every field of a lease survives, and the next one takes its place."""
        record = replace(record, name=desk.fresh())
        for kept in (record, replace(record, holder=holder, number=record.number + 1)):
            desk.write(changed=(kept,))
            same(desk.read(lambda read: read.lease(record.name)), kept)

    @broad()
    @given(record=strategies.brokers())
    def test_brokers_come_back_equal(self, desk: Desk, record: Broker) -> None:
        """Every field of a broker survives."""
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.broker(record.id)), record)

    @broad()
    @given(record=strategies.battles())
    def test_battles_come_back_equal(self, desk: Desk, record: Battle) -> None:
        """Every field of a battle survives, exact multipliers included."""
        record = replace(record, id=desk.fresh())
        desk.write(changed=(record,))
        back = desk.read(lambda read: read.battle(record.id))
        same(back, record)
        contains(desk.battles(record.player_id, None, 99), record, "the player's battles")

    @broad()
    @given(record=strategies.modes())
    def test_modes_come_back_equal(self, desk: Desk, record: Any) -> None:  # noqa: ANN401
        """Every field of a mode survives."""
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.mode(record.key)), record)
        contains(desk.read(lambda read: read.modes()), record, "all modes")

    @broad()
    @given(record=strategies.guilds())
    def test_guilds_come_back_equal(self, desk: Desk, record: Guild) -> None:
        """Every field of a guild survives."""
        member = f"member of {desk.fresh()}"
        record = replace(record, active=True, member_ids=(*record.member_ids, member))
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.guild_of(member)), record)

    @broad()
    @given(record=strategies.flags())
    def test_flags_come_back_equal(self, desk: Desk, record: Flag) -> None:
        """Every field of a flag survives, the evidence included."""
        record = replace(record, id=desk.fresh(), subject_id=desk.fresh())
        desk.write(changed=(record,))
        same(
            list(desk.read(lambda read: read.flags_of(record.subject, record.subject_id))), [record]
        )

    @broad()
    @given(record=strategies.epochs())
    def test_epochs_come_back_equal(self, desk: Desk, record: SeedEpoch) -> None:
        """Every field of a seed epoch survives."""
        desk.write(changed=(record,))
        contains(desk.read(lambda read: read.epochs()), record, "all epochs")

    @broad()
    @given(record=strategies.policies())
    def test_policies_come_back_equal(self, desk: Desk, record: EconomyPolicy) -> None:
        """Every knob of a policy survives, at either end of its range too."""
        newest = desk.read(lambda read: read.policy()).version
        record = replace(record, version=newest + 1)
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.policy()), record)

    @broad()
    @given(data=st.data(), kind=st.sampled_from((Session, Battle, Flag, EconomyPolicy)))
    def test_records_that_never_change_are_made_once(
        self, desk: Desk, data: st.DataObject, kind: type[Record]
    ) -> None:
        """A second one with the same key is a broken invariant."""
        record = data.draw(strategies.RECORDS[kind])
        if isinstance(record, EconomyPolicy):
            newest = desk.read(lambda read: read.policy()).version
            record = replace(record, version=newest + 1)
        else:
            record = replace(record, id=desk.fresh())
        desk.write(changed=(record,))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(record,), remember=refusal("k"))
        same(desk.answer("k"), None)

    @pytest.mark.parametrize("text", ["", "\x00", "a\x00b", "\U0001f600", "é", "e\u0301", "'\"\\"])
    def test_odd_texts_are_kept_apart(self, desk: Desk, text: str) -> None:
        """NUL, quotes, composed and decomposed letters are all just text, in keys too."""
        others = {"a", "é", "e\u0301"} - {text}
        desk.write(changed=tuple(replace(player(each), wallet=each) for each in others))
        desk.write(changed=(replace(player(text), wallet=text),))
        for each in (text, *others):
            found = desk.player(each)
            same(found and found.wallet, each, f"the wallet of player {each!r}")

    def test_record_is_replaced_by_the_next_with_its_key(self, desk: Desk) -> None:
        """A kept record takes the place of the one before, in every view."""
        desk.write(changed=(broker("b"), guild(1, 1, members=("1", "2"))))
        moved = replace(broker("b"), owner_id="2", speed=7)
        desk.write(changed=(moved, guild(1, 2, members=("2",))))
        same(desk.read(lambda read: read.broker("b")), moved)
        nothing(desk.read(lambda read: read.brokers_of("1")))
        same(list(desk.read(lambda read: read.brokers_of("2"))), [moved])
        same(desk.read(lambda read: read.guild_of("1")), None)
        same(desk.read(lambda read: read.guild_of("2")), guild(1, 2, members=("2",)))

    def test_removed_broker_is_gone(self, desk: Desk) -> None:
        """A removed broker is absent from every view."""
        desk.write(changed=(broker("a"), broker("b")))
        desk.write(removed=(broker("b"),))
        same(desk.read(lambda read: read.broker("b")), None)
        same(list(desk.read(lambda read: read.brokers_of("1"))), [broker("a")])

    def test_a_broker_has_one_active_listing(self, desk: Desk) -> None:
        """A second one is a broken invariant until the first has ended."""
        broker_id, first, second = desk.fresh(), desk.fresh(), desk.fresh()
        one, other = listing(first, broker_id), listing(second, broker_id)
        desk.write(changed=(one,))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(other,))
        same(desk.read(lambda read: read.listing(second)), None)
        desk.write(changed=(one.cancelled(), other))
        same(desk.read(lambda read: read.listing_of(broker_id)), other)
        desk.write(changed=(replace(other, state=ListingState.SOLD),))
        same(desk.read(lambda read: read.listing_of(broker_id)), None)
        same(desk.read(lambda read: read.listing(first)), one.cancelled())
