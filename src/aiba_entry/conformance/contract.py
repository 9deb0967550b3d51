"""The suite of a whole deployment: every property that is visible over HTTP."""

from aiba_domain.testing.contracts.registry import register
from aiba_entry.conformance.battles import BattlesSuite, ReceiptsSuite
from aiba_entry.conformance.identity import IdentitySuite
from aiba_entry.conformance.inputs import InputSuite, OwnershipSuite
from aiba_entry.conformance.keys import KeysSuite
from aiba_entry.conformance.limits import LimitsSuite
from aiba_entry.conformance.money import MoneySuite
from aiba_entry.conformance.wire import WireSuite
from aiba_entry.conformance.withdrawals import WalletsSuite, WithdrawalsSuite


@register
class HttpApiContract(
    LimitsSuite,
    WithdrawalsSuite,
    WalletsSuite,
    OwnershipSuite,
    InputSuite,
    ReceiptsSuite,
    BattlesSuite,
    MoneySuite,
    KeysSuite,
    IdentitySuite,
    WireSuite,
):
    """What a deployment of the API owes its clients, as a client sees it.

    Subclass it with `open_deployment`, and declare what the deployment can do: `sessions`,
    `battles`, `history`, `receipts`, `funds`, `limits`, `wallets`, `vault`, `daily-caps` and
    `rotation`. `scout` finds most of these by itself.
    """
