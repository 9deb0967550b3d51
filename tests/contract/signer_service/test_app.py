"""The service over HTTP: what isn't a genuine request is refused with a code, counted, unsigned."""

import asyncio
import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import OUTCOMES
from aiba_adapters.ton.addresses import parse_canonical
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.signing.model import Lock, Network, Refusal
from aiba_domain.signing.trail import Kind, read_line
from aiba_entry.logs import configure_logging, get_logger
from aiba_entry.signer import app, desk
from aiba_entry.signer.metrics import RESULTS
from aiba_entry.signer.tokens import read_tokens
from aiba_entry.signer.wire import MAX_BODY_BYTES, STATUSES, Problem
from tests.contract.signer_service.support import OTHER, TOKEN, Service, listening, remote, wire
from tests.support.logs import logging_kept
from tests.support.signers import KEY, MASTER, NOW, VAULT, Files, SetChain, policy, terms

Case = Callable[[], Coroutine[Any, Any, None]]


def signed(service: Service) -> int:
    """Return how many claims the log says were signed."""
    assert isinstance(service.store, MemoryProtection)
    return sum(read_line(line)[0].kind is Kind.SIGNED for line in service.store.lines)


def code(answer: Any) -> str:  # noqa: ANN401 - a response
    """Return a refusal's code, once the envelope is known to be whole."""
    body = answer.json()
    assert body["ok"] is False
    assert body["requestId"] == answer.headers["x-request-id"]
    assert STATUSES[body["error"]["code"]] == answer.status_code
    return str(body["error"]["code"])


def test_every_code_has_a_status_and_is_counted() -> None:
    """The codes of refusals and of problems, and nothing else."""
    assert set(STATUSES) == {*(each.value for each in Refusal), *(each.value for each in Problem)}
    assert OUTCOMES | set(STATUSES) == RESULTS


def test_a_claim_is_signed_and_asking_again_gives_the_same() -> None:
    """The signature is the key's over the cell that the signer built; numbers in either form."""

    async def case() -> None:
        service = await Service().start()
        answer = await service.post(wire(terms()))
        assert answer.status_code == 200
        cell = payload_of(terms())
        assert answer.json()["payloadBocBase64"] == cell.boc_base64()
        signature = base64.b64decode(answer.json()["signatureBase64"])
        assert signature == await KEY.sign(cell.hash)
        again = wire(
            terms(),
            vaultAddress=parse_canonical(VAULT).friendly(),
            to=parse_canonical(terms().recipient).friendly(bounceable=False, testnet=True),
            amount=100,
            seqno=1,
            payloadBocBase64=base64.b64encode(cell.boc(crc=False, index=True)).decode(),
        )
        assert (await service.post(again)).content == answer.content
        assert service.counted() == {"signed": 1, "same_again": 1}

    asyncio.run(case())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vaultAddress": MASTER}, Refusal.CONTRACT),
        ({"jettonMaster": VAULT}, Refusal.CONTRACT),
        ({"seqno": 3}, Refusal.GAP),
        ({"validUntil": NOW - 1}, Refusal.EXPIRED),
        ({"validUntil": NOW + 661}, Refusal.TOO_FAR),
        ({"amount": 10**9 + 1}, Refusal.CLAIM_LIMIT),
        ({"amount": 0}, Problem.MALFORMED),
        ({"amount": -5}, Problem.MALFORMED),
        ({"amount": "05"}, Problem.MALFORMED),
        ({"amount": "1e3"}, Problem.MALFORMED),
        ({"amount": 1.0}, Problem.MALFORMED),
        ({"amount": True}, Problem.MALFORMED),
        ({"amount": None}, Problem.MALFORMED),
        ({"amount": 2**63}, Problem.MALFORMED),
        ({"seqno": 2**64}, Problem.MALFORMED),
        ({"seqno": [1]}, Problem.MALFORMED),
        ({"validUntil": 2**32}, Problem.MALFORMED),
        ({"to": "nobody"}, Problem.MALFORMED),
        ({"to": 7}, Problem.MALFORMED),
        ({"vaultAddress": ""}, Problem.MALFORMED),
        ({"extra": 1}, Problem.MALFORMED),
        ({"payloadBocBase64": "te6c"}, Problem.PAYLOAD_MISMATCH),
        ({"payloadBocBase64": "%"}, Problem.PAYLOAD_MISMATCH),
        (
            {"payloadBocBase64": payload_of(terms(amount=101)).boc_base64()},
            Problem.PAYLOAD_MISMATCH,
        ),
    ],
)
def test_what_is_refused_has_its_code(changes: dict[str, Any], expected: str) -> None:
    """Policy, time, seqno, types, ranges, and a payload that isn't the fields' own."""

    async def case() -> None:
        service = await Service().start()
        assert code(await service.post(wire(terms(), **changes))) == expected
        assert service.counted() == {expected: 1}
        assert signed(service) == 0

    asyncio.run(case())


