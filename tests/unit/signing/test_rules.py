"""The signer's rules: what is signed, what is refused, and what a signature takes of the limits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.model import (
    EXPIRY_MARGIN_S,
    MAX_AHEAD_S,
    Lock,
    Mark,
    Network,
    Protected,
    Refusal,
    Refused,
    SameAgain,
    Sign,
    SigningRequest,
    Standing,
    StoreState,
    Usage,
)
from aiba_domain.signing.policy import Allowed, Denied, Limits, SigningPolicy
from aiba_domain.signing.rules import day_of, decide

NOW = 1_767_268_800
VAULT, OTHER, MASTER = (f"0:{digit * 64}" for digit in "123")
RECIPIENT = "0:" + "4" * 64
TERMS = ClaimTerms(
    vault=VAULT,
    jetton_master=MASTER,
    recipient=RECIPIENT,
    amount=100,
    seqno=1,
    valid_until_s=NOW + 600,
)
LIMITS = Limits(claim=1_000, recipient_day=2_000, day=3_000, lifetime=4_000)
ARENA = Allowed(
    name="arena", network=Network.TESTNET, vault=VAULT, jetton_master=MASTER, limits=LIMITS
)
POLICY = SigningPolicy(allow=(ARENA,))
OPEN = Standing(state=StoreState(network=Network.TESTNET, store="s"))
HASH, OTHER_HASH = bytes([1]) * 32, bytes([2]) * 32


def asked(terms: ClaimTerms = TERMS, payload: bytes = HASH) -> SigningRequest:
    """Return a request for terms."""
    return SigningRequest(terms=terms, payload_hash=payload)


def refusal(
    terms: ClaimTerms = TERMS,
    *,
    payload: bytes = HASH,
    policy: SigningPolicy = POLICY,
    standing: Standing = OPEN,
    now_s: int = NOW,
) -> Refusal | None:
    """Return why terms are refused, None if they aren't."""
    decision = decide(asked(terms, payload), policy, standing, now_s)
    return decision.code if isinstance(decision, Refused) else None


def signed(until: int = NOW + 600, *, payload: bytes = HASH, seqno: int = 1) -> Standing:
    """Return the standing after a claim of 100 was signed."""
    record = Protected(
        payload_hash=payload, valid_until_s=until, most=100, day=day_of(NOW), day_most=100
    )
    return replace(OPEN, protected=record, mark=Mark(seqno=seqno))


def test_an_allowed_claim_is_signed_and_charged() -> None:
    """The whole amount is taken from day and lifetime."""
    decision = decide(asked(), POLICY, OPEN, NOW)
    assert isinstance(decision, Sign)
    assert (decision.charge.day, decision.charge.lifetime) == (100, 100)
    assert decision.record.valid_until_s == TERMS.valid_until_s


@given(st.sampled_from(Network), st.integers(1, MAX_AMOUNT), st.integers(1, 2**64 - 1))
def test_an_empty_policy_denies_everything(network: Network, amount: int, seqno: int) -> None:
    """What no entry allows isn't signed."""
    terms = replace(TERMS, amount=amount, seqno=seqno)
    standing = replace(OPEN, state=replace(OPEN.state, network=network))
    assert refusal(terms, policy=SigningPolicy(), standing=standing) is Refusal.CONTRACT


@pytest.mark.parametrize(
    "entry",
    [
        replace(ARENA, vault=OTHER),
        replace(ARENA, jetton_master=OTHER),
        replace(ARENA, network=Network.MAINNET),
    ],
)
def test_vault_master_and_network_must_all_be_allowed(entry: Allowed) -> None:
    """Two of the three are not enough."""
    assert refusal(policy=SigningPolicy(allow=(entry,))) is Refusal.CONTRACT


RULES = st.builds(
    lambda vaults, masters, recipients: (vaults, masters, recipients),
    *(
        st.none() | st.frozensets(st.sampled_from([VAULT, OTHER, MASTER, RECIPIENT]), min_size=1)
        for _ in range(3)
    ),
)


