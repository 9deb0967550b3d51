"""Version 2 of toncenter's API over the local chain: a node's methods."""

from collections.abc import Callable
from typing import Any, Final

from aiba_adapters.devnet.accounts import Status
from aiba_adapters.devnet.cells import cell_from, normalised_hash
from aiba_adapters.devnet.chain import (
    LocalChain,
    MessageRefusedError,
    NotAMessageError,
)
from aiba_adapters.devnet.forms import (
    V2_SHARD,
    Json,
    b64,
    v2_block_header,
    v2_block_id,
    v2_stack,
    v2_status,
    v2_transaction,
    v2_transaction_id,
)
from aiba_adapters.devnet.history import Block
from aiba_adapters.devnet.params import (
    BadParameterError,
    Params,
    address_from,
    hash_from,
    method_from,
    number_from,
    stack_from,
    text_from,
)
from aiba_adapters.devnet.wallets import WalletVersion, wallet_code

NO_CODE: Final = -13
"""How a get method ends on an account without code."""

_MASTERCHAIN: Final = -1


class MethodFailedError(Exception):
    """A method that can't be carried out; `status` is what it is answered with."""

    def __init__(self, text: str, status: int = 500) -> None:
        super().__init__(text)
        self.status = status


class V2:
    """The methods, by name. Each takes its parameters and returns its result.

    They raise BadParameterError for a parameter that can't be used, and MethodFailedError.
    """

    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        self._methods: dict[str, Callable[[Params], Any]] = {
            "getAddressBalance": lambda params: self._information(params)["balance"],
            "getAddressInformation": self._information,
            "getAddressState": lambda params: self._information(params)["state"],
            "getBlockHeader": self._block_header,
            "getConsensusBlock": self._consensus_block,
            "getExtendedAddressInformation": self._extended_information,
            "getMasterchainInfo": self._masterchain_info,
            "getTransactions": self._transactions,
            "getWalletInformation": self._wallet_information,
            "lookupBlock": self._lookup_block,
            "runGetMethod": self._run_get_method,
            "sendBoc": self._send,
            "sendBocReturnHash": self._send_and_name,
        }

    def knows(self, method: str) -> bool:
        """Tell whether there is such a method."""
        return method in self._methods

    def call(self, method: str, params: Params) -> object:
        """Carry out a method."""
        return self._methods[method](params)

    def _run_get_method(self, params: Params) -> Json:
        address = address_from(params.get("address"))
        result = self._chain.run_get_method(
            address, method_from(params), stack_from(params.get("stack"))
        )
        account = self._chain.account(address)
        return {
            "@type": "smc.runResult",
            "gas_used": 0 if result is None else result.gas_used,
            "stack": [] if result is None else v2_stack(result.stack),
            "exit_code": NO_CODE if result is None else result.exit_code,
            "block_id": v2_block_id(self._chain.tip),
            "last_transaction_id": v2_transaction_id(account.last_lt, account.last_hash),
        }

    def _information(self, params: Params) -> Json:
        account = self._chain.account(address_from(params.get("address")))
        tip = self._chain.tip
        return {
            "@type": "raw.fullAccountState",
            "balance": str(account.balance),
            "extra_currencies": [],
            "code": "" if account.code is None else account.code.to_boc(),
            "data": "" if account.data is None else account.data.to_boc(),
            "last_transaction_id": v2_transaction_id(account.last_lt, account.last_hash),
            "block_id": v2_block_id(tip),
            "frozen_hash": "",
            "sync_utime": tip.now,
            "state": v2_status(account),
            "suspended": False,
        }

    def _extended_information(self, params: Params) -> Json:
        plain = self._information(params)
        address = address_from(params.get("address"))
        state: Json = {"@type": "uninited.accountState", "frozen_hash": ""}
        if plain["code"]:
            state = {name: plain[name] for name in ("code", "data", "frozen_hash")}
            state["@type"] = "raw.accountState"
        kept = ("balance", "extra_currencies", "last_transaction_id", "block_id", "sync_utime")
        return {
            "@type": "fullAccountState",
            "address": {
                "@type": "accountAddress",
                "account_address": address.friendly(testnet=self._chain.is_testnet),
            },
            **{name: plain[name] for name in kept},
            "account_state": state,
            "revision": 0,
        }

    def _wallet_information(self, params: Params) -> Json:
        address = address_from(params.get("address"))
        account = self._chain.account(address)
        answer: Json = {
            "@type": "ext.accounts.walletInformation",
            "wallet": False,
            "balance": str(account.balance),
            "account_state": v2_status(account),
            "last_transaction_id": v2_transaction_id(account.last_lt, account.last_hash),
        }
        version = self._wallet_version(params)
        if version is not None:
            answer["wallet"] = True
            answer["wallet_type"] = f"wallet {version[:2]} {version[2:]}"
            for name, method in (("seqno", "seqno"), ("wallet_id", "get_subwallet_id")):
                result = self._chain.run_get_method(address, method)
                if result is not None and result.exit_code == 0:
                    answer[name] = result.stack[0]
        return answer

    def _wallet_version(self, params: Params) -> WalletVersion | None:
        account = self._chain.account(address_from(params.get("address")))
        if account.status is not Status.ACTIVE or account.code is None:
            return None
        found = account.code.get_hash().lower()
        return next((one for one in WalletVersion if wallet_code(one).hash.hex() == found), None)

    def _masterchain_info(self, params: Params) -> Json:
        del params
        tip = v2_block_id(self._chain.tip)
        return {
            "@type": "blocks.masterchainInfo",
            "last": tip,
            "state_root_hash": tip["root_hash"],
            "init": v2_block_id(self._chain.first_block),
        }

    def _consensus_block(self, params: Params) -> Json:
        del params
        tip = self._chain.tip
        return {
            "@type": "ext.blocks.consensusBlock",
            "consensus_block": tip.seqno,
            "timestamp": tip.now,
        }

    def _block_header(self, params: Params) -> Json:
        return v2_block_header(self._chain, self._block(params))

    def _lookup_block(self, params: Params) -> Json:
        return v2_block_id(self._block(params))

    def _block(self, params: Params) -> Block:
        """Return the masterchain block that parameters name; there are no others."""
        workchain = number_from(params, "workchain", None, least=-1, most=0)
        shard = params.get("shard")
        if workchain != _MASTERCHAIN or str(shard) not in (V2_SHARD, "8000000000000000"):
            raise MethodFailedError("LITE_SERVER_NOTREADY: there are masterchain blocks only")
        seqno = number_from(params, "seqno", None, least=1, most=2**31)
        block = self._chain.block(self._chain.tip.seqno if seqno is None else seqno)
        if block is None:
            raise MethodFailedError("LITE_SERVER_NOTREADY: no such block")
        return block

    def _transactions(self, params: Params) -> list[Json]:
        address = address_from(params.get("address"))
        limit = number_from(params, "limit", 10, least=1, most=100)
        until_lt = number_from(params, "lt", None)
        to_lt = number_from(params, "to_lt", 0) or 0
        found = self._chain.transactions(address, until_lt=until_lt, limit=limit or 10)
        if until_lt is not None and params.get("hash"):
            place = (until_lt, hash_from(params["hash"]))
            if not found or (found[0].lt, found[0].hash) != place:
                raise MethodFailedError("LITE_SERVER_UNKNOWN: cannot locate transaction")
        return [v2_transaction(self._chain, one) for one in found if one.lt > to_lt]

    def _send(self, params: Params) -> Json:
        send(self._chain, text_from(params, "boc"))
        return {"@type": "ok"}

    def _send_and_name(self, params: Params) -> Json:
        sent, normalised = send(self._chain, text_from(params, "boc"))
        return {"@type": "raw.extMessageInfo", "hash": b64(sent), "hash_norm": b64(normalised)}


def send(chain: LocalChain, boc: str) -> tuple[bytes, bytes]:
    """Send a message from outside; return its hash and its normalised hash."""
    try:
        chain.send(boc)
    except NotAMessageError as error:
        raise BadParameterError(f"boc: {error}") from None
    except MessageRefusedError as error:
        reason = (
            "before smart-contract execution"
            if error.exit_code is None
            else f"exitcode={error.exit_code}"
        )
        raise MethodFailedError(
            "LITE_SERVER_UNKNOWN: cannot apply external message to current state : "
            f"External message was not accepted: {reason}"
        ) from None
    message = cell_from(boc)
    return message.hash, normalised_hash(message)
