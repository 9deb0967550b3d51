"""A site of processes for a test; nothing of it here where the TVM isn't built for the machine."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

WITH_CHAIN = ["test_isolation.py", "test_rotation.py", "test_token_rotation.py"]

collect_ignore = WITH_CHAIN if find_spec("tonpy") is None else []

if not collect_ignore:
    from tests.contract.signer_service.site import Site

    @pytest.fixture(name="site")
    def _site(tmp_path: Path) -> Iterator[Site]:
        site = Site(tmp_path)
        yield site
        site.end()