@given(RULES, st.sampled_from([OPEN, signed(), signed(NOW - 1000)]))
def test_deny_wins(
    lists: tuple[frozenset[str] | None, frozenset[str] | None, frozenset[str] | None],
    standing: Standing,
) -> None:
    """A rule that is about a claim refuses it, signed before or not; another changes nothing."""
    vaults, masters, recipients = lists
    if vaults is masters is recipients is None:
        with pytest.raises(InvalidInput):
            Denied(name="empty")
        return
    rule = Denied(name="rule", vaults=vaults, jetton_masters=masters, recipients=recipients)
    denied = decide(asked(), replace(POLICY, deny=(rule,)), standing, NOW)
    about = all(
        value in listed
        for value, listed in zip((VAULT, MASTER, RECIPIENT), lists, strict=True)
        if listed is not None
    )
    if about:
        assert denied == Refused(code=Refusal.DENIED, rule="rule")
    else:
        assert denied == decide(asked(), POLICY, standing, NOW)


@pytest.mark.parametrize("lock", Lock)
def test_a_locked_store_signs_nothing(lock: Lock) -> None:
    """Not even what it had signed."""
    for standing in (OPEN, signed()):
        locked = replace(standing, state=replace(standing.state, locked=lock))
        assert refusal(standing=locked) is Refusal.LOCKED


@given(st.integers(0, 2 * MAX_AHEAD_S), st.integers(0, 10**6))
def test_the_same_payload_is_signed_again_at_any_time(late: int, used: int) -> None:
    """For nothing, whatever the limits and watermark have become."""
    standing = replace(
        signed(), mark=Mark(seqno=1 + used), usage=Usage(recipient_day=10**9, day=10**9)
    )
    assert decide(asked(), POLICY, standing, NOW + late) == SameAgain()


@given(st.integers(-MAX_AHEAD_S, 2 * MAX_AHEAD_S), st.integers(EXPIRY_MARGIN_S, 1_000))
def test_another_payload_waits_until_the_first_has_expired(late: int, margin: int) -> None:
    """By chain time and the policy's margin, to the second."""
    now_s = TERMS.valid_until_s + late
    other = replace(TERMS, amount=101, valid_until_s=now_s + 600)
    policy = replace(POLICY, expiry_margin_s=margin)
    code = refusal(other, payload=OTHER_HASH, policy=policy, standing=signed(), now_s=now_s)
    assert code is (None if late > margin else Refusal.CONFLICT)


@given(seqno=st.integers(1, 50), used=st.integers(0, 50), known=st.booleans())
def test_below_the_watermark_nothing_is_signed_anew(seqno: int, used: int, *, known: bool) -> None:
    """Nor beyond the next seqno, which would mean that some were signed elsewhere."""
    terms = replace(TERMS, seqno=seqno)
    first = signed(NOW - 10_000).protected if known else None
    standing = replace(OPEN, protected=first, mark=Mark(seqno=used))
    code = refusal(terms, payload=OTHER_HASH, standing=standing)
    if seqno < used or (seqno == used and not known):
        assert code is Refusal.BELOW
    elif seqno > used + 1 and not known:
        assert code is Refusal.GAP
    else:
        assert code is None


@given(st.integers(-2_000, 2_000), st.integers(1, 1_000))
def test_validity_is_neither_past_nor_too_far(ahead: int, most: int) -> None:
    """Both edges can still be signed."""
    terms = replace(TERMS, valid_until_s=NOW + ahead)
    code = refusal(terms, policy=replace(POLICY, max_ahead_s=most))
    expected = None if 0 <= ahead <= most else Refusal.EXPIRED if ahead < 0 else Refusal.TOO_FAR
    assert code is expected


