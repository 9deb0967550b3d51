"""A Redis for the tests of this folder, and limiters that count in it."""

from collections.abc import Iterator

import pytest

from tests.support.redis import RedisServer


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a Redis that keeps what it answered through a kill."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), durable=True)
    yield server.start()
    server.kill()
