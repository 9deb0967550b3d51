"""The policy's file: what it may hold, and that every fault of it is named at once."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.ton.addresses import parse
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import DEFAULT_AHEAD_S, SigningPolicy
from aiba_domain.signing.policy_file import PolicyForm, read_policy
from aiba_entry.signer.policy import load_policy

VAULT, MASTER, THIEF = (f"0:{digit * 64}" for digit in "123")
LIMITS = {"claim": 1, "recipient_day": 2, "day": 3, "lifetime": 4}
ENTRY = {
    "name": "arena",
    "network": "testnet",
    "vault": VAULT,
    "jetton_master": MASTER,
    "limits": LIMITS,
}
TOML = f"""
version = 1
max_ahead_s = 700
expiry_margin_s = 90

[[allow]]
name = "arena"
network = "testnet"
vault = "{parse(VAULT, allow_testnet=True).friendly(testnet=True)}"
jetton_master = "{MASTER}"
limits = {{ claim = 1, recipient_day = 2, day = 3, lifetime = 4 }}

[[deny]]
name = "thieves"
recipients = ["{THIEF}"]
"""


def _raw(text: object, network: Network, path: str) -> str:
    return parse(text, allow_testnet=network is Network.TESTNET, field=path).raw


def read(document: object) -> SigningPolicy:
    """Read a document as JSON."""
    text = document if isinstance(document, str) else json.dumps(document)
    return read_policy(text, PolicyForm.JSON, network=Network.TESTNET, address=_raw)


def faults(document: object) -> list[str]:
    """Return the paths of the faults of a document."""
    with pytest.raises(Faulty) as refused:
        read(document)
    return [fault.partition(": ")[0] for fault in refused.value.faults]


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    """Addresses in any written form, and a digest that names the file."""
    as_json = {
        "max_ahead_s": 700,
        "expiry_margin_s": 90,
        "allow": [ENTRY],
        "deny": [{"name": "thieves", "recipients": [THIEF]}],
    }
    (tmp_path / "policy.toml").write_text(TOML)
    (tmp_path / "policy.json").write_text(json.dumps(as_json))
    toml, other = (load_policy(tmp_path / f"policy.{form}", Network.TESTNET) for form in FORMS)
    assert toml.policy == other.policy == read(as_json)
    assert toml.policy.allow[0].vault == VAULT
    assert toml.policy.deny[0].recipients == frozenset({THIEF})
    assert toml.digest != other.digest


FORMS = ("toml", "json")


@pytest.mark.parametrize("text", ["{}", '{"allow": []}'])
def test_an_empty_policy_is_one_that_denies_everything(text: str) -> None:
    """And has the strict defaults."""
    assert read(text) == SigningPolicy()
    assert read_policy("", PolicyForm.TOML, network=Network.MAINNET, address=_raw) == read("{}")
    assert read("{}").max_ahead_s == DEFAULT_AHEAD_S


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": ""}, "allow[0].name"),
        ({"name": 5}, "allow[0].name"),
        ({"network": "devnet"}, "allow[0].network"),
        ({"vault": "0:12"}, "allow[0].vault"),
        ({"vault": None}, "allow[0].vault"),
        ({"jetton_master": []}, "allow[0].jetton_master"),
        ({"limits": {**LIMITS, "claim": -1}}, "allow[0].limits.claim"),
        ({"limits": {**LIMITS, "day": True}}, "allow[0].limits.day"),
        ({"limits": {**LIMITS, "day": "3"}}, "allow[0].limits.day"),
        ({"limits": {**LIMITS, "lifetime": MAX_AMOUNT + 1}}, "allow[0].limits.lifetime"),
        ({"limits": {**LIMITS, "week": 1}}, "allow[0].limits.week"),
        ({"limits": 5}, "allow[0].limits"),
        ({"extra": 1}, "allow[0].extra"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], path: str) -> None:
    """By its path."""
    assert path in faults({"allow": [{**ENTRY, **change}]})


@pytest.mark.parametrize("name", [*ENTRY])
def test_each_field_of_an_entry_is_required(name: str) -> None:
    """No limit, no address and no network goes without saying."""
    entry = {key: value for key, value in ENTRY.items() if key != name}
    assert faults({"allow": [entry]}) == [f"allow[0].{name}"]


@pytest.mark.parametrize("name", [*LIMITS])
def test_each_limit_is_required(name: str) -> None:
    """An absent limit isn't an absence of limits."""
    limits = {key: value for key, value in LIMITS.items() if key != name}
    assert f"allow[0].limits.{name}" in faults({"allow": [{**ENTRY, "limits": limits}]})


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ("", "document"),
        ("[]", "document"),
        ("nonsense", "document"),
        ('{"version": 1.0}', "document"),
        ('{"version": 1, "version": 1}', "version"),
        ('{"allow": NaN}', "document"),
        ("[" * 100_000, "document"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"max_ahead_s": 3_601}, "max_ahead_s"),
        ({"max_ahead_s": 0}, "max_ahead_s"),
        ({"expiry_margin_s": 59}, "expiry_margin_s"),
        ({"allowed": []}, "allowed"),
        ({"allow": {}}, "allow"),
        ({"allow": [5]}, "allow[0]"),
        ({"allow": [ENTRY, ENTRY]}, "allow[1].vault"),
        ({"deny": [{"name": "all"}]}, "deny[0]"),
        ({"deny": [{"name": "a", "vaults": []}]}, "deny[0].vaults"),
        ({"deny": [{"name": "a", "recipients": [VAULT, "x"]}]}, "deny[0].recipients[1]"),
        ({"deny": [{"recipients": [VAULT]}]}, "deny[0].name"),
    ],
)
def test_a_wrong_document_is_refused(document: object, path: str) -> None:
    """With the path of what is wrong."""
    assert path in faults(document)