def test_another_payload_of_a_seqno_is_a_conflict() -> None:
    """A replayed request gets the same answer; a changed one 409."""

    async def case() -> None:
        service = await Service().start()
        first = await service.post(wire(terms()))
        assert (await service.post(wire(terms()), OTHER)).content == first.content
        assert code(await service.post(wire(terms(amount=101)))) == Refusal.CONFLICT
        assert code(await service.post(wire(terms(until=599)))) == Refusal.CONFLICT
        assert signed(service) == 1

    asyncio.run(case())


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer  {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        "Bearer sha256:" + "0" * 64,
    ],
)
def test_a_wrong_token_is_refused(header: str | None) -> None:
    """Whatever is near it; nothing is read of the request then."""

    async def case() -> None:
        service = await Service().start()
        given = {} if header is None else {"authorization": header}
        answer = await service.post(wire(terms()), None, **given)
        assert code(answer) == Problem.UNAUTHORIZED
        assert answer.headers["www-authenticate"] == "Bearer"
        assert service.counted() == {"unauthorized": 1}
        assert signed(service) == 0

    asyncio.run(case())


def test_what_is_too_long_is_refused_with_and_without_its_length() -> None:
    """Before it is read to the end."""

    async def case() -> None:
        service = await Service().start()
        long = b" " * (MAX_BODY_BYTES + 1)
        assert code(await service.post(long)) == Problem.TOO_LARGE

        async def parts() -> Any:  # noqa: ANN401 - an iterator of bytes
            for _ in range(MAX_BODY_BYTES):
                yield b"  "

        headers = {"authorization": f"Bearer {TOKEN}"}
        assert code(await service.http.post("/sign", content=parts(), headers=headers)) == (
            Problem.TOO_LARGE
        )
        fits = json.dumps(wire(terms())).encode().ljust(MAX_BODY_BYTES)
        assert (await service.post(fits)).status_code == 200

    asyncio.run(case())


def test_each_caller_has_a_rate() -> None:
    """What is over it is 429 with a time to come again; another caller isn't held up."""

    async def case() -> None:
        service = await Service(rate_per_s=2).start()
        answers = [await service.post(wire(terms(number))) for number in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert code(answers[2]) == Problem.RATE_LIMITED
        assert 0 < answers[2].json()["error"]["details"]["retryAfterMs"] <= 501
        assert answers[2].headers["retry-after"] == "1"
        assert (await service.post(wire(terms(2)), OTHER)).status_code == 200

    asyncio.run(case())


@pytest.mark.parametrize("name", ["recipient_day", "day", "lifetime"])
def test_64_requests_at_once_overshoot_a_limit_by_nothing(name: str, tmp_path: Path) -> None:
    """Over real connections, at the limit exactly as many are signed as fit."""

    async def case() -> None:
        store = Files(tmp_path).open()
        service = await Service(store, rules=policy(**{name: 1_050})).start()
        path = tmp_path / "s"
        asked = [terms(0, n + 1) if name == "recipient_day" else terms(n) for n in range(64)]
        async with listening(service.app, path):
            clients = [remote(path) for _ in range(8)]
            outcomes = await asyncio.gather(
                *(clients[n % 8].sign(each) for n, each in enumerate(asked)),
                return_exceptions=True,
            )
            for client in clients:
                await client.close()
        kinds = Counter(type(outcome).__name__ for outcome in outcomes)
        most = 10
        if name == "recipient_day":
            assert kinds["SignedClaim"] <= most
        else:
            assert kinds == {"SignedClaim": most, "SignerRefused": 64 - most}
            assert service.counted() == {"signed": most, f"over_{name}_limit": 64 - most}
        await store.close()

    asyncio.run(case())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Return a genuine request with some fields gone, wrong or added, or cut, or no JSON at all."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=300))
    body = wire(terms(), payloadBocBase64=payload_of(terms()).boc_base64())
    for name in draw(st.lists(st.sampled_from([*body, "more"]), min_size=1, max_size=3)):
        if draw(st.booleans()):
            body.pop(name, None)
        else:
            body[name] = draw(JUNK)
    text = json.dumps(body).encode()
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@settings(deadline=None)
@given(
    bodies=st.lists(mutants(), min_size=1, max_size=10), token=st.sampled_from([TOKEN, "no", None])
)
def test_whatever_is_sent_is_answered_with_a_code_and_counted(
    bodies: list[bytes], token: str | None
) -> None:
    """Only what is the genuine claim after all is signed, and that once."""

    async def case() -> None:
        service = await Service().start()
        answers = [await service.post(body, token) for body in bodies]
        counted = Counter("ok" if answer.status_code == 200 else code(answer) for answer in answers)
        assert counted["error"] == 0
        results = service.counted()
        ok = results.pop("signed", 0) + results.pop("same_again", 0)
        assert ok == counted.pop("ok", 0)
        assert results == +counted
        assert signed(service) == min(ok, 1)
        assert token == TOKEN or results == {"unauthorized": len(bodies)}

    asyncio.run(case())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sign", 405),
        ("PUT", "/sign", 405),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
        ("POST", "/sign/", 404),
        ("GET", "/health", 200),
    ],
)
def test_there_are_four_paths(method: str, path: str, status: int) -> None:
    """Anything else isn't there, or not by this method."""

    async def case() -> None:
        service = await Service().start()
        answer = await service.http.request(method, path)
        assert answer.status_code == status

    asyncio.run(case())


