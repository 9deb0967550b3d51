"""What only asking can tell: the store, Redis, the signer and the chain, each within its patience.

Nothing is made or changed but the line that every health check of MongoDB writes. Whatever is
asked for in vain is a finding; no text repeats a URL or a secret.
"""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from aiba_adapters.signing.local import oracle_key
from aiba_adapters.signing.remote import SignerPlace
from aiba_adapters.system.clock import SystemClock
from aiba_domain.ports import Unavailable
from aiba_entry.chain import reader_of
from aiba_entry.disks import IN_MEMORY, kind_of_disk
from aiba_entry.limiters import REDIS_MISSING
from aiba_entry.migrations import Plan, SqliteMigrations
from aiba_entry.readiness.findings import Finding
from aiba_entry.redis_settings import RedisSettings
from aiba_entry.settings import Settings
from aiba_entry.signer_access import URL as SIGNER_URL
from aiba_entry.stores import MONGO_MISSING, StoreUnusable, database_path
from aiba_entry.ton_settings import TonSettings

T = TypeVar("T")

PATIENCE_S: Final = 10.0
"""How long each of them may take."""

FEW_MEMBERS: Final = 3
"""Below this many members a replica set doesn't survive the loss of one."""

_SECONDS: Final = "it didn't answer in time"

SHOWN: Final = 5
"""How many problems of a database are told one by one: an empty one lacks everything."""

Ask = Callable[[Settings], AsyncIterator[Finding]]


async def look(settings: Settings) -> list[Finding]:
    """Ask everything that the settings name, one after another, and return what is wrong."""
    found: list[Finding] = []
    for ask in (_store, _redis, _signer, _chain):
        found += [finding async for finding in ask(settings)]
    return found


def _wrong(code: str, name: str, text: str, *, warning: bool = False) -> Finding:
    return Finding(code=code, variables=(name,), text=text, warning=warning)


