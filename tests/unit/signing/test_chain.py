"""The chain as a signer sees it: one look serves many, an old time is used only so long."""

import asyncio
from dataclasses import dataclass, field

import pytest

from aiba_adapters.signing.chain import FRESH_S, LONGEST_S, ReaderChain
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.ports import Inventory
from aiba_domain.ports import Unavailable
from tests.support.signers import NOW, RECIPIENTS, VAULT


@dataclass
class Reader:
    """A chain reader that counts, and is told what to answer."""

    time_s: int = NOW
    down: bool = False
    looks: list[str] = field(default_factory=list)

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Answer after others had their turn."""
        assert vault == VAULT
        self.looks.append(recipient)
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("down")
        return ChainView(seqno=4, time_s=self.time_s)

    async def inventory(self, vault: str) -> Inventory:
        """Nobody asks for it."""
        raise NotImplementedError(vault)


@dataclass
class Watch:
    """A clock that is moved by hand."""

    at: float = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


def test_one_look_serves_all_who_ask_meanwhile() -> None:
    """And those who ask in the next seconds."""

    async def case() -> None:
        reader, watch = Reader(), Watch()
        chain = ReaderChain(reader, vault=VAULT, now=watch)
        assert await asyncio.gather(*(chain.time_s() for _ in range(9))) == [NOW] * 9
        watch.at += FRESH_S
        reader.time_s += 5
        assert await chain.time_s() == NOW
        assert reader.looks == [VAULT]
        watch.at += 0.1
        assert await chain.time_s() == NOW + 5
        assert len(reader.looks) == 2

    asyncio.run(case())


def test_an_outage_is_bridged_for_a_minute() -> None:
    """With the last time, which only makes the signer stricter; then it is an outage."""

    async def case() -> None:
        reader, watch = Reader(), Watch()
        chain = ReaderChain(reader, vault=VAULT, now=watch)
        await chain.time_s()
        reader.down = True
        watch.at += LONGEST_S
        assert await chain.time_s() == NOW
        watch.at += 0.1
        with pytest.raises(Unavailable):
            await chain.time_s()

    asyncio.run(case())


def test_time_never_goes_back() -> None:
    """A server that lags doesn't make an expired claim payable again; its seqno still counts."""

    async def case() -> None:
        reader, watch = Reader(), Watch()
        chain = ReaderChain(reader, vault=VAULT, now=watch)
        await chain.time_s()
        reader.time_s -= 30
        assert (await chain.view(VAULT, RECIPIENTS[0])).seqno == 4
        watch.at += FRESH_S + 1
        assert await chain.time_s() == NOW

    asyncio.run(case())
