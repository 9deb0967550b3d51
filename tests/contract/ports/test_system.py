"""The machine's clock and the derived seed secrets keep their contracts; so do the stand-ins."""

import pytest

from aiba_adapters.system.clock import SystemClock
from aiba_adapters.system.seeds import DerivedSeedSecrets
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness.epochs import commitment
from aiba_domain.testing.contracts import Capability, ClockContract, SeedSecretsContract
from aiba_domain.testing.doubles import FixedSeeds, SettableClock


class TestSystemClock(ClockContract):
    """The machine's wall clock."""

    capabilities = frozenset({Capability.WALL_TIME})

    def make_clock(self) -> SystemClock:
        """Make it."""
        return SystemClock()


class TestSettableClock(ClockContract):
    """The clock of tests."""

    def make_clock(self) -> SettableClock:
        """Make it."""
        return SettableClock()


class TestDerivedSeedSecrets(SeedSecretsContract):
    """Secrets derived from the configured root."""

    capabilities = frozenset({Capability.REOPEN})

    def make_secrets(self, root: str) -> DerivedSeedSecrets:
        """Make them."""
        return DerivedSeedSecrets(root)


class TestFixedSeeds(SeedSecretsContract):
    """The secrets of tests."""

    capabilities = frozenset({Capability.REOPEN})

    def make_secrets(self, root: str) -> FixedSeeds:
        """Make them."""
        return FixedSeeds(root)


class TestSeedSecretsOfTwoRoots(SeedSecretsContract):
    """The same while another root takes this one's place, or has taken it."""

    capabilities = frozenset({Capability.REOPEN})

    def make_secrets(self, root: str) -> DerivedSeedSecrets:
        """Know a root beside the one that epochs are opened by."""
        return DerivedSeedSecrets(root, "the root that goes, or the one that comes")


def test_what_another_root_promised_is_known_and_never_promised_anew() -> None:
    """Whoever opens by the old root, and whoever opens by the new one, know each other's epochs."""
    old, new = "the old root of seeds, as long as asked", "the new root of seeds, as long as asked"
    before, after = DerivedSeedSecrets(old, new), DerivedSeedSecrets(new, old)
    for opener, other in ((before, after), (after, before)):
        secret = opener.secret(7)
        assert other.promised(7, commitment(7, secret)) == secret
        assert other.secret(7) != secret
    with pytest.raises(InvalidInput):
        DerivedSeedSecrets(old, "too short")
