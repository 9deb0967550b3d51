"""A deployed arena for each test; nothing here where the TVM isn't built for the machine."""

from importlib.util import find_spec

import pytest

collect_ignore_glob = ["test_*.py"] if find_spec("tonpy") is None else []

if not collect_ignore_glob:
    from aiba_adapters.devnet.arena import Arena
    from aiba_adapters.devnet.chain import LocalChain
    from aiba_adapters.devnet.server import Devnet

    @pytest.fixture(name="arena")
    def _arena() -> Arena:
        return Arena(LocalChain())

    @pytest.fixture(name="devnet")
    def _devnet(arena: Arena) -> Devnet:
        return Devnet(arena)
