"""The TON part of the environment: all of it or none, and no fault left unsaid."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.signing.local import oracle_key
from aiba_adapters.ton.addresses import Address
from aiba_adapters.ton.proof import Network
from aiba_entry.settings import Settings, SettingsError, load
from aiba_entry.ton_settings import NEEDED, TonSettings

KEY = bytes(range(32)).hex()
API_KEY = "a-key-of-the-provider"
VAULT, MASTER, SHOP = (Address(0, bytes([number] * 32)) for number in (1, 2, 3))
PROD: Mapping[str, str] = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://game.example",
    "TELEGRAM_BOT_TOKEN": "123456789:AAExampleExampleExampleExample",
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    "SESSION_SECRET": "correct-horse-battery-staple-0123",
    "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
}
TEST: Mapping[str, str] = {**PROD, "APP_ENV": "test"}
TON: Mapping[str, str] = {
    "ARENA_VAULT_ADDRESS": VAULT.raw,
    "AIBA_JETTON_MASTER": MASTER.friendly(),
    "TON_PROVIDER_URL": "https://toncenter.com/api/v2/jsonRPC",
    "TON_PROOF_DOMAINS": "game.example",
    "ORACLE_PRIVATE_KEY_HEX": KEY,
}
ON = ("1", "true", "YES", "on")
OFF = ("0", "false", "NO", "off")


def ton_of(environ: Mapping[str, str]) -> TonSettings:
    """Return the TON part of settings that have one."""
    settings: Settings = load(environ)
    assert settings.ton is not None
    return settings.ton


def problems(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.problems


def test_what_is_needed_is_enough() -> None:
    """Five variables open withdrawals; the rest has the values that the documents name."""
    ton = ton_of({**PROD, **TON})
    assert (ton.vault, ton.jetton_master) == (VAULT.raw, MASTER.raw)
    assert ton.provider_url == "https://toncenter.com/api/v2/jsonRPC"
    assert ton.proof_domains == {"game.example"}
    assert ton.network is Network.MAINNET
    assert ton.min_vault_ton_nano == 60_000_000
    assert (ton.fallback_url, ton.api_key, ton.requests_per_s) == (None, None, None)
    assert ton.created_brokers_wallet is None
    assert (ton.wallet_without_proof, ton.chain_keeps_own_time) == (False, False)
    assert bytes(oracle_key(ton.oracle_environ)).hex() == KEY


def test_everything_that_can_be_set_is_read() -> None:
    """Each variable goes where it belongs; blanks around a value don't count."""
    ton = ton_of(
        {
            **TEST,
            **TON,
            "ARENA_VAULT_ADDRESS": f" {VAULT.friendly(bounceable=False, testnet=True)} ",
            "TON_PROVIDER_URL": "https://testnet.toncenter.com/api/v3/",
            "TON_FALLBACK_URL": "http://127.0.0.1:8081",
            "TON_API_KEY": API_KEY,
            "TON_NETWORK": "testnet",
            "TON_PROOF_DOMAINS": " Game.Example, localhost:3000 ,,xn--bcher-kva.example",
            "MIN_VAULT_TON_NANO": "0",
            "CREATED_BROKERS_WALLET": SHOP.friendly(testnet=True),
            "TON_REQUESTS_PER_SECOND": "10000",
            "AIBA_DEV_WALLET_WITHOUT_PROOF": "on",
            "AIBA_DEV_CHAIN_TIME": "yes",
        }
    )
    assert ton.vault == VAULT.raw
    assert ton.provider_url == "https://testnet.toncenter.com/api/v3"
    assert ton.fallback_url == "http://127.0.0.1:8081"
    assert ton.api_key == API_KEY
    assert ton.network is Network.TESTNET
    assert ton.proof_domains == {"game.example", "localhost:3000", "xn--bcher-kva.example"}
    assert ton.min_vault_ton_nano == 0
    assert ton.created_brokers_wallet == SHOP.raw
    assert ton.requests_per_s == 10_000
    assert (ton.wallet_without_proof, ton.chain_keeps_own_time) == (True, True)


# --- all or nothing ---


@pytest.mark.parametrize("environ", [{}, dict.fromkeys(TON, " "), {"TON_NETWORK": "testnet"}])
def test_without_any_of_it_there_are_no_withdrawals(environ: dict[str, str]) -> None:
    """None of it is no fault, nor is a setting that means nothing by itself."""
    assert load({**PROD, **environ}).ton is None