@given(late=st.integers(-10, 10), of_recipient=st.booleans())
def test_quarantine_ends_by_chain_time(late: int, *, of_recipient: bool) -> None:
    """Whether the store is in it, or a recipient."""
    until = NOW - late
    standing = (
        replace(OPEN, mark=Mark(quarantined_until_s=until))
        if of_recipient
        else replace(OPEN, state=replace(OPEN.state, quarantined_until_s=until))
    )
    assert refusal(standing=standing) is (None if late > 0 else Refusal.QUARANTINED)
    again = replace(signed(), state=standing.state)
    assert decide(asked(), POLICY, again, NOW) == SameAgain()


amounts = st.integers(0, 5_000)


@given(st.integers(1, 5_000), amounts, amounts, amounts)
def test_no_limit_is_passed(amount: int, recipient_day: int, day: int, lifetime: int) -> None:
    """A claim is signed exactly if it keeps all four."""
    usage = Usage(recipient_day=recipient_day, day=day, lifetime=lifetime)
    terms = replace(TERMS, amount=amount)
    code = refusal(terms, standing=replace(OPEN, usage=usage))
    keeps = {
        Refusal.CLAIM_LIMIT: amount <= LIMITS.claim,
        Refusal.RECIPIENT_DAY_LIMIT: recipient_day + amount <= LIMITS.recipient_day,
        Refusal.DAY_LIMIT: day + amount <= LIMITS.day,
        Refusal.LIFETIME_LIMIT: lifetime + amount <= LIMITS.lifetime,
    }
    assert code is None if all(keeps.values()) else not keeps[code or Refusal.LOCKED]


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 3)), min_size=1, max_size=8))
def test_replacements_count_the_largest_of_a_seqno(claims: list[tuple[int, int]]) -> None:
    """A day counts the largest that was signed in it, the lifetime the largest of all."""
    standing, now_s = OPEN, NOW
    policy = SigningPolicy(allow=(replace(ARENA, limits=Limits(**dict.fromkeys(NAMES, 10**6))),))
    by_day: dict[str, list[int]] = {}
    charged: dict[str, int] = {}
    lifetime = 0
    for number, (amount, days) in enumerate(claims):
        now_s += 86_400 * days + 1_000
        terms = replace(TERMS, amount=amount, valid_until_s=now_s + 60)
        decision = decide(asked(terms, bytes([number]) * 32), policy, standing, now_s)
        assert isinstance(decision, Sign)
        day = day_of(now_s)
        by_day.setdefault(day, []).append(amount)
        charged[day] = charged.get(day, 0) + decision.charge.day
        lifetime += decision.charge.lifetime
        standing = replace(OPEN, protected=decision.record, mark=Mark(seqno=1))
    assert charged == {day: max(listed) for day, listed in by_day.items()}
    assert lifetime == max(amount for amount, _ in claims)


NAMES = ("claim", "recipient_day", "day", "lifetime")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, True, 1.0, MAX_AMOUNT + 1, "1"])
def test_a_limit_is_an_amount(name: str, value: int) -> None:
    """Anything else is refused by its name."""
    with pytest.raises(InvalidInput, match=rf"^{name}:"):
        replace(LIMITS, **{name: value})


def test_a_policy_checks_itself() -> None:
    """Its numbers have ranges, and a vault is allowed once."""
    with pytest.raises(InvalidInput, match="max_ahead_s"):
        SigningPolicy(max_ahead_s=MAX_AHEAD_S + 1)
    with pytest.raises(InvalidInput, match="expiry_margin_s"):
        SigningPolicy(expiry_margin_s=EXPIRY_MARGIN_S - 1)
    with pytest.raises(InvalidInput, match="allowed twice"):
        SigningPolicy(allow=(ARENA, replace(ARENA, jetton_master=OTHER)))


def test_a_request_has_a_hash() -> None:
    """Of 32 bytes."""
    with pytest.raises(InvalidInput, match="payload_hash"):
        asked(payload=b"short")
