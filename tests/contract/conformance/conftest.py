"""One deployment that tests share: each run brings players of its own."""

from collections.abc import Iterator

import pytest

from aiba_entry.conformance import Bounds
from tests.contract.conformance.support import Site
from tests.support.limits import UNLIMITED


@pytest.fixture(name="site", scope="package")
def _site() -> Iterator[Site]:
    """Return the service with a vault, without limits in the way, and with room for many runs."""
    site = Site(
        environ=UNLIMITED,
        bounds=Bounds(requests=100_000, players=5_000, seconds=3_600),
    )
    yield site
    site.close()
