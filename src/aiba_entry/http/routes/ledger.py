"""The sealed ledger, for those whose money it moves."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from aiba_domain.application.queries import Queries
from aiba_domain.ledger_audit.chain import Checkpoint, sealed_text
from aiba_domain.ledger_audit.proofs import LedgerProof
from aiba_entry.edge_settings import CHAIN
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import count_player, principal_of, require_player

Number = Annotated[
    int | None,
    QueryParameter(ge=1, le=2**53, description="By default the newest with entries of the caller"),
]


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class SealedOut(_Out):
    """A checkpoint: `hash` is the SHA-256 of `sealed`, a JSON document as it was hashed."""

    number: int
    hash: str
    sealed: str


class EntryProofOut(_Out):
    """An entry as the JSON that is hashed, its place in the checkpoint from 0, and its path."""

    line: str
    place: int
    path: list[str]


class LedgerProofOut(_Out):
    """The caller's entries in a checkpoint, and what proves that they are in the newest, `head`.

    A leaf is the SHA-256 of a byte 0 and what it is of, a node that of a byte 1 and two hashes. A
    path leads from the leaf of an entry's `line` to `entries` of the checkpoint, and `history` from
    the leaf of the checkpoint's hash to one of the `trees` of the head. `older` is the checkpoint
    before that has entries of the caller's, null if none has.
    """

    checkpoint: SealedOut
    entries: list[EntryProofOut]
    history: list[str]
    head: SealedOut
    older: int | None


class Ledger(Controller):
    """The route of proofs."""

    path = "/api/ledger"
    tags = ("economy",)
    guards = (require_player, count_player(CHAIN))

    @get(
        "/proof",
        responses=documented(LedgerProofOut, 400, 401, 404, 429, 503),
        operation_id="getLedgerProof",
    )
    async def proof(
        self,
        request: Request[Any, Any, Any],
        queries: NamedDependency[Queries],
        checkpoint: Number = None,
    ) -> Reply:
        """Return the caller's entries in a sealed part of the ledger, each with its proof.

        `tools/verify_ledger.py --proof` checks one without the service; `head` is to be a hash that
        was kept, or that `/api/solvency` shows to everybody.
        """
        found = await queries.ledger_proof(principal_of(request).player_id, checkpoint)
        if found is None:
            raise ApiError("not found")
        return data_reply(proof_out(found), context_of(request).request_id)


def proof_out(proof: LedgerProof) -> LedgerProofOut:
    """Return a proof as it is answered."""
    return LedgerProofOut(
        checkpoint=_sealed(proof.checkpoint),
        entries=[
            EntryProofOut(line=each.line, place=each.place, path=list(each.path))
            for each in proof.entries
        ],
        history=list(proof.history),
        head=_sealed(proof.head),
        older=proof.older,
    )


def _sealed(checkpoint: Checkpoint) -> SealedOut:
    return SealedOut(number=checkpoint.number, hash=checkpoint.hash, sealed=sealed_text(checkpoint))
