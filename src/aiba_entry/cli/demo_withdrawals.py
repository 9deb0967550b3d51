"""The demo's withdrawals: of each player one claim that is paid, and one that is let expire."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from aiba_adapters.devnet.wallets import WalletVersion
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, OPEN
from aiba_entry.cli.demo_chain import DemoChain, Taken
from aiba_entry.cli.demo_chain_report import CONFIRMED, REFUNDED, ChainReport, CheckedClaim
from aiba_entry.cli.demo_player import DemoPlayer
from aiba_entry.cli.demo_process import DemoFailed, together
from aiba_entry.cli.demo_wallet import DemoWallet

Json = Mapping[str, Any]

STEPS: Final = 5
"""How often `done` is called for each player who withdraws."""

MOST_WITHDRAWING: Final = 3
"""How many players withdraw at most, so that the demo's time is bounded."""

_PATIENCE_SECONDS: Final = 40.0
_PAUSE_SECONDS: Final = 0.25
_KEPT_PART: Final = 3
_MOST_CLAIMS: Final = 100


class Withdrawal:
    """A claim and the wallet it goes to, from the player's request to the report."""

    def __init__(
        self, player: DemoPlayer, chain: DemoChain, version: WalletVersion, expected: str
    ) -> None:
        """Make the wallet; `expected` is the state that the claim should come to."""
        self.state = ""
        self._player = player
        self._chain = chain
        self._wallet = DemoWallet(chain, version)
        self._expected = expected
        self._key = str(uuid4())
        self._claim: Json = {}
        self._status: str | None = None
        self._taken: Taken | None = None
        self._jettons: int | None = None
        self._last_seqno: int | None = None
        self._noted: list[str] = []

    @property
    def valid_until_s(self) -> int:
        """The last second of chain time in which the vault takes the claim."""
        return int(self._claim["validUntil"])

    @property
    def amount(self) -> int:
        """What is withdrawn, in AIBA."""
        return int(self._claim["amount"])

    async def request(self, amount: int, *, all_of_it: bool) -> None:
        """Prove the wallet and withdraw to it, naming the amount or asking for all there is."""
        api, wallet = self._player.api, self._wallet
        await wallet.fund()
        payload = (await api.get("/api/wallet/proof-payload"))["data"]["payload"]
        await api.post("/api/wallet/connect", **wallet.proof(payload, int(time.time())))
        body: dict[str, object] = {"requestId": self._key}
        if not all_of_it:
            body["amount"] = amount
        self._claim = (await api.post("/api/economy/claim-aiba", **body))["claim"]
        self._player.books.note("withdraw", AIBA=-self.amount)
        wanted = {
            "vaultAddress": self._chain.vault.raw,
            "toAddress": wallet.address.raw,
            "amount": str(amount),
            "seqno": 1,
        }
        for name, value in wanted.items():
            if self._claim[name] != value:
                self._noted.append(f"{name}: {self._claim[name]}, should be {value}")

    async def send(self) -> None:
        """Let the wallet send the claim, and look at what it has then."""
        self._taken = await self._wallet.send(self._claim)
        self._jettons = await self._chain.jettons(self._wallet.address)
        self._last_seqno = await self._chain.last_seqno(self._wallet.address)

    async def look(self) -> str:
        """Return the state in which the service lists the claim."""
        listed = await self._player.api.get(f"/api/economy/claims?limit={_MOST_CLAIMS}")
        for item in listed["data"]["items"]:
            if item["requestId"] == self._key:
                self.state = item["state"]
                return self.state
        raise DemoFailed(f"the service has lost a claim of {self._player.name}")

    async def wait_for_end(self) -> bool:
        """Wait for the service to settle the claim; return whether it came to what it should.

        The player's own books get back what was refunded.
        """
        last = time.monotonic() + _PATIENCE_SECONDS
        while await self.look() in OPEN:
            if time.monotonic() > last:
                self._noted.append(f"it wasn't settled within {_PATIENCE_SECONDS:g} s")
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        if self.state == REFUNDED:
            self._player.books.note("refund", AIBA=self.amount)
        if self.state != self._expected:
            return False
        query = f"to={self._wallet.address.raw}&seqno={self._claim['seqno']}"
        path = f"/api/vault/claim-status?{query}&validUntil={self.valid_until_s}"
        self._status = (await self._player.api.get(path))["data"]["status"]
        return True

    async def must_be_open(self) -> None:
        """Note it if the claim has ended by now."""
        if await self.look() not in OPEN:
            self._noted.append(f"it was {self.state} before it could end")

    def checked(self) -> CheckedClaim:
        """Return what became of the claim."""
        taken = self._taken
        return CheckedClaim(
            player_id=self._player.id,
            player=self._player.name,
            wallet=self._wallet.address.raw,
            version=self._wallet.version.value,
            amount=self.amount,
            seqno=self._claim["seqno"],
            valid_until_s=self.valid_until_s,
            expected=self._expected,
            state=self.state,
            status=self._status,
            transaction=taken.hash if taken else None,
            exit_code=taken.exit_code if taken else None,
            jettons=self._jettons,
            last_seqno=self._last_seqno,
            noted=tuple(self._noted),
        )


