"""What needs a chain of this machine's own is left out where the TVM isn't built for it."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore = ["test_runbook.py"] if find_spec("tonpy") is None else []

if not collect_ignore:
    from tests.contract.signer_service.site import Site

    @pytest.fixture(name="site")
    def _site(tmp_path: Path) -> Iterator[Site]:
        site = Site(tmp_path)
        yield site
        site.end()
