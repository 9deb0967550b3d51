"""Properties of wallets and withdrawals, up to the signature: nothing is sent to the chain."""

from base64 import b64decode
from typing import Final

import pytest
from nacl.signing import SigningKey
from pytoniq_core.boc.cell import Cell

from aiba_domain.testing.contracts.suite import BLOCKED, Capability, needs
from aiba_entry.conformance.answers import Answer, Call, Json
from aiba_entry.conformance.deployment import Deployment, Player, fighter
from aiba_entry.conformance.expect import data_of, flat_of, owes, refusal_of, same
from aiba_entry.conformance.keys import AT_ONCE
from aiba_entry.conformance.proofs import TestWallet
from aiba_entry.conformance.suite import HttpSuite

CLAIM: Final = "/api/economy/claim-aiba"
CONNECT: Final = "/api/wallet/connect"

_FIELDS: Final = (
    "vaultAddress",
    "toAddress",
    "amount",
    "seqno",
    "validUntil",
    "payloadBocBase64",
    "signatureBase64",
)
_SIGNATURE_BYTES: Final = 64
_MOST_VALID_S: Final = 86_400
_TOO_MUCH: Final = 2**63 - 1
_NOT_AMOUNTS: Final = (0, -1, 2**63, 10**400, 1.5, "ten", [1])
_OPEN: Final = ("reserved", "signed")


class WalletsSuite(HttpSuite):
    """Properties of wallets."""

    @needs(Capability.WALLETS)
    def test_a_wallet_is_bound_by_its_owners_proof(self, deployment: Deployment) -> None:
        """Whoever signs the payload with the wallet's key is bound to it, and reads it back.

        A failure means that nobody can withdraw.
        """
        player, wallet = deployment.newcomer(), TestWallet(deployment.terms.network)
        answer = _connect(player, wallet)
        deployment.binds_wallets = answer.is_granted
        data_of(answer)
        same(player.me()["wallet"], wallet.address, "the wallet", answer)

    @needs(Capability.WALLETS)
    def test_a_wallet_is_bound_by_nothing_else(self, deployment: Deployment) -> None:
        """No proof, another's key, another domain, an old payload: refused, and nothing is bound.

        A failure means that a withdrawal goes to whoever asks for it.
        """
        player, wallet = deployment.newcomer(), TestWallet(deployment.terms.network)
        answers = [
            player.post(CONNECT, address=wallet.address),
            _connect(player, wallet, key=SigningKey.generate()),
            _connect(player, wallet, domain="conformance.invalid"),
            _connect(player, wallet, payload="made.up"),
        ]
        for answer in answers:
            refusal_of(answer, (400, 401, 403))
        same(player.me()["wallet"], "", "the wallet after proofs of nothing", *answers)

    @needs(Capability.WALLETS)
    def test_a_proof_payload_is_of_its_player_and_good_once(self, deployment: Deployment) -> None:
        """A payload that another player was given, or that was used, proves nothing.

        A failure means that a proof which was seen once binds a wallet to somebody else.
        """
        _need_wallets(deployment)
        one, other = deployment.newcomer(), deployment.newcomer()
        wallet = TestWallet(deployment.terms.network)
        payload = _payload(one)
        refusal_of(_connect(other, wallet, payload=payload), (400, 401, 403))
        data_of(_connect(one, wallet, payload=payload))
        second = TestWallet(deployment.terms.network)
        refusal_of(_connect(one, second, payload=payload), (400, 401, 403, 409))
        same(one.me()["wallet"], wallet.address, "the wallet after a payload used twice")

    @needs(Capability.WALLETS)
    def test_a_wallet_has_one_player(self, deployment: Deployment) -> None:
        """A wallet that another player has bound is 409 `wallet already connected`.

        A failure means that two players share a seqno, and one of them is never paid.
        """
        _need_wallets(deployment)
        one, other = deployment.newcomer(), deployment.newcomer()
        wallet = TestWallet(deployment.terms.network)
        data_of(_connect(one, wallet))
        refusal_of(_connect(other, wallet), 409, "wallet already connected")
        same((one.me()["wallet"], other.me()["wallet"]), (wallet.address, ""), "who has the wallet")


