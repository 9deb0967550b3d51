"""A local chain that outlives its process: everything that changes it is in a journal.

The first line of the journal says whose chain it is, the second is the chain with the contracts
just deployed, and each further one what changed since, written before anybody hears of it.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from nacl.signing import SigningKey

from aiba_adapters.devnet.arena import Arena, Deployed
from aiba_adapters.devnet.chain import MAINNET, LocalChain
from aiba_adapters.devnet.changes import Change, Impossible
from aiba_adapters.devnet.journal import Journal, JournalDamaged, JournalUnusable
from aiba_adapters.devnet.state import Snapshot
from aiba_adapters.ton.addresses import AddressRefused, parse

JOURNAL: Final = "chain.journal"
"""The name of the journal in the chain's directory."""

_LOCK: Final = "lock"
_FORMAT: Final = "aiba-devnet-1"
_PAUSE_S: Final = 0.02

_encode: Final = msgspec.json.Encoder().encode
_changes: Final = msgspec.json.Decoder(Change)


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose chain a journal is: its network, the key its vault believes, and where all is.

    The owner's key is made of `owner_seed`, which is drawn for each chain: so no two of them have
    the same vault, and a database never takes one for the other.
    """

    format: str
    network_id: int
    oracle_public_key: str
    owner_seed: str
    owner: str
    jetton_master: str
    vault: str


_heads: Final = msgspec.json.Decoder(Head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a chain is opened for.

    `vault_jettons` is what the vault is filled with when the chain is made; of one that is there
    already nothing else may differ.
    """

    network_id: int
    oracle: SigningKey
    vault_jettons: int = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableArena:
    """An arena whose chain is written down, and the moment after it was deployed."""

    arena: Arena
    deployed: Snapshot
    journal: Journal
    lock: int

    def close(self) -> None:
        """Let another process have the chain. This one must not change it any more."""
        self.journal.close()
        os.close(self.lock)


def open_arena(
    directory: Path, terms: Terms, *, clock: Callable[[], float], patience_s: float = 0.0
) -> DurableArena:
    """Open the chain in a directory, or make one there.

    While another process has it, wait up to `patience_s` seconds. Raises JournalUnusable, with the
    file and what is wrong with it, also where the chain isn't one of these terms.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = _locked(directory / _LOCK, patience_s)
    except OSError as error:
        raise JournalUnusable(f"{directory} can't be used: {error.strerror}") from None
    path = directory / JOURNAL
    try:
        if path.exists():
            arena, deployed, journal = _reopened(path, terms, clock)
        else:
            arena, deployed, journal = _made(path, terms, clock)
    except BaseException:
        os.close(lock)
        raise
    arena.chain.record(lambda change: journal.append(_encode(change)))
    return DurableArena(arena=arena, deployed=deployed, journal=journal, lock=lock)


def _made(path: Path, terms: Terms, clock: Callable[[], float]) -> tuple[Arena, Snapshot, Journal]:
    chain = LocalChain(clock=clock, network_id=terms.network_id)
    seed = f"owner {secrets.token_hex(16)}"
    arena = Arena(chain, oracle=terms.oracle, owner_seed=seed, vault_jettons=terms.vault_jettons)
    head = Head(
        format=_FORMAT,
        network_id=terms.network_id,
        oracle_public_key=bytes(terms.oracle.verify_key).hex(),
        owner_seed=seed,
        owner=arena.owner.address.raw,
        jetton_master=arena.jetton_master.raw,
        vault=arena.vault.raw,
    )
    deployed = chain.snapshot()
    return arena, deployed, Journal.create(path, [_encode(head), _encode(chain.everything())])


def _reopened(
    path: Path, terms: Terms, clock: Callable[[], float]
) -> tuple[Arena, Snapshot, Journal]:
    journal = Journal(path)
    try:
        lines = journal.read()
        head = _head(path, lines)
        _refuse_others(path, head, terms)
        chain = LocalChain(clock=clock, network_id=head.network_id)
        deployed = _replayed(path, lines, chain)
        return _arena(path, head, chain, terms), deployed, journal
    except BaseException:
        journal.close()
        raise


def _replayed(path: Path, lines: Iterator[tuple[int, bytes]], chain: LocalChain) -> Snapshot:
    """Carry out what the lines say, and return the moment after the first of them."""
    deployed = None
    for number, text in lines:
        try:
            chain.apply(_changes.decode(text))
        except (msgspec.MsgspecError, Impossible) as error:
            raise JournalDamaged(path, number, str(error)) from None
        deployed = deployed or chain.snapshot()
    if deployed is None:
        raise JournalDamaged(path, 2, "the deployed chain is missing")
    return deployed


def _head(path: Path, lines: Iterator[tuple[int, bytes]]) -> Head:
    _, text = next(lines, (1, b""))
    try:
        head = _heads.decode(text)
    except msgspec.MsgspecError:
        raise JournalDamaged(path, 1, "not the beginning of a local chain's journal") from None
    if head.format != _FORMAT:
        raise JournalDamaged(path, 1, f"format {head.format}; this version reads {_FORMAT} only")
    return head


def _refuse_others(path: Path, head: Head, terms: Terms) -> None:
    """Refuse a chain that is there for another network or another key."""
    if head.network_id != terms.network_id:
        says, wanted = (_network(one) for one in (head.network_id, terms.network_id))
        raise JournalDamaged(path, 1, f"this chain says that it is {says}, not {wanted}")
    key = bytes(terms.oracle.verify_key).hex()
    if head.oracle_public_key != key:
        raise JournalDamaged(
            path,
            1,
            f"this chain's vault believes the oracle key {head.oracle_public_key}, not {key} "
            "(both public)",
        )


def _arena(path: Path, head: Head, chain: LocalChain, terms: Terms) -> Arena:
    try:
        deployed = Deployed(
            jetton_master=parse(head.jetton_master, allow_testnet=False),
            vault=parse(head.vault, allow_testnet=False),
        )
    except AddressRefused as error:
        raise JournalDamaged(path, 1, str(error)) from None
    arena = Arena(chain, oracle=terms.oracle, owner_seed=head.owner_seed, deployed=deployed)
    if arena.owner.address.raw != head.owner:
        raise JournalDamaged(path, 1, "the owner's wallet has another address in this version")
    return arena


def _network(network_id: int) -> str:
    return "the main network" if network_id == MAINNET else "the test network"


def _locked(path: Path, patience_s: float) -> int:
    """Return a descriptor that holds the lock until it is closed, or the process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    last = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= last:
                os.close(descriptor)
                raise JournalUnusable(f"{path.parent} is in use by another process") from None
            time.sleep(_PAUSE_S)
        else:
            return descriptor
