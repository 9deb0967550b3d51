"""Ways to reach a local chain's server: in the process, and by a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn

from aiba_adapters.devnet.server import Devnet
from aiba_entry.http.server import listen


def client_of(devnet: Devnet) -> httpx.AsyncClient:
    """Return a client that calls the application without a socket."""
    transport = httpx.ASGITransport(app=devnet.app)
    return httpx.AsyncClient(transport=transport, base_url="http://devnet")


@contextlib.asynccontextmanager
async def served(devnet: Devnet) -> AsyncIterator[str]:
    """Serve on a free port of the loopback interface, and yield the base URL."""
    listener = listen("127.0.0.1", 0)
    app: Any = devnet.app
    config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
