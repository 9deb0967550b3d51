"""Seed secrets derived from one configured root, or from several while one replaces another."""

from functools import lru_cache

from aiba_domain.fairness.epochs import epoch_secret, keeps_promise


class DerivedSeedSecrets:
    """Derives each epoch's secret from a root that never leaves the process.

    Epochs are opened by `root` alone. Those that were opened by one of `others` are known again,
    so that processes which open by the one and by the other can run side by side.
    Raises InvalidInput for a root that is too short. Its repr shows nothing of the roots.
    """

    def __init__(self, root: str, *others: str) -> None:
        """Keep the roots and check that secrets can be derived from them."""
        self._derive = lru_cache(maxsize=64)(lambda number: epoch_secret(root, number))
        self._known = lru_cache(maxsize=64)(
            lambda number, commitment: _kept((root, *others), number, commitment)
        )
        for each in (root, *others):
            epoch_secret(each, 1)

    def secret(self, number: int) -> str:
        """Return the secret to open a seed epoch with."""
        return self._derive(number)

    def promised(self, number: int, commitment: str) -> str | None:
        """Return the secret that an epoch was committed to, None if it is of another root."""
        return self._known(number, commitment)


def _kept(roots: tuple[str, ...], number: int, commitment: str) -> str | None:
    secrets = (epoch_secret(root, number) for root in roots)
    return next((each for each in secrets if keeps_promise(number, commitment, each)), None)