@pytest.mark.parametrize("name", [*TON, "CREATED_BROKERS_WALLET"])
def test_one_of_it_needs_all_of_it(name: str) -> None:
    """A service that could sign but not look at the chain, or the other way, doesn't start."""
    given_one = {**TON, "CREATED_BROKERS_WALLET": SHOP.raw}[name]
    found = problems({**PROD, name: given_one})
    assert set(found) == {*NEEDED, "ORACLE_PRIVATE_KEY_HEX"} - {name}
    missing = found.pop("ORACLE_PRIVATE_KEY_HEX", "ORACLE_PRIVATE_KEY_HEX missing")
    assert missing == "ORACLE_PRIVATE_KEY_HEX missing"
    assert set(found.values()) == {"is required where withdrawals are configured"}


@pytest.mark.parametrize("name", TON)
def test_each_of_it_is_needed(name: str) -> None:
    """Without one of the five the start is refused, with the one named."""
    assert set(problems({**PROD, **TON, name: " "})) == {name}


# --- faults ---


def test_every_fault_is_named_at_once() -> None:
    """One start tells everything that is wrong, the other settings' faults among them."""
    wrong = {
        "PORT": "many",
        "ARENA_VAULT_ADDRESS": "EQnowhere",
        "AIBA_JETTON_MASTER": "0:12",
        "CREATED_BROKERS_WALLET": "7:" + "0" * 64,
        "TON_PROVIDER_URL": "toncenter.com",
        "TON_FALLBACK_URL": "ftp://toncenter.com",
        "TON_API_KEY_FILE": "/nowhere/at/all",
        "TON_NETWORK": "moon",
        "TON_PROOF_DOMAINS": "https://game.example",
        "MIN_VAULT_TON_NANO": "1.5",
        "TON_REQUESTS_PER_SECOND": "0",
        "AIBA_DEV_WALLET_WITHOUT_PROOF": "maybe",
        "AIBA_DEV_CHAIN_TIME": "2",
        "ORACLE_PRIVATE_KEY_HEX": "abc",
    }
    assert set(problems({**PROD, **TON, **wrong})) == set(wrong)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TON_PROVIDER_URL", "http://["),
        ("TON_PROVIDER_URL", "http://"),
        ("TON_PROVIDER_URL", "https://toncenter.com:99999"),
        ("TON_PROVIDER_URL", "https://user:word@toncenter.com/api/v2"),
        ("TON_FALLBACK_URL", "https://toncenter.com/api/v2?api_key=word"),
        ("TON_PROOF_DOMAINS", ","),
        ("TON_PROOF_DOMAINS", "game.example/path"),
        ("TON_PROOF_DOMAINS", "game..example"),
        ("TON_PROOF_DOMAINS", "*.example"),
        ("MIN_VAULT_TON_NANO", "-1"),
        ("MIN_VAULT_TON_NANO", "9" * 19),
        ("MIN_VAULT_TON_NANO", "9" * 5_000),
        ("MIN_VAULT_TON_NANO", "٣"),
        ("TON_REQUESTS_PER_SECOND", "10001"),
        ("TON_REQUESTS_PER_SECOND", "9" * 5_000),
        ("TON_REQUESTS_PER_SECOND", "1.0"),
        ("ARENA_VAULT_ADDRESS", VAULT.friendly(testnet=True)),
        ("AIBA_JETTON_MASTER", MASTER.raw + "0"),
        ("CREATED_BROKERS_WALLET", SHOP.friendly(testnet=True)),
        ("TON_NETWORK", "Mainnet"),
        ("ORACLE_PRIVATE_KEY_HEX", KEY[:-1]),
        ("ORACLE_PRIVATE_KEY_HEX", KEY + "00"),
    ],
)
@pytest.mark.parametrize("base", [PROD, TEST], ids=["prod", "test"])
def test_a_fault_is_told_by_its_variable(base: Mapping[str, str], name: str, text: str) -> None:
    """The one thing that is wrong is the one thing that is told, without the text itself."""
    found = problems({**base, **TON, name: text})
    assert set(found) == {name}
    assert text not in found[name] or text in (",", "-1")


@given(
    name=st.sampled_from(sorted({*TON, "TON_FALLBACK_URL", "MIN_VAULT_TON_NANO"})), text=st.text()
)
def test_no_text_makes_the_start_fail_in_another_way(name: str, text: str) -> None:
    """Whatever stands in a variable, it is read or told as that variable's fault."""
    try:
        load({**TEST, **TON, name: text})
    except SettingsError as error:
        assert set(error.problems) == {name}  # noqa: PT017 - only some of the texts are faults


# --- secrets ---


def test_the_key_may_come_from_a_file(tmp_path: Path) -> None:
    """A key in a file is read once, at the start, and hidden like one in the environment."""
    path = tmp_path / "oracle"
    path.write_text(f"{KEY.upper()}\n", encoding="utf-8")
    given_by_file = {**TON, "ORACLE_PRIVATE_KEY_HEX": "", "ORACLE_PRIVATE_KEY_HEX_FILE": str(path)}
    ton = ton_of({**PROD, **given_by_file})
    path.unlink()
    assert bytes(oracle_key(ton.oracle_environ)).hex() == KEY
    assert KEY in ton.secrets


