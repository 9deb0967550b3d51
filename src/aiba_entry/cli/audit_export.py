"""The sealed ledger written to a file, for a verifier that shares nothing with the service."""

import json
import os
from pathlib import Path
from typing import Final

from aiba_adapters.codec import to_builtins
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.rows import START, LedgerPage
from aiba_domain.ports import Reader, Store

FORMAT: Final = "aiba-ledger-chain"
VERSION: Final = 2

_MODE: Final = 0o600
"""Who may read it: it names players and what moved between them."""


async def export_chain(store: Store, path: Path, *, entries: bool) -> int:
    """Write each checkpoint, and what it covers if asked for, a line of JSON each, to a new file.

    Returns how many checkpoints there are. Raises FileExistsError.
    """
    number, place = 0, START

    async def look(read: Reader) -> tuple[Checkpoint, LedgerPage | None] | None:
        found = await read.checkpoints(after=number, limit=1)
        if not found:
            return None
        page = None
        if entries:
            page = await read.ledger(place, limit=found[0].count, settled=False)
        return found[0], page

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(json.dumps({"format": FORMAT, "version": VERSION, "entries": entries}) + "\n")
        while (found := await store.read(look)) is not None:
            checkpoint, page = found
            told = to_builtins(checkpoint)
            del told["place"]  # which means something to this store alone
            line: dict[str, object] = {"checkpoint": told}
            if page is not None:
                line["entries"] = page.rows
                place = page.place
            file.write(json.dumps(line, separators=(",", ":"), default=repr) + "\n")
            number += 1
    return number
