"""The toncenter reader keeps the contract of vault readers over a real TVM, by either API."""

import asyncio
import contextlib
from pathlib import Path

from aiba_domain.testing.contracts import Capability, VaultReaderContract
from tests.contract.chain.test_reader_contract import Stage
from tests.support.virtual_time import runner


class TestV2Vault(VaultReaderContract):
    """Over version 2."""

    form = "/api/v2"
    capabilities = frozenset({Capability.LATE_BLOCKS, Capability.FAULTS})

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Pass time in a moment."""
        return runner().get_loop()

    async def open_stage(self, folder: Path) -> Stage:  # noqa: ARG002 - in memory
        """Deploy."""
        return Stage(self.form)

    async def release(self, adapter: Stage) -> None:
        """Close the reader."""
        await adapter.reader.close()

    def outage(self, adapter: Stage) -> contextlib.AbstractContextManager[None]:
        """Let every request fail."""
        return adapter.outage()


class TestV3Vault(TestV2Vault):
    """Over version 3."""

    form = "/api/v3"
