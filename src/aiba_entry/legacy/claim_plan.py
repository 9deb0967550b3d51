"""The part of a plan that takes withdrawals over: paid, in flight, or held for a decision."""

from collections.abc import Iterator
from fractions import Fraction
from math import floor

from aiba_adapters.codec import decode, encode
from aiba_adapters.legacy.staging import Row, Staging
from aiba_domain.claims.commands import BY_BATTLE, BY_REQUEST
from aiba_domain.economy.ledger import held_account, player_account
from aiba_domain.idempotency import parse_key
from aiba_domain.legacy import claims
from aiba_domain.legacy.accounts import OPENING
from aiba_domain.legacy.claims import Canonical, Issued
from aiba_domain.legacy.findings import Book, Code, Findings
from aiba_domain.legacy.people import USERS
from aiba_domain.legacy.units import Draft, UsedKey
from aiba_domain.legacy.values import number
from aiba_domain.money import Currency

_AIBA = Currency.AIBA
_REASON = "claim"
_COMMANDS = {BY_REQUEST: "claim.reserve", BY_BATTLE: "claim.reserve_battle"}


class ClaimPlan:
    """Goes through withdrawals twice: holds what has no terms, then takes the rest by seqno."""

    def __init__(
        self, staging: Staging, found: Findings, *, canonical: Canonical, jetton_master: str
    ) -> None:
        """Work on staged rows; what is found goes to `found`."""
        self._staging = staging
        self._found = found
        self._canonical = canonical
        self._jetton_master = jetton_master

    def held(self) -> Iterator[Draft]:
        """Yield the money of withdrawals that nobody can be paid for as they stand."""
        self._staging.forget_issued()
        for place, ledger, told in self._staging.withdrawals():
            rows = [self._staging.row(n) for n in ledger]
            battle = self._staging.row(told[0]) if told else None
            issued = claims.issued(
                place,
                rows[0].document if rows else None,
                battle.document if battle else None,
                canonical=self._canonical,
                jetton_master=self._jetton_master,
            )
            if issued is not None:
                terms = issued.terms
                target = f"{terms.vault} {terms.recipient}"
                self._staging.keep_issued(issued.id, target, terms.seqno, issued.at, encode(issued))
            for row in rows:
                self._correct_fraction(row)
            for position, row in enumerate(rows):
                if issued is not None and not position:
                    continue
                self._found.note(Code.CLAIM_MALFORMED, f"{row.collection} {row.id}")
                used = place if issued is None and not position else None
                yield self._hold(place[0], floor(claims.amount_of(row.document)), used)
            if issued is None and not rows and battle is not None:
                self._found.note(Code.CLAIM_MALFORMED, f"{battle.collection} {battle.id}")

    def drafts(self) -> Iterator[Draft]:
        """Yield the claims, by recipient and seqno, with their money."""
        for body, last, last_at, is_second in self._staging.issued():
            issued = decode(Issued, body)
            if is_second:
                self._found.note(Code.CLAIM_SEQNO_TWICE, f"claim {issued.id}")
                place = (issued.owner, issued.source_type, issued.key)
                yield self._hold(issued.owner, issued.debited or 0, place)
                continue
            claim = claims.claim(issued, last, last_at)
            amount = claim.terms.amount
            self._look_at(issued)
            if claim.is_open:
                self._look_at_flight(issued)
            draft = Draft(records=[claim])
            account = player_account(issued.owner)
            draft.post(_AIBA, amount, OPENING, account, _REASON, issued.owner)
            draft.moves += [(None, posting) for posting in claims.postings(claim)]
            yield draft

    def _hold(self, owner: str, units: int, used: tuple[str, str, str] | None) -> Draft:
        """Hold an amount; the key of its withdrawal shall not make another one."""
        draft = Draft()
        command = _COMMANDS.get(used[1]) if used else None
        key = parse_key(used[2]) if used else None
        if command and key:
            draft.keys.append(UsedKey(player_id=owner, command=command, key=key))
        if units:
            draft.post(_AIBA, units, OPENING, held_account("claim", owner), _REASON, owner)
        return draft

    def _correct_fraction(self, row: Row) -> None:
        exact = claims.amount_of(row.document)
        self._found.correct(Book.CLAIMS, _AIBA, Code.LEDGER_FRACTION, exact - floor(exact))

    def _look_at(self, issued: Issued) -> None:
        debited, amount = issued.debited, issued.terms.amount
        if debited is None:
            self._found.note(Code.CLAIM_NO_LEDGER, f"claim {issued.id}")
            self._found.correct(Book.CLAIMS, _AIBA, Code.CLAIM_NO_LEDGER, Fraction(-amount))
        elif debited != amount:
            self._found.note(Code.CLAIM_AMOUNT_DIFFERS, f"claim {issued.id}")
            difference = Fraction(debited - amount)
            self._found.correct(Book.CLAIMS, _AIBA, Code.CLAIM_AMOUNT_DIFFERS, difference)

    def _look_at_flight(self, issued: Issued) -> None:
        if not (issued.signature and issued.payload):
            self._found.note(Code.CLAIM_UNSIGNED, f"claim {issued.id}")
        users = self._staging.of_owner(USERS, issued.owner)
        amounts = (number(user.document.get("aibaBalance")) for user in users)
        if sum((amount for amount in amounts if amount), Fraction(0)) < 0:
            self._found.note(Code.CLAIM_ABOVE_BALANCE, f"claim {issued.id}")