def test_the_provider_s_key_may_come_from_a_file(tmp_path: Path) -> None:
    """One end of line doesn't count; an empty file and both at once are faults."""
    path = tmp_path / "key"
    path.write_text(f"{API_KEY}\n", encoding="utf-8")
    from_file = {**PROD, **TON, "TON_API_KEY_FILE": str(path)}
    assert ton_of(from_file).api_key == API_KEY
    assert set(problems({**from_file, "TON_API_KEY": "another"})) == {"TON_API_KEY"}
    path.write_text("\n", encoding="utf-8")
    assert set(problems(from_file)) == {"TON_API_KEY_FILE"}
    path.write_bytes(b"\xff\xfe")
    assert set(problems(from_file)) == {"TON_API_KEY_FILE"}


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    """Settings, their TON part and every fault keep the keys to themselves, in the URL too."""
    hidden = {
        "TON_PROVIDER_URL": "https://provider.example/word-in-the-path/api/v2",
        "TON_API_KEY": API_KEY,
    }
    settings = load({**PROD, **TON, **hidden})
    assert settings.ton is not None
    assert {API_KEY, KEY} <= set(settings.secrets)
    for shown in (repr(settings), str(settings), repr(settings.ton), f"{settings.ton}"):
        assert "word-in-the-path" not in shown
        assert not any(secret in shown for secret in settings.secrets)
    path = tmp_path / KEY
    wrong = {
        "ORACLE_PRIVATE_KEY_HEX": KEY,
        "ORACLE_PRIVATE_KEY_HEX_FILE": str(path),
        "TON_PROVIDER_URL": f"https://{API_KEY}@provider.example",
        "TON_API_KEY": API_KEY,
        "TON_API_KEY_FILE": str(path),
    }
    for broken in (wrong, {**wrong, "ORACLE_PRIVATE_KEY_HEX": ""}, {**wrong, "TON_API_KEY": ""}):
        with pytest.raises(SettingsError) as caught:
            load({**PROD, **TON, **broken})
        assert set(caught.value.problems) & set(wrong)
        assert KEY not in str(caught.value)
        assert API_KEY not in str(caught.value)


# --- production ---


def test_prod_is_on_the_main_network() -> None:
    """The test network's coins pay nobody: by name, by provider or by address it is refused."""
    for name, text in (
        ("TON_NETWORK", "testnet"),
        ("TON_PROVIDER_URL", "https://Testnet.toncenter.com/api/v2"),
        ("TON_FALLBACK_URL", "https://sandbox.provider.example"),
        ("ARENA_VAULT_ADDRESS", VAULT.friendly(testnet=True)),
    ):
        assert set(problems({**PROD, **TON, name: text})) == {name}
        elsewhere = ton_of({**TEST, **TON, "TON_NETWORK": "testnet", name: text})
        assert elsewhere.network is Network.TESTNET


@pytest.mark.parametrize("name", ["AIBA_DEV_WALLET_WITHOUT_PROOF", "AIBA_DEV_CHAIN_TIME"])
@pytest.mark.parametrize("others", [TON, {}], ids=["with a vault", "without"])
def test_d13_developers_switches_are_refused_in_prod(name: str, others: Mapping[str, str]) -> None:
    """No wallet is bound without a proof in production, whatever else is configured."""
    for word in ON:
        assert set(problems({**PROD, **others, name: word})) == {name}
        load({**TEST, **others, name: word})
    for word in OFF:
        load({**PROD, **others, name: word})


def test_d13_wallets_without_proof_need_a_local_address() -> None:
    """The switch works only where nobody else can reach the service."""
    switch = {"AIBA_DEV_WALLET_WITHOUT_PROOF": "true"}
    assert ton_of({**TEST, **TON, **switch, "HOST": "::1"}).wallet_without_proof
    for host in ("10.0.0.1", "game.example"):
        found = problems({**TEST, **TON, **switch, "HOST": host})
        assert set(found) == set(switch)


@pytest.mark.parametrize("others", [{}, TON])
def test_d18_whoever_counts_on_the_legacy_dispatch_is_told_in_prod(
    others: Mapping[str, str],
) -> None:
    """Its flag is refused where money is real, whatever the case; elsewhere it changes nothing."""
    name = "ENABLE_LEGACY_PENDING_AIBA_DISPATCH"
    for text in ("true", " TRUE ", "True"):
        assert set(problems({**PROD, **others, name: text})) == {name}
        assert load({**TEST, **others, name: text}) == load({**TEST, **others})
    for text in ("", "false", "0"):
        assert load({**PROD, **others, name: text}) == load({**PROD, **others})