async def _in_time(work: Awaitable[T]) -> T:
    """Wait for an answer; raises Unavailable when patience is over."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await work
    except TimeoutError:
        raise Unavailable(_SECONDS) from None


# The store


async def _store(settings: Settings) -> AsyncIterator[Finding]:
    if settings.mongo_uri is None:
        async for finding in _sqlite(database_path(settings), prod=settings.is_prod):
            yield finding
        return
    name = "MONGO_URI"
    try:
        mongo = importlib.import_module("aiba_adapters.mongo")
        connect = importlib.import_module("aiba_adapters.mongo.connecting").connect
    except ImportError:
        yield _wrong("live_store_unreachable", name, MONGO_MISSING)
        return
    try:
        store = await _in_time(mongo.open_store(settings.mongo_uri))
        try:
            await _in_time(store.check())
        finally:
            await store.close()
        members = await _in_time(_members(connect, settings.mongo_uri))
    except mongo.Unfit as unfit:
        for problem in unfit.problems[:SHOWN]:
            yield _wrong("live_store_unfit", name, problem)
        if more := len(unfit.problems[SHOWN:]):
            text = f"and {more} more problems of it, which aiba mongo check lists"
            yield _wrong("live_store_unfit", name, text)
    except Unavailable as error:
        yield _wrong("live_store_unreachable", name, f"the database doesn't answer: {error}")
    else:
        if 0 < members < FEW_MEMBERS:
            text = f"the replica set has {members} member(s): losing one stops every write"
            yield _wrong("live_store_few_members", name, text, warning=True)


async def _members(connect: Callable[[str], tuple[Any, Any]], uri: str) -> int:
    client, _ = connect(uri)
    try:
        hello: Mapping[str, Any] = await client.admin.command("hello")
    finally:
        await client.close()
    return len(hello.get("hosts", ()))


async def _sqlite(path: Path, *, prod: bool) -> AsyncIterator[Finding]:
    name = "AIBA_DATA_DIR"
    place = next(each for each in (path.parent, *path.parent.absolute().parents) if each.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield _wrong("live_store_not_writable", name, "this process can't write there")
        return
    # In production the gate judges it, before anything is asked.
    if not prod and kind_of_disk(str(place)) in IN_MEMORY:
        text = "is kept in memory: what is written there is gone after a restart"
        yield _wrong("live_store_not_durable", name, text, warning=True)
    try:
        plan: Plan = await SqliteMigrations(path).plan()
    except StoreUnusable as error:
        yield _wrong("live_store_unreachable", name, str(error))
        return
    if plan.steps:
        text = f"the store is at schema {plan.at} of {plan.newest}"
        yield _wrong("live_store_schema", name, text, warning=True)


# Redis


async def _redis(settings: Settings) -> AsyncIterator[Finding]:
    if settings.redis is None:
        return
    try:
        await _in_time(_ask_redis(settings.redis))
    except ImportError:
        yield _wrong("live_redis_unreachable", "REDIS_URL", REDIS_MISSING)
    except Unavailable as error:
        text = f"Redis doesn't answer: {error}"
        yield _wrong("live_redis_unreachable", "REDIS_URL", text)


async def _ask_redis(redis: RedisSettings) -> None:
    adapter = importlib.import_module("aiba_adapters.redis")
    client = adapter.open_client(redis.url, password=redis.password, ca=redis.ca)
    limiter = adapter.RedisRateLimiter(client)
    try:
        await limiter.check()
    finally:
        await limiter.close()


# The signer


async def _signer(settings: Settings) -> AsyncIterator[Finding]:
    if settings.ton is None or settings.ton.signer is None:
        return
    try:
        answer = await _in_time(_ask_signer(settings.ton.signer.place))
    except (httpx.HTTPError, OSError, Unavailable) as error:
        text = f"the signer doesn't answer: {type(error).__name__}"
        yield _wrong("live_signer_unreachable", SIGNER_URL, text)
        return
    # Another maker's signer may know no such path; that it answers is enough then.
    if answer.status_code not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
        text = f"the signer isn't ready: its /ready answers {answer.status_code}"
        yield _wrong("live_signer_not_ready", SIGNER_URL, text)


async def _ask_signer(place: SignerPlace) -> httpx.Response:
    """Ask past any proxy, and without the token, which this path needs not."""
    tls = place.tls.context() if place.tls else True
    transport = httpx.AsyncHTTPTransport(verify=tls, uds=place.socket or None)
    async with httpx.AsyncClient(
        transport=transport, timeout=PATIENCE_S, trust_env=False, follow_redirects=False
    ) as client:
        url = httpx.URL(place.endpoint)
        return await client.get(url.copy_with(path=url.path.rpartition("/")[0] + "/ready"))


# The chain


async def _chain(settings: Settings) -> AsyncIterator[Finding]:
    if settings.ton is None:
        return
    try:
        believed = await _in_time(_ask_vault(settings.ton))
    except Unavailable as error:
        text = f"the vault can't be read: {error}"
        yield _wrong("live_ton_unreachable", "TON_PROVIDER_URL", text)
        return
    name, keys = _own_keys(settings.ton)
    if keys and believed not in keys:
        text = "the vault believes another key: what is signed by this one is never paid"
        yield _wrong("live_ton_oracle_key", name, text)


async def _ask_vault(ton: TonSettings) -> bytes:
    reader = reader_of(ton, clock=SystemClock())
    try:
        return await reader.oracle_key(ton.vault)
    finally:
        await reader.close()


def _own_keys(ton: TonSettings) -> tuple[str, frozenset[bytes]]:
    if ton.signer is not None:
        return "ORACLE_PUBLIC_KEY_HEX", ton.signer.public_keys
    key = oracle_key(ton.oracle_environ)
    return "ORACLE_PRIVATE_KEY_HEX", frozenset((bytes(key.verify_key),))
