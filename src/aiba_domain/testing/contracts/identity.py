"""What whoever judges identities owes: genuine proofs name their player, nothing else names any."""

from abc import abstractmethod
from typing import Final, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.players.ports import Identities, NotProven
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import Opening, PortContract, base, broad

_AT_S: Final = 1_767_268_800
_DAY_S: Final = 86_400
_PLAYERS: Final = st.integers(1, 2**52 - 1).map(str)


class IdentityStage(Protocol):
    """Both sides of a proof: the one who makes it and the one who judges it.

    `identities` judges; `proof` makes what a client of that player would bring.
    """

    @property
    def identities(self) -> Identities:
        """Return the adapter."""
        ...

    def proof(self, player_id: str, at_s: int) -> str:
        """Return a genuine proof of a player, made at an instant in seconds."""
        ...


class IdentityContract(PortContract):
    """Subclass and make a stage whose two sides share a secret."""

    port = "Identities"
    version = "1.0"

    @abstractmethod
    def make_stage(self, secret: str) -> IdentityStage:
        """Return a stage on which `secret` is what a genuine proof is made with."""

    @pytest.fixture(name="stage")
    def _stage(self, opening: Opening) -> IdentityStage:
        with opening:
            return self.make_stage("123456:the secret of both sides")

    @base
    def test_a_genuine_proof_names_its_player(self, stage: IdentityStage) -> None:
        """And the second it was made in."""
        found = stage.identities.identify(stage.proof("42", _AT_S), now_s=_AT_S, max_age_s=60)
        same(found.player_id, "42", "the player")
        same(found.auth_date, _AT_S, "when the proof was made")
        holds(found.digest, "a proof has a digest")

    @broad()
    @given(player=_PLAYERS, age=st.integers(0, _DAY_S), bound=st.integers(0, _DAY_S))
    def test_a_proof_counts_for_its_time_and_no_longer(
        self, stage: IdentityStage, player: str, age: int, bound: int
    ) -> None:
        """Up to the bound, in its last second too; a bound of 0 is none."""
        proof = stage.proof(player, _AT_S)
        if bound and age > bound:
            refused = _refusal(stage, proof, now_s=_AT_S + age, max_age_s=bound)
            holds(refused.expired, "a proof whose time is over is told as expired")
        else:
            found = stage.identities.identify(proof, now_s=_AT_S + age, max_age_s=bound)
            same(found.player_id, player, "the player")

    def test_a_proof_of_the_future_is_refused(self, stage: IdentityStage) -> None:
        """An hour ahead is no difference of clocks; it would count for an hour too long."""
        refused = _refusal(stage, stage.proof("42", _AT_S + 3_600), now_s=_AT_S, max_age_s=_DAY_S)
        holds(not refused.expired, "a proof of the future is not told as expired")

    def test_a_proof_by_another_secret_is_refused(self, stage: IdentityStage) -> None:
        """Whoever doesn't know the secret names nobody."""
        forged = self.make_stage("654321:another secret").proof("42", _AT_S)
        holds(not _refusal(stage, forged).expired, "a forged proof is not told as expired")

    @broad()
    @given(
        player=_PLAYERS,
        place=st.integers(0, 10_000),
        letters=st.text(max_size=2),
        cut=st.integers(0, 2),
    )
    def test_a_changed_proof_is_refused_or_the_same(
        self, stage: IdentityStage, player: str, place: int, letters: str, cut: int
    ) -> None:
        """Another spelling may name the same player by the same digest, and never another one."""
        proof = stage.proof(player, _AT_S)
        place %= len(proof)
        changed = proof[:place] + letters + proof[place + cut :]
        genuine = stage.identities.identify(proof, now_s=_AT_S, max_age_s=60)
        try:
            found = stage.identities.identify(changed, now_s=_AT_S, max_age_s=60)
        except NotProven:
            return
        same((found.player_id, found.digest), (genuine.player_id, genuine.digest), "the identity")

    @broad()
    @given(text=st.text())
    def test_any_text_is_refused_without_another_error(
        self, stage: IdentityStage, text: str
    ) -> None:
        """Nothing that a client can send breaks the judge, and the refusal repeats none of it."""
        refused = _refusal(stage, text)
        holds(len(text) < 12 or text not in str(refused), "a refusal holds no part of the text")

    def test_a_digest_names_one_proof(self, stage: IdentityStage) -> None:
        """The same proof has the same digest; another player or time has another one."""
        digests = [
            stage.identities.identify(stage.proof(player, at), now_s=_AT_S + 9, max_age_s=60).digest
            for player, at in (("1", _AT_S), ("1", _AT_S), ("2", _AT_S), ("1", _AT_S + 1))
        ]
        same(digests[0], digests[1], "the digest of the same proof")
        same(len(set(digests)), 3, "different digests")


def _refusal(
    stage: IdentityStage, proof: str, *, now_s: int = _AT_S, max_age_s: int = 60
) -> NotProven:
    """Return the refusal of a proof; it is one, and no other error."""
    with pytest.raises(NotProven) as refused:
        stage.identities.identify(proof, now_s=now_s, max_age_s=max_age_s)
    return refused.value