def test_every_fault_is_named_at_once() -> None:
    """So that a file is mended in one go."""
    entry = {**ENTRY, "vault": "?", "limits": {**LIMITS, "claim": -1}}
    document = {"version": 3, "allow": [entry], "deny": [{"name": ""}], "more": 1}
    assert {*faults(document)} == {
        "version",
        "more",
        "allow[0].vault",
        "allow[0].limits.claim",
        "deny[0].name",
        "deny[0]",
    }


def test_a_testnet_address_is_no_mainnet_vault() -> None:
    """The entry's own network judges its addresses."""
    friendly = parse(VAULT, allow_testnet=True).friendly(testnet=True)
    assert faults({"allow": [{**ENTRY, "network": "mainnet", "vault": friendly}]}) == [
        "allow[0].vault"
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(VAULT),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ENTRY, *LIMITS, "allow", "deny", "version", "vaults"]), inner
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_document_is_a_policy_or_refused_with_paths(document: Any) -> None:  # noqa: ANN401 - any JSON
    """Nothing else happens."""
    with suppress(Faulty):
        assert isinstance(read(document), SigningPolicy)


@given(st.binary(max_size=40), st.sampled_from(FORMS))
def test_any_bytes_are_a_policy_or_refused(data: bytes, form: str) -> None:
    """Also as TOML."""
    text = data.decode("latin-1")
    with suppress(Faulty):
        read_policy(text, PolicyForm(form), network=Network.TESTNET, address=_raw)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("policy.yaml", b""),
        ("policy.toml", b"\xff"),
        ("policy.toml", b"#" * 1_048_577),
        ("policy.toml", b"a = 99999999999999999999"),
        ("missing.toml", None),
    ],
)
def test_an_unusable_file_is_refused(name: str, data: bytes | None, tmp_path: Path) -> None:
    """Before anything is read from it."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(Faulty):
        load_policy(tmp_path / name, Network.TESTNET)
