"""Seed secrets derived from one configured root."""

from functools import lru_cache

from aiba_domain.fairness.epochs import epoch_secret


class DerivedSeedSecrets:
    """Derives each epoch's secret from a root that never leaves the process.

    Raises InvalidInput for a root that is too short. Its repr shows nothing of the root.
    """

    def __init__(self, root: str) -> None:
        """Keep the root and check that secrets can be derived from it."""
        self._derive = lru_cache(maxsize=64)(lambda number: epoch_secret(root, number))
        self._derive(1)

    def secret(self, number: int) -> str:
        """Return the secret of a seed epoch."""
        return self._derive(number)
