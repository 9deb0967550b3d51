"""Version 3 of toncenter's API over the local chain: an index of accounts, blocks, transactions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from aiba_adapters.devnet.chain import LocalChain
from aiba_adapters.devnet.forms import (
    V3_SHARD,
    Json,
    b64,
    friendly,
    raw_upper,
    v3_block,
    v3_stack,
    v3_status,
    v3_transaction,
)
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
from aiba_adapters.devnet.transactions import Transaction
from aiba_adapters.devnet.tvm import hash_of
from aiba_adapters.devnet.v2 import NO_CODE, send
from aiba_adapters.ton.addresses import Address

_MOST: Final = 1000
_EVERYTHING: Final = 2**31

Query = Mapping[str, Sequence[str]]


class V3:
    """The paths, each a question by GET with its query, or a call by POST with its body.

    They raise BadParameterError, and `MethodFailedError` of version 2.
    """

    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        self._questions: dict[str, Callable[[Query], Json]] = {
            "accountStates": self._account_states,
            "addressInformation": self._information,
            "blocks": self._blocks,
            "masterchainInfo": self._masterchain_info,
            "transactions": self._transactions,
            "transactionsByMessage": self._transactions_by_message,
        }
        self._calls: dict[str, Callable[[Params], Json]] = {
            "message": self._message,
            "runGetMethod": self._run_get_method,
        }

    def methods_of(self, path: str) -> tuple[str, ...]:
        """Return the HTTP methods that a path takes, none if there is no such path."""
        if path in self._questions:
            return ("GET",)
        return ("POST",) if path in self._calls else ()

    def ask(self, path: str, query: Query) -> Json:
        """Answer a question."""
        return self._questions[path](query)

    def call(self, path: str, body: object) -> Json:
        """Carry out a call."""
        if not isinstance(body, dict):
            raise BadParameterError("body: an object is required")
        return self._calls[path](body)

    def _run_get_method(self, body: Params) -> Json:
        result = self._chain.run_get_method(
            address_from(body.get("address")), method_from(body), stack_from(body.get("stack"))
        )
        return {
            "gas_used": 0 if result is None else result.gas_used,
            "exit_code": NO_CODE if result is None else result.exit_code,
            "stack": [] if result is None else v3_stack(result.stack),
        }

    def _message(self, body: Params) -> Json:
        sent, normalised = send(self._chain, text_from(body, "boc"))
        return {"message_hash": b64(sent), "message_hash_norm": b64(normalised)}

    def _information(self, query: Query) -> Json:
        account = self._chain.account(address_from(_one(query, "address")))
        return {
            "balance": str(account.balance),
            "code": None if account.code is None else account.code.to_boc(),
            "data": None if account.data is None else account.data.to_boc(),
            "last_transaction_lt": str(account.last_lt),
            "last_transaction_hash": b64(account.last_hash),
            "frozen_hash": None,
            # Here version 3 uses the words of version 2.
            "status": {"nonexist": "uninitialized", "uninit": "uninitialized"}.get(
                account.status.value, account.status.value
            ),
        }

    def _account_states(self, query: Query) -> Json:
        asked = [address_from(text) for text in query.get("address", ())]
        if not asked:
            raise BadParameterError("address: at least one is required")
        return {
            "accounts": [self._account_state(address) for address in asked],
            "address_book": self._address_book(asked),
        }

    def _account_state(self, address: Address) -> Json:
        account = self._chain.account(address)
        return {
            "address": raw_upper(address),
            "balance": str(account.balance),
            "status": v3_status(account),
            "account_state_hash": None,
            "extra_currencies": {},
            "last_transaction_hash": b64(account.last_hash),
            "last_transaction_lt": str(account.last_lt),
            "code_boc": None if account.code is None else account.code.to_boc(),
            "code_hash": None if account.code is None else b64(hash_of(account.code)),
            "data_boc": None if account.data is None else account.data.to_boc(),
            "data_hash": None if account.data is None else b64(hash_of(account.data)),
            "frozen_hash": None,
        }

    def _masterchain_info(self, query: Query) -> Json:
        del query
        return {
            "last": v3_block(self._chain, self._chain.tip),
            "first": v3_block(self._chain, self._chain.first_block),
        }

    def _blocks(self, query: Query) -> Json:
        plain = {name: values[-1] for name, values in query.items()}
        workchain = number_from(plain, "workchain", -1, least=-1, most=0)
        seqno = number_from(plain, "seqno", None, least=1, most=_EVERYTHING)
        if seqno is None:
            seqno = number_from(plain, "mc_seqno", None, least=1, most=_EVERYTHING)
        limit, offset = self._page(plain)
        if workchain != -1 or plain.get("shard", V3_SHARD).upper() != V3_SHARD:
            return {"blocks": []}
        last = self._chain.tip.seqno
        numbers = [seqno] if seqno is not None else range(last, 0, -1)[offset : offset + limit]
        blocks = [self._chain.block(number) for number in numbers]
        return {"blocks": [v3_block(self._chain, one) for one in blocks if one is not None]}

    def _transactions(self, query: Query) -> Json:
        plain = {name: values[-1] for name, values in query.items()}
        limit, offset = self._page(plain)
        found = [one for one in self._candidates(query) if _matches(one, plain)]
        if plain.get("sort", "desc") == "asc":
            found.reverse()
        return self._listed(found[offset : offset + limit])

    def _candidates(self, query: Query) -> list[Transaction]:
        """Return what the narrowest of the given filters leaves, newest first."""
        if query.get("hash"):
            one = self._chain.transaction(hash_from(_one(query, "hash")))
            return [] if one is None else [one]
        accounts = {address_from(text, "account") for text in query.get("account", ())}
        if not accounts:
            return self._chain.transactions(limit=_EVERYTHING)
        found = [
            one
            for account in accounts
            for one in self._chain.transactions(account, limit=_EVERYTHING)
        ]
        return sorted(found, key=lambda one: one.lt, reverse=True)

    def _transactions_by_message(self, query: Query) -> Json:
        message = hash_from(_one(query, "msg_hash"), "msg_hash")
        direction = query.get("direction", [""])[-1]
        found = []
        if direction != "out":
            found.append(self._chain.transaction_of_message(message))
        if direction != "in":
            found.append(self._chain.transaction_that_sent(message))
        return self._listed([one for one in found if one is not None])

    def _listed(self, transactions: Sequence[Transaction]) -> Json:
        return {
            "transactions": [v3_transaction(self._chain, one) for one in transactions],
            "address_book": self._address_book(one.account for one in transactions),
        }

    def _address_book(self, addresses: Iterable[Address]) -> Json:
        return {
            str(raw_upper(address)): {
                "user_friendly": friendly(self._chain, address),
                "domain": None,
            }
            for address in addresses
        }

    def _page(self, plain: Mapping[str, str]) -> tuple[int, int]:
        limit = number_from(plain, "limit", 10, least=1, most=_MOST)
        offset = number_from(plain, "offset", 0, most=_EVERYTHING)
        return limit or 10, offset or 0


def _matches(one: Transaction, plain: Mapping[str, str]) -> bool:
    """Tell whether a transaction passes the filters of time and place."""
    bounds = (
        ("start_lt", one.lt, True),
        ("end_lt", one.lt, False),
        ("start_utime", one.now, True),
        ("end_utime", one.now, False),
    )
    for name, value, is_lower in bounds:
        bound = number_from(plain, name, None)
        if bound is not None and (value < bound if is_lower else value > bound):
            return False
    exact = (("lt", one.lt), ("mc_seqno", one.block), ("seqno", one.block))
    return all(number_from(plain, name, value) == value for name, value in exact)


def _one(query: Query, name: str) -> str:
    values = query.get(name)
    if not values:
        raise BadParameterError(f"{name}: is required")
    return values[-1]
