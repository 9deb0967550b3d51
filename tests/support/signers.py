"""Protected signers for tests: terms, policies, a chain that is set by hand, and opened stores."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from nacl.signing import SigningKey

from aiba_adapters.signing.keys import ProcessKey
from aiba_adapters.signing.protected import ProtectedSigner
from aiba_adapters.signing.protection import LogSigner, ProtectionFile, SqliteProtection, init
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignerRefused
from aiba_domain.ports import Unavailable
from aiba_domain.signing.model import Network, Refusal
from aiba_domain.signing.policy import Allowed, Limits, SigningPolicy
from aiba_domain.signing.ports import ProtectionStore

T = TypeVar("T")

CODES: Final = frozenset(code.value for code in Refusal)
"""What `answer` returns for a claim that is refused."""

NOW: Final = 1_767_268_800
"""A chain time: 2026-01-01T12:00:00Z in seconds."""

VAULT: Final = f"0:{'11' * 32}"
MASTER: Final = f"0:{'22' * 32}"
RECIPIENTS: Final = tuple(f"0:{number:064x}" for number in range(1, 200))
KEY: Final = ProcessKey(SigningKey(bytes([7]) * 32))
AUDIT_KEY: Final = SigningKey(bytes([8]) * 32)
LOG_SIGNER: Final = LogSigner(
    sign=lambda message: AUDIT_KEY.sign(message).signature, public_key=bytes(AUDIT_KEY.verify_key)
)
PLENTY: Final = Limits(claim=10**9, recipient_day=10**12, day=10**15, lifetime=10**18)


def terms(recipient: int = 0, seqno: int = 1, amount: int = 100, until: int = 600) -> ClaimTerms:
    """Return terms; `until` is in seconds after NOW."""
    return ClaimTerms(
        vault=VAULT,
        jetton_master=MASTER,
        recipient=RECIPIENTS[recipient],
        amount=amount,
        seqno=seqno,
        valid_until_s=NOW + until,
    )


def policy(**limits: int) -> SigningPolicy:
    """Return a policy that allows the vault, with some limits."""
    entry = Allowed(
        name="arena",
        network=Network.TESTNET,
        vault=VAULT,
        jetton_master=MASTER,
        limits=replace(PLENTY, **limits),
    )
    return SigningPolicy(allow=(entry,))


@dataclass(slots=True)
class SetChain:
    """A chain at a time, with the seqnos it has paid; `down` makes it unavailable."""

    now_s: int = NOW
    paid: dict[str, int] = field(default_factory=dict)
    down: bool = False

    async def time_s(self) -> int:
        """Return the time."""
        if self.down:
            raise Unavailable("the chain is down")
        return self.now_s

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return what was paid to a recipient of the vault."""
        assert vault == VAULT
        return ChainView(seqno=self.paid.get(recipient, 0), time_s=await self.time_s())


def signer(
    store: ProtectionStore,
    chain: SetChain | None = None,
    rules: SigningPolicy | None = None,
    observe: Callable[[str], None] = lambda _outcome: None,
) -> ProtectedSigner:
    """Return a signer over a store, by default with plenty of limits."""
    return ProtectedSigner(
        KEY, store=store, chain=chain or SetChain(), policy=rules or policy(), observe=observe
    )


async def answer(by: ProtectedSigner, wanted: ClaimTerms) -> str:
    """Return the signature, or the code of the refusal."""
    try:
        return (await by.sign(wanted)).signature
    except SignerRefused as refused:
        return refused.code


class Files:
    """A store and its log in a folder, and copies of the store as backups."""

    def __init__(self, folder: Path, *, new_key: bool = True, fresh: bool = True) -> None:
        """Make both, or find them unless they are to be fresh."""
        self.store = folder / "store" / "protection.db"
        self.log = folder / "log" / "audit.log"
        if fresh:
            init(self.store, self.log, network=Network.TESTNET, new_key=new_key)

    def open(self) -> SqliteProtection:
        """Open both."""
        return SqliteProtection(self.file())

    def file(self, **options: Any) -> ProtectionFile:
        """Open both for one thread."""
        return ProtectionFile(self.store, self.log, signer=LOG_SIGNER, **options)

    def backup(self) -> dict[str, bytes]:
        """Return what a copy of the store's folder holds; nothing may be open."""
        return {path.name: path.read_bytes() for path in self.store.parent.iterdir()}

    def restore(self, backup: dict[str, bytes]) -> None:
        """Put a backup in the place of the store."""
        for path in self.store.parent.iterdir():
            path.unlink()
        for name, data in backup.items():
            (self.store.parent / name).write_bytes(data)

    def lines(self) -> list[bytes]:
        """Return the log's lines with their ends."""
        return self.log.read_bytes().splitlines(keepends=True)

    def run(self, work: Callable[[SqliteProtection], Coroutine[Any, Any, T]]) -> T:
        """Open both for a coroutine, and close them after it."""

        async def whole() -> T:
            store = self.open()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(whole())