def test_it_is_ready_only_when_new_claims_are_signed() -> None:
    """Not before its start is logged, not while locked or in quarantine, nor without a chain."""

    async def case() -> None:
        chain = SetChain()
        service = Service(chain=chain)

        async def state() -> tuple[int, str]:
            service.desk._looked_at = float("-inf")
            answer = await service.http.get("/ready")
            return answer.status_code, answer.json().get("reason", "")

        assert await state() == (503, "starting")
        answer = await service.post(wire(terms()))
        assert (code(answer), answer.headers["retry-after"]) == (Problem.UNAVAILABLE, "1")
        await service.start()
        assert await state() == (200, "")
        await service.store.transact(lambda unit: unit.lock(Lock.OPERATOR))
        assert await state() == (503, "locked")
        assert code(await service.post(wire(terms()))) == Refusal.LOCKED
        await service.store.transact(lambda unit: unit.unlock(quarantined_until_s=NOW))
        assert await state() == (503, "quarantined")
        assert code(await service.post(wire(terms()))) == Refusal.QUARANTINED
        chain.now_s += 1
        assert await state() == (200, "")
        chain.down = True
        assert await state() == (503, "unavailable")
        assert code(await service.post(wire(terms()))) == Problem.UNAVAILABLE

    asyncio.run(case())


def test_metrics_tell_limits_lock_and_commits(tmp_path: Path) -> None:
    """What is used of each limit and what it is, and how long each step of a commit took."""

    async def case() -> None:
        files = Files(tmp_path)
        service = Service(rules=policy(day=1_000))
        store = files.file(probe=service.metrics.probe)
        store.transact([lambda unit: unit.state()])
        store.close()
        await service.start()
        await service.post(wire(terms()))
        service.desk._looked_at = float("-inf")
        page = (await service.http.get("/metrics")).text
        for line in (
            f'aiba_signer_limit_used{{limit="day",vault="{VAULT}"}} 100.0',
            f'aiba_signer_limit{{limit="day",vault="{VAULT}"}} 1000.0',
            f'aiba_signer_limit_used{{limit="lifetime",vault="{VAULT}"}} 100.0',
            'aiba_signer_locked{reason="operator"} 0.0',
            "aiba_signer_quarantined 0.0",
            "aiba_signer_log_entries 2.0",
            # The log is signed at its first start: a commit of its own, before that of the state.
            'aiba_signer_commit_seconds_count{step="decide"} 2.0',
            'aiba_signer_commit_seconds_count{step="store"} 2.0',
            'aiba_signer_commit_seconds_count{step="log"} 2.0',
            "aiba_signer_request_duration_seconds_count 1.0",
        ):
            assert line in page.splitlines()

    asyncio.run(case())


def test_a_failure_is_answered_and_logged_without_what_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """500 with a code; the log has the trace, and neither token nor payload nor key."""
    for module in (app, desk):
        # A logger keeps the stream of its first line, and another test may have had that.
        monkeypatch.setattr(module, "_log", get_logger("aiba.signer"))
    stream = io.StringIO()
    with logging_kept():
        configure_logging("DEBUG", stream=stream)

        async def case() -> None:
            service = await Service().start()
            await service.post(wire(terms()))
            await service.post(wire(terms(amount=3)))
            await service.post(b"{" + TOKEN.encode())
            await service.post(wire(terms()), "wrong-" + TOKEN)

            def broken(_work: object) -> None:
                raise RuntimeError("it broke")

            service.store.transact = broken  # type: ignore[method-assign,assignment]
            assert code(await service.post(wire(terms(1)))) == Problem.ERROR
            shown = repr((service.app.tokens, service.desk._signer, KEY))
            page = service.metrics.render(await service.desk.standing())
            said = stream.getvalue() + shown + page.decode()
            seed = bytes(KEY._key)
            for secret in (TOKEN, seed.hex(), base64.b64encode(seed).decode(), repr(seed)):
                assert secret not in said
            assert payload_of(terms()).boc_base64() not in said
            assert "it broke" in said

        asyncio.run(case())


def test_tokens_are_put_in_place_of_others_while_it_runs() -> None:
    """The new one is let in at once, and the old one no more."""

    async def case() -> None:
        service = await Service().start()
        fresh = "a-fresh-token-0123456789-abcdefghij"
        service.app.tokens = read_tokens(f"api {fresh}\nother {OTHER}")
        assert (await service.post(wire(terms()), fresh)).status_code == 200
        assert code(await service.post(wire(terms()))) == Problem.UNAUTHORIZED

    asyncio.run(case())


def test_the_network_decides_which_addresses_there_are() -> None:
    """An address marked for the test network is none on the main one."""

    async def case() -> None:
        service = await Service(MemoryProtection(network=Network.MAINNET)).start()
        service.desk.network = Network.MAINNET
        marked = parse_canonical(terms().recipient).friendly(testnet=True)
        assert code(await service.post(wire(terms(), to=marked))) == Problem.MALFORMED
        assert code(await service.post(wire(terms()))) == Refusal.CONTRACT

    asyncio.run(case())
