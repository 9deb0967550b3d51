"""The machine's clock and the derived seed secrets keep their contracts; so do the stand-ins."""

from aiba_adapters.system.clock import SystemClock
from aiba_adapters.system.seeds import DerivedSeedSecrets
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
