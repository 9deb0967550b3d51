"""What a source of seed secrets owes: one secret an epoch, the same each time, shown nowhere."""

from abc import abstractmethod
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.fairness.epochs import commitment
from aiba_domain.ports import SeedSecrets
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

_MIN_LENGTH: Final = 32
_ROOTS: Final = ("a root of seed secrets for a suite", "another root of seed secrets for it")


class SeedSecretsContract(PortContract):
    """Subclass and make a source from a root of 32 characters or more.

    `reopen`: the same root gives the same secrets in another life of the process.
    """

    port = "SeedSecrets"
    version = "2.0"

    @abstractmethod
    def make_secrets(self, root: str) -> SeedSecrets:
        """Return the source of the secrets that belong to `root`."""

    @pytest.fixture(name="secrets")
    def _secrets(self, opening: Opening) -> SeedSecrets:
        with opening:
            return self.make_secrets(_ROOTS[0])

    @base
    def test_a_secret_is_a_text_that_nobody_guesses(self, secrets: SeedSecrets) -> None:
        """A secret has 32 characters or more, and can be committed to."""
        secret = secrets.secret(1)
        same(type(secret), str, "the type of a secret")
        holds(len(secret) >= _MIN_LENGTH, f"a secret has at least {_MIN_LENGTH} characters")
        holds(commitment(1, secret), "a secret can be committed to")

    @broad()
    @given(numbers=st.lists(st.integers(1, 2**53), min_size=2, max_size=6, unique=True))
    def test_each_epoch_has_its_own_secret(self, secrets: SeedSecrets, numbers: list[int]) -> None:
        """The same number gives the same secret, another number another one."""
        drawn = {number: secrets.secret(number) for number in numbers}
        same(len(set(drawn.values())), len(numbers), "different secrets")
        same({number: secrets.secret(number) for number in reversed(numbers)}, drawn)

    @base
    def test_a_promise_is_kept_by_its_own_secret_alone(self, secrets: SeedSecrets) -> None:
        """An epoch's commitment brings its secret; anything else is no secret at hand."""
        promise = commitment(3, secrets.secret(3))
        same(secrets.promised(3, promise), secrets.secret(3), "the secret of a promise")
        same(secrets.promised(4, promise), None, "the secret of another epoch's promise")
        foreign = commitment(3, self.make_secrets(_ROOTS[1]).secret(3))
        same(secrets.promised(3, foreign), None, "the secret of another root's promise")
        same(secrets.promised(3, ""), None, "the secret of no promise")

    def test_another_root_has_other_secrets(self, secrets: SeedSecrets) -> None:
        """Nobody knows the secrets who doesn't know the root."""
        other = self.make_secrets(_ROOTS[1])
        holds(secrets.secret(1) != other.secret(1), "two roots give two secrets")

    def test_neither_root_nor_secret_is_shown(self, secrets: SeedSecrets) -> None:
        """No text of the source holds them."""
        secret = secrets.secret(1)
        for text in (repr(secrets), str(secrets), f"{secrets}"):
            holds(_ROOTS[0] not in text, "the root is not in its repr")
            holds(secret not in text, "no secret is in its repr")

    @needs(Capability.REOPEN)
    def test_the_secrets_are_the_same_after_a_restart(self, secrets: SeedSecrets) -> None:
        """Whoever made the source anew finds the secrets that battles were drawn with."""
        before = [secrets.secret(number) for number in (1, 2, 99)]
        again = self.make_secrets(_ROOTS[0])
        same([again.secret(number) for number in (1, 2, 99)], before, "the secrets")
