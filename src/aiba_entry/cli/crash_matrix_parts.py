"""What the crash matrix runs on: this project's own adapters on each port that it can have."""

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from aiba_adapters.memory import MemoryStore
from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.sessions import SessionTokens
from aiba_adapters.signing.keys import ProcessKey
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import ProtectedSigner
from aiba_adapters.signing.protection import ProtectionFile, SqliteProtection, init
from aiba_adapters.signing.unlocking import Unlocked, unlock
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.telegram import TelegramIdentities, sign
from aiba_domain.claims.ports import Signer
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.ports import Store
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import Allowed, Limits, SigningPolicy
from aiba_domain.signing.ports import Key, ProtectionStore, SigningChain
from aiba_domain.testing.chain import JETTON_MASTER, VAULT
from aiba_domain.testing.crash_matrix import FrontDoor, Isolated, OpenStore, Parts
from aiba_entry.cli.scratch_mongo import Scratch, check_uri, scratch

STORES: Final = ("memory", "sqlite", "mongo")
"""The stores that a matrix can run on; `mongo` needs a server."""

_BOT_TOKEN: Final = "123456:only good for tests"  # noqa: S105 - no bot's
_SECRET: Final = b"a secret that is only good for tests"
_LIMITS: Final = Limits(
    claim=MAX_AMOUNT, recipient_day=MAX_AMOUNT, day=MAX_AMOUNT, lifetime=MAX_AMOUNT
)
_POLICY: Final = SigningPolicy(
    allow=(
        Allowed(
            name="arena",
            network=Network.TESTNET,
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            limits=_LIMITS,
        ),
    )
)


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """Give a folder that goes away, in memory where the machine has one.

    What dies in a matrix are processes, not machines, so nothing has to reach a disk.
    """
    shared = Path("/dev/shm")  # noqa: S108 - the folder is made in it under a new name
    with tempfile.TemporaryDirectory(
        prefix="aiba-crash-matrix-", dir=shared if shared.is_dir() else None
    ) as folder:
        yield Path(folder)


@contextlib.contextmanager
def opened(store: str, mongo_uri: str | None = None) -> Iterator[OpenStore]:
    """Give what opens a store of a kind, on MongoDB in databases that are dropped at the end."""
    if store != "mongo":
        yield opener(store)
        return
    uri = check_uri(mongo_uri)
    with scratch(uri) as prefix:
        yield Scratch(uri, prefix).open


def opener(store: str) -> OpenStore:
    """Return what opens a store that needs no server, for each run in a folder of its own."""

    async def open_memory(_folder: Path) -> Store:
        return MemoryStore()

    async def open_sqlite(folder: Path) -> Store:
        return SqliteStore(folder / "arena.db")

    return open_memory if store == "memory" else open_sqlite


def parts(store: str) -> Parts:
    """Return what else a matrix runs on: every port of this project's that has an adapter."""
    is_durable = store != "memory"
    memory = _Files() if is_durable else _Memories()
    return Parts(
        reopens=is_durable,
        is_in_folder=is_durable,
        front_door=FrontDoor(
            identities=TelegramIdentities(_BOT_TOKEN),
            prove=_launch_data,
            sessions=SessionTokens(_SECRET),
            open_limiter=MemoryRateLimiter,
        ),
        isolated=Isolated(
            key=ProcessKey(SigningKey(_SECRET[:32])),
            open_memory=memory.open,
            start=_start,
            log=memory.log,
            unlock=_unlock,
        ),
    )


class _Memories:
    """An isolated signer's memories that outlive a process, one for each folder."""

    def __init__(self) -> None:
        self._opened: dict[Path, MemoryProtection] = {}

    async def open(self, folder: Path) -> ProtectionStore:
        """Return the memory of a folder."""
        if folder not in self._opened:
            self._opened[folder] = MemoryProtection(network=Network.TESTNET)
        return self._opened[folder]

    def log(self, folder: Path) -> list[bytes]:
        """Return the lines of a memory's log."""
        return self._opened[folder].lines


class _Files:
    """An isolated signer's memories on disk, each in its folder, and beside it the log."""

    async def open(self, folder: Path) -> ProtectionStore:
        """Open the memory of a folder, made at the first time."""
        store, log = folder / "signer" / "protection.db", folder / "log" / "audit.log"
        if not store.exists():
            init(store, log, network=Network.TESTNET, new_key=True)
        return SqliteProtection(ProtectionFile(store, log))

    def log(self, folder: Path) -> list[bytes]:
        """Return the lines of a memory's log."""
        return (folder / "log" / "audit.log").read_bytes().splitlines()


async def _start(key: Key, store: ProtectionStore, chain: SigningChain) -> Signer:
    signer = ProtectedSigner(key, store=store, chain=chain, policy=SigningPolicy())
    await signer.start(_POLICY, digest="of the policy")
    return signer


async def _unlock(
    store: ProtectionStore, chain: SigningChain, log: Iterable[bytes], export: Protection | None
) -> Unlocked:
    return await unlock(store, chain, log=log, export=export)


def _launch_data(player: str, at_s: int) -> str:
    user = json.dumps({"id": int(player), "first_name": player, "username": player})
    return sign({"auth_date": str(at_s), "query_id": "AAE", "user": user}, _BOT_TOKEN)