class WithdrawalsSuite(HttpSuite):
    """Properties of withdrawals."""

    @needs(Capability.VAULT)
    def test_a_claim_is_what_was_asked(self, deployment: Deployment) -> None:
        """A claim takes its amount from the balance, and its signed cell says what it says.

        A failure means that a player pays for more, or is paid less, than was agreed.
        """
        player, wallet, before = _holder(deployment)
        answer = _claim(player, amount=1)
        claim = flat_of(answer)["claim"]
        same([name for name in _FIELDS if name not in claim], [], "the fields missing", answer)
        same((claim["toAddress"], claim["amount"]), (wallet.address, "1"), "the claim", answer)
        owes(type(claim["seqno"]) is int and claim["seqno"] >= 1, "a seqno is 1 or more", answer)
        standing = _standing(deployment, claim)
        ahead = claim["validUntil"] - data_of(standing)["now"]
        owes(0 < ahead <= _MOST_VALID_S, "a claim is good for a while", answer, standing)
        signature = b64decode(claim["signatureBase64"], validate=True)
        same(len(signature), _SIGNATURE_BYTES, "the length of the signature", answer)
        same(_signed(claim), _stated(claim), "what the signed cell says", answer)
        same(before["AIBA"] - player.balances()["AIBA"], 1, "what was taken", answer)

    @needs(Capability.VAULT)
    def test_the_same_terms_give_the_same_answer(self, deployment: Deployment) -> None:
        """The same key brings the same claim, signature included, and takes nothing more.

        A failure means that a lost answer costs the withdrawal, or a second one is signed.
        """
        player, _, before = _holder(deployment)
        call = player.posting(CLAIM, requestId=deployment.key(), amount=1)
        first, again = deployment.send(call), deployment.send(call)
        flat_of(first)
        same(again.told(), first.told(), "the claim", first, again)
        other = player.post(CLAIM, requestId=str(call.body_key()), amount=2)
        refusal_of(other, 409, "requestId already used")
        same(before["AIBA"] - player.balances()["AIBA"], 1, "what was taken", first, again, other)

    @needs(Capability.VAULT)
    def test_a_second_claim_in_flight_to_one_recipient_is_undone(
        self, deployment: Deployment
    ) -> None:
        """Of many claims at once one is made; while it is open the next is 409 `pending_claim`.

        A failure means that two claims share a seqno: one is paid for and can't be taken.
        """
        player, _, before = _holder(deployment)
        keys = [deployment.key() for _ in range(AT_ONCE // 2)]
        calls = [player.posting(CLAIM, requestId=key, amount=1) for key in keys]
        answers = deployment.at_once(calls)
        made = [answer for answer in answers if answer.is_granted]
        for answer in answers:
            if not answer.is_granted:
                refusal_of(answer, 409, "pending_claim", "in_progress")
        same(len(made), 1, "how many claims were made", *made)
        refusal_of(_claim(player, amount=1), 409, "pending_claim")
        same(before["AIBA"] - player.balances()["AIBA"], 1, "what was taken", *made)
        listed = data_of(player.get("/api/economy/claims"))["items"]
        owed = [made[0].call.body_key()]
        same([each["requestId"] for each in listed], owed, "which claims are listed", made[0])
        owes(listed[0]["state"] in _OPEN, "a claim that was just made is open", made[0])

    @needs(Capability.VAULT)
    def test_what_cannot_be_withdrawn_is_refused(self, deployment: Deployment) -> None:
        """No key, no whole amount, more than there is: refused by name, and nothing is taken.

        A failure means that the vault owes what the game never had.
        """
        player, _, before = _holder(deployment)
        refusal_of(player.post(CLAIM, amount=1), 400, "requestId required", "validation_error")
        for amount in _NOT_AMOUNTS:
            answer = _claim(player, amount=amount)
            named = "amount" in (refusal_of(answer, 400) or {}) or "amount" in answer.code
            owes(named, "the refusal names amount", answer)
        refusal_of(_claim(player, amount=_TOO_MUCH), 403, "insufficient AIBA", "claim limit")
        same(player.balances(), before, "the balances after refused claims")

    @needs(Capability.VAULT)
    def test_without_a_wallet_nothing_is_withdrawn(self, deployment: Deployment) -> None:
        """Who has bound no wallet is 403 `wallet_required`, and keeps the money.

        A failure means that money leaves for nowhere.
        """
        player, broker = fighter(deployment)
        data_of(player.fight(broker))
        before = player.balances()
        refusal_of(_claim(player, amount=1), 403, "wallet_required")
        same(player.balances(), before, "the balances after a refused claim")

    @needs(Capability.VAULT)
    def test_the_claims_of_another_are_not_shown(self, deployment: Deployment) -> None:
        """A claim is in its player's list and in nobody else's.

        A failure means that wallets can be told apart by who plays.
        """
        player, wallet, _ = _holder(deployment)
        flat_of(_claim(player, amount=1))
        answer = deployment.newcomer().get("/api/economy/claims")
        same(data_of(answer)["items"], [], "the claims of a newcomer", answer)
        owes(wallet.address not in answer.raw.decode(), "no wallet of another is told", answer)

    @needs(Capability.VAULT)
    def test_every_answer_is_a_fact(self, deployment: Deployment) -> None:
        """The vault says that a claim which nobody sent is unpaid, under the seqno after its last.

        A failure means that clients wait for what has happened, or give up what hasn't.
        """
        player, wallet, _ = _holder(deployment)
        claim = flat_of(_claim(player, amount=1))["claim"]
        last = deployment.get(f"/api/vault/last-seqno?to={wallet.address}")
        same(data_of(last)["lastSeqno"], "0", "the last seqno of a new wallet", last)
        same(data_of(last)["nextSeqno"], str(claim["seqno"]), "the next seqno", last)
        standing = _standing(deployment, claim)
        owes(data_of(standing)["status"] != "confirmed", "a claim not sent is not paid", standing)


def _need_wallets(deployment: Deployment) -> None:
    """End a property that builds on a bound wallet where none could be bound."""
    if not deployment.binds_wallets:
        pytest.skip(f"{BLOCKED}test_a_wallet_is_bound_by_its_owners_proof")


def _payload(player: Player) -> str:
    payload: str = data_of(player.get("/api/wallet/proof-payload"))["payload"]
    return payload


def _connect(
    player: Player,
    wallet: TestWallet,
    *,
    payload: str | None = None,
    domain: str | None = None,
    key: SigningKey | None = None,
) -> Answer:
    """Show the proof of a wallet, by default one that holds."""
    deployment = player.deployment
    body = wallet.proof(
        _payload(player) if payload is None else payload,
        domain=domain or deployment.terms.wallet_domain or "conformance.invalid",
        now_s=deployment.now_s(),
        key=key,
    )
    return deployment.send(
        Call(method="POST", path=CONNECT, headers=player.headers(), body=body, who=player.who)
    )


def _holder(deployment: Deployment) -> tuple[Player, TestWallet, dict[str, int]]:
    """Return a new player with AIBA won in a battle and a wallet, and what the player holds."""
    _need_wallets(deployment)
    player, broker = fighter(deployment)
    fought = player.fight(broker)
    owes(data_of(fought)["rewardAiba"] >= 2, "a battle brings AIBA to withdraw", fought)  # noqa: PLR2004 - for a claim and one too many
    wallet = TestWallet(deployment.terms.network)
    data_of(_connect(player, wallet))
    return player, wallet, player.balances()


def _claim(player: Player, *, amount: object) -> Answer:
    return player.post(CLAIM, requestId=player.deployment.key(), amount=amount)


def _standing(deployment: Deployment, claim: Json) -> Answer:
    """Ask how a claim stands on the chain, and what time it is there."""
    query = f"to={claim['toAddress']}&seqno={claim['seqno']}&validUntil={claim['validUntil']}"
    return deployment.get(f"/api/vault/claim-status?{query}")


def _signed(claim: Json) -> Json:
    """Return what the cell says whose hash is signed."""
    part = Cell.one_from_boc(b64decode(claim["payloadBocBase64"], validate=True)).begin_parse()
    vault, _, recipient = (part.load_address().to_str(is_user_friendly=False) for _ in range(3))
    return {
        "vaultAddress": vault,
        "toAddress": recipient,
        "amount": str(part.load_coins()),
        "seqno": part.load_uint(64),
        "validUntil": part.load_uint(32),
    }


def _stated(claim: Json) -> Json:
    names = ("vaultAddress", "toAddress", "amount", "seqno", "validUntil")
    return {name: claim[name] for name in names}
