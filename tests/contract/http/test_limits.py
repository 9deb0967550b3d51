"""Too often is 429, and every limited call says how much is left."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_entry.http.limits import ClientAddress
from tests.contract.http.support import BROKER, NOW_S, Api, error_of

PATH = f"/api/game/battles/{BROKER}"
PROXIES = ClientAddress([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])


def address(peer: str, *lines: str, proxies: ClientAddress = PROXIES) -> str:
    """Return the address that a call counts by."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    return proxies.of(peer, [(b"host", b"x"), *headers])


def test_headers_count_down_to_429() -> None:
    """The headers tell limit, rest and end of the window; one too many says when to come back."""
    api = Api({"BATTLE_RATE_LIMIT_PER_MINUTE": "2"})
    for rest in (1, 0):
        response = api.run()
        assert response.status_code == 200
        assert response.headers["x-ratelimit-limit"] == "2"
        assert response.headers["x-ratelimit-remaining"] == str(rest)
        assert response.headers["x-ratelimit-reset"] == str(NOW_S + 60)
        assert "retry-after" not in response.headers
    api.now_ms += 500
    response = api.run()
    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert error_of(response) == {
        "code": "rate_limited",
        "message": "rate_limited",
        "details": {"retryAfterSec": 60},
    }
    api.now_ms += 60_000
    assert api.run().status_code == 200


def test_limit_comes_before_validation_and_counts_by_player() -> None:
    """A bad body uses up a hit as a good one does, and one player's hits are nobody else's."""
    api = Api({"BATTLE_RATE_LIMIT_PER_MINUTE": "1"})
    assert api.run({"nope": 1}).status_code == 400
    assert api.run().status_code == 429
    other = api.call(
        "POST", "/api/game/run", headers=api.as_player("43"), body={"brokerId": BROKER}
    )
    assert other.status_code == 200


def test_global_limit_counts_unproven_callers_by_address() -> None:
    """Guessing at tokens is bounded, by address."""
    api = Api({"RATE_LIMIT_PER_MINUTE": "3"})
    bad = {"Authorization": "Bearer nope"}
    statuses = [api.call("POST", "/api/game/run", headers=bad).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    api.peer = "192.0.2.2"
    assert api.call("POST", "/api/game/run", headers=bad).status_code == 401


def test_d24_forwarded_addresses_of_a_stranger_are_not_believed() -> None:
    """Rotating X-Forwarded-For buys no further hit."""
    api = Api({"RATE_LIMIT_PER_MINUTE": "2"})
    statuses = [
        api.call("GET", PATH, headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(4)
    ]
    assert statuses == [200, 200, 429, 429]


def test_d24_a_trusted_proxy_names_the_caller_and_the_caller_no_one() -> None:
    """Behind a trusted proxy the right-most stranger counts, whatever stands left of it."""
    api = Api({"RATE_LIMIT_PER_MINUTE": "1", "TRUSTED_PROXIES": "10.0.0.0/8"})
    api.peer = "10.0.0.1"
    first, again, other = (
        api.call("GET", PATH, headers={"X-Forwarded-For": f"{made_up}, {caller}, 10.0.0.2"})
        for made_up, caller in [
            ("1.1.1.1", "9.9.9.9"),
            ("2.2.2.2", "9.9.9.9"),
            ("3.3.3.3", "8.8.8.8"),
        ]
    )
    assert [first.status_code, again.status_code, other.status_code] == [200, 429, 200]


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("192.0.2.1", ["1.1.1.1"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1, 10.9.9.9"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1", "2.2.2.2"], "2.2.2.2"),
        ("10.0.0.1", ["1.1.1.1, junk"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, ,"], "1.1.1.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("2001:db8::1", ["2a00:1:2:3:4::5"], "2a00:1:2:3::/64"),
        ("2a00:1:2:3:ffff::1", ["1.1.1.1"], "2a00:1:2:3::/64"),
        ("10.0.0.1", ["1.1.1.1:4711"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1, 10.9.9.9:80"], "1.1.1.1"),
        ("10.0.0.1", ["[2a00:1:2:3:4::5]:443"], "2a00:1:2:3::/64"),
        ("10.0.0.1", ["[2a00:1:2:3:4::5]"], "2a00:1:2:3::/64"),
        ("10.0.0.1", ["9.9.9.9, ::ffff:1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9, 1.1.1.1:"], "10.0.0.1"),
        ("10.0.0.1", ["9.9.9.9, 2a00:1:2:3:4::5:443:1:1"], "10.0.0.1"),
        ("fe80::1%eth0", ["1.1.1.1"], "fe80::/64"),
        ("", ["1.1.1.1"], "unknown"),
    ],
)
def test_d24_which_address_counts(peer: str, lines: list[str], expected: str) -> None:
    """The address is the nearest one that no trusted proxy has."""
    assert address(peer, *lines) == expected


@given(st.text(), st.lists(st.text(st.characters(max_codepoint=255))))
def test_any_forwarded_text_gives_an_address(peer: str, lines: list[str]) -> None:
    """No header makes the finding of an address fail."""
    assert address(peer, *lines)
    assert address("10.0.0.1", *lines)
