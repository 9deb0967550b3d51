"""A client of one Redis: bounded in connections and in time, and back by itself after an outage."""

from pathlib import Path
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Unreachable

PATIENCE_S: Final = 1.0
"""How long a connection, an answer, or a free connection is waited for, in seconds, each."""

MAX_CONNECTIONS: Final = 32
"""The most connections of one client; who finds all of them busy waits."""

# A connection that broke since it was last used, as all have when Redis was restarted, is made
# again at once. What timed out isn't asked again: whoever waits has waited long enough.
_RETRIES: Final = 1


def open_client(
    url: str,
    *,
    password: str | None = None,
    ca: Path | None = None,
    patience_s: float = PATIENCE_S,
    max_connections: int = MAX_CONNECTIONS,
) -> "Redis":
    """Return a client of the Redis at `url`, which is asked nothing yet.

    `redis://host:port/0` is plain, `rediss://` is TLS whose certificate must be the host's by the
    authorities of the file `ca`, or else by the system's, and `unix:///path` is a socket.
    `password` is that of the URL's user, for a URL that holds none.
    """
    options: dict[str, Any] = {}
    if password is not None:
        options["password"] = password
    if ca is not None:
        options["ssl_ca_certs"] = str(ca)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=patience_s,
        socket_timeout=patience_s,
        socket_connect_timeout=patience_s,
        retry=Retry(NoBackoff(), _RETRIES, (Unreachable,)),
        protocol=2,
        **options,
    )
    client = Redis(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client
