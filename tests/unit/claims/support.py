"""Withdrawals over the whole service, with a chain and a signer that a test can set."""

from collections.abc import Coroutine, Sequence
from typing import Any

from aiba_domain.application.pipeline import Answer
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, ChainView, Claim
from aiba_domain.claims.commands import BY_REQUEST, ClaimReply, ConnectWallet, ReserveClaim
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.decision import Principal
from aiba_domain.economy.ledger import CHAIN, CLAIMS
from aiba_domain.errors import DomainError
from aiba_domain.money import Currency
from aiba_domain.ports import Reader
from aiba_domain.testing.chain import (
    GENESIS_S,
    JETTON_MASTER,
    VAULT,
    Cheque,
    Exit,
    ModelChain,
    ModelReader,
    ModelSigner,
)
from aiba_domain.testing.playground import Playground
from aiba_domain.testing.strategies import wallet_of
from tests.support.arena import everything, held

LATE_S = 600 + EXPIRY_MARGIN_S + 1
"""How long after a claim was reserved its money comes back at the earliest, in seconds."""


class Bank:
    """A playground with withdrawals: two servers, of which the one asked is `server`."""

    def __init__(self, play: Playground) -> None:
        self.play = play
        self.chain = ModelChain(servers=2)
        self.server = 0
        self.reader = ModelReader(self.chain, lambda: self.server)
        self.signer = ModelSigner()
        self.withdrawals = Withdrawals(
            pipeline=play.pipeline,
            store=play.faults,
            signer=self.signer,
            chain=self.reader,
            contracts=Contracts(vault=VAULT, jetton_master=JETTON_MASTER),
        )

    def open(self, player: str, aiba: int = 0, wallet: str | None = None) -> str:
        """Give a player a wallet and AIBA; return the wallet."""
        wallet = wallet or wallet_of(player)
        self.play.play(player, ConnectWallet(address=wallet)).reply()
        if aiba:
            self.play.fund(player, AIBA=aiba)
        return wallet

    def asking(
        self, player: str, amount: int | None, key: str, by: str = BY_REQUEST
    ) -> Coroutine[Any, Any, Answer[ClaimReply]]:
        """Return a request for a claim, to be run alone or with others."""
        return self.withdrawals.claim(Principal(id=player), amount, key, by=by)

    def claim(
        self, player: str, amount: int | None = None, key: str = "k", by: str = BY_REQUEST
    ) -> Claim:
        """Ask for a claim and return it; raises what the request raises."""
        return self.play.run(self.asking(player, amount, key, by)).reply().claim

    def refusal(self, player: str, amount: int | None = None, key: str = "k") -> DomainError:
        """Ask for a claim that must be refused, with nothing changed but that it is remembered."""
        before = everything(self.play, player)
        try:
            claim = self.claim(player, amount, key)
        except DomainError as error:
            assert everything(self.play, player) == before
            return error
        message = f"not refused: {claim}"
        raise AssertionError(message)

    def send(self, claim: Claim, *, later_s: int = 5) -> Exit:
        """Let the recipient send a claim, which the next block takes; all servers learn of it."""
        self.chain.send(cheque(claim))
        ends = self.chain.block(later_s)
        self.chain.sync()
        return ends[-1]

    def wait(self, seconds: int) -> None:
        """Let a block be made so much later, which all servers learn of."""
        self.chain.block(seconds)
        self.chain.sync()

    def settle(self) -> int:
        """Run the settlement once; return how many claims ended."""
        return self.play.run(self.withdrawals.settle_all())

    def stored(self, claim: Claim) -> Claim:
        """Return a claim as it stands."""
        found = self.play.read(lambda read: read.claim(claim.id))
        assert found is not None
        return found

    def claims(self, player: str) -> Sequence[Claim]:
        """Return all claims of a player, newest first."""

        async def look(read: Reader) -> Sequence[Claim]:
            return await read.claims_of(player, before=None, limit=1_000)

        return self.play.read(look)

    def aiba(self, player: str) -> int:
        """Return what a player has."""
        return self.play.balances(player).get(Currency.AIBA, 0)

    def in_flight(self) -> int:
        """Return what stands in the account of claims."""
        return held(self.play, CLAIMS).get(Currency.AIBA, 0)

    def on_chain(self) -> int:
        """Return what went to the chain, less what came from it."""
        return held(self.play, CHAIN).get(Currency.AIBA, 0)


def cheque(claim: Claim) -> Cheque:
    """Return the message by which the recipient sends a claim."""
    assert claim.signature is not None
    return Cheque(sender=claim.terms.recipient, terms=claim.terms, signature=claim.signature)


def reserve(recipient: str, amount: int | None = None, **seen: int) -> ReserveClaim:
    """Return the command that reserves a claim, with what was seen of the chain."""
    return ReserveClaim(
        amount=amount,
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        recipient=recipient,
        seen=ChainView(**{"seqno": 0, "time_s": GENESIS_S, **seen}),
    )


def some_terms(**fields: Any) -> ClaimTerms:
    """Return terms that the vault would pay at once."""
    usual: dict[str, Any] = {
        "vault": VAULT,
        "jetton_master": JETTON_MASTER,
        "recipient": wallet_of("1"),
        "amount": 5,
        "seqno": 1,
        "valid_until_s": GENESIS_S + 600,
    }
    return ClaimTerms(**{**usual, **fields})
