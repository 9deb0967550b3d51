"""What proves to a player that the own entries are in the sealed ledger."""

from aiba_domain.application.ledger_rows import covered
from aiba_domain.economy.ledger import player_account
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.proofs import LedgerProof, history_of, prove_entries, steps_of
from aiba_domain.ports import Reader, Store, Unavailable


async def proof_for(store: Store, player_id: str, *, number: int | None) -> LedgerProof | None:
    """Return a player's entries in a checkpoint with their proofs; without a number, the newest.

    None if there is no such checkpoint, or none that covers an entry of the player's. What is
    stored is proven as it stands: where somebody has changed it, the proof doesn't hold. Raises
    Unavailable where checkpoints are missing, or lead nowhere.
    """
    account = player_account(player_id)

    async def look(read: Reader) -> LedgerProof | None:
        head = await read.last_checkpoint()
        if number is None:
            checkpoint = await read.checkpoint_of(account, before=None)
        else:
            checkpoint = await _fetch(read, number)
        if head is None or checkpoint is None:
            return None
        try:
            rows = (await covered(read, checkpoint.place, checkpoint)).rows
            history = history_of(await _steps(read, checkpoint, head))
        except (LookupError, ValueError) as changed:
            raise Unavailable(str(changed)) from changed
        older = await read.checkpoint_of(account, before=checkpoint.number)
        return LedgerProof(
            checkpoint=checkpoint,
            entries=prove_entries(rows, account),
            history=history,
            head=head,
            older=older.number if older else None,
        )

    return await store.read(look)


async def _steps(read: Reader, checkpoint: Checkpoint, head: Checkpoint) -> list[Checkpoint]:
    found = [(each, await _fetch(read, each)) for each in steps_of(checkpoint.number, head)]
    missing = [number for number, each in found if each is None]
    if missing:
        msg = f"checkpoint {missing[0]} isn't there"
        raise LookupError(msg)
    return [each for _, each in found if each is not None]


async def _fetch(read: Reader, number: int) -> Checkpoint | None:
    found = await read.checkpoints(after=number - 1, limit=1)
    return found[0] if found and found[0].number == number else None