class _Pair:
    """A player's two claims: `kept` is made first and never sent in time, `paid` is sent at once.

    Each has a wallet of its own, since a wallet has one claim in flight.
    """

    def __init__(self, player: DemoPlayer, chain: DemoChain, done: Callable[[], None]) -> None:
        self.player = player
        self.kept = Withdrawal(player, chain, WalletVersion.V4R2, REFUNDED)
        self.paid = Withdrawal(player, chain, WalletVersion.V5R1, CONFIRMED)
        self._done = done

    async def begin(self) -> None:
        """Claim a part of the AIBA, then all that is left, and send the second claim."""
        aiba = self.player.balances["AIBA"]
        part = aiba // _KEPT_PART
        await self.kept.request(part, all_of_it=False)
        self._done()
        await self.paid.request(aiba - part, all_of_it=True)
        await self.paid.send()
        self._done()

    async def settle(self) -> None:
        """See the second claim confirmed, and that the first has not ended with it."""
        await self.paid.wait_for_end()
        await self.kept.must_be_open()
        self._done()

    async def see_refund(self) -> None:
        """See the first claim's money come back, then send it nevertheless."""
        is_refunded = await self.kept.wait_for_end()
        self._done()
        if is_refunded:
            await self.kept.send()
            await self.kept.look()
        await self.player.settle_up()
        self._done()


async def withdraw(
    players: Sequence[DemoPlayer], chain: DemoChain, done: Callable[[], None]
) -> ChainReport:
    """Let the players withdraw all their AIBA; what is refunded is theirs again.

    Time moves twice. First past both claims' validity: the one that was paid must be confirmed, for
    the chain comes before the clock, and the other one stays open, for chain time isn't past the
    margin. Then past the margin: the other one must come back, and the vault must not take it any
    more. `done` is called `STEPS` times a player. Raises DemoFailed and unexpected Refusals.
    """
    pairs = [_Pair(player, chain, done) for player in players]
    await together(pair.begin() for pair in pairs)
    claims = [claim for pair in pairs for claim in (pair.paid, pair.kept)]
    if claims:
        last_s = max(claim.valid_until_s for claim in claims)
        await chain.move_to(last_s + 1)
        await together(pair.settle() for pair in pairs)
        await chain.move_to(last_s + EXPIRY_MARGIN_S + 1)
        await together(pair.see_refund() for pair in pairs)
    return ChainReport(
        vault=chain.vault.raw,
        jetton_master=chain.jetton_master.raw,
        claims=tuple(claim.checked() for claim in claims),
    )


def able_to_withdraw(players: Sequence[DemoPlayer]) -> list[DemoPlayer]:
    """Return the players who can and shall withdraw: the first with enough for two claims."""
    able = [player for player in players if player.balances["AIBA"] >= _KEPT_PART]
    return able[:MOST_WITHDRAWING]
