"""An environment that production starts with, and what makes each check of the gate fail."""

from collections.abc import Mapping
from typing import Final

VAULT: Final[Mapping[str, str]] = {
    "ARENA_VAULT_ADDRESS": f"0:{'11' * 32}",
    "AIBA_JETTON_MASTER": f"0:{'22' * 32}",
    "TON_PROVIDER_URL": "https://toncenter.com/api/v2/jsonRPC",
    "TON_API_KEY": "provider-key-4c1e8f0a",
    "TON_PROOF_DOMAINS": "game.example",
}
SIGNER: Final[Mapping[str, str]] = {
    "ORACLE_SIGNER_URL": "https://signer.example/sign",
    "ORACLE_SIGNER_TOKEN": "signer-token-8d3f60b1a9c2e574-Zq",
}
READY: Final[Mapping[str, str]] = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://game.example",
    "TELEGRAM_BOT_TOKEN": "734512:READY-tests-token_0123456789abcdef",
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    "SESSION_SECRET": "session-7f3a9c51e8b24d60-Qw-ready",
    "BATTLE_SEED_SECRET": "seed-root-1b8e4f72a6d93c05-Er-ready",
    "ADMIN_JWT_SECRET": "admin-jwt-52c7e01d9ab8f634-Ty-ready",
    "ADMIN_EMAIL": "ops@game.example",
    "ADMIN_PASSWORD_HASH": "$2b$12$" + "abcdefghijklmnopqrstuu" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
    "MONGO_URI": "mongodb://aiba:mongo-word-93ab@db1,db2,db3/aiba?replicaSet=rs",
    "REDIS_URL": "redis://:redis-word-17cd@cache.example:6379/0",
    "METRICS_TOKEN": "metrics-6e0b95d1c8f7423a-Pl-ready",
    **VAULT,
    **SIGNER,
}
"""Everything is configured, and nothing is found, not even a warning."""

BESIDE: Final[Mapping[str, str]] = {
    "TELEGRAM_BOT_TOKEN_PREVIOUS": "734512:BEFORE-tests-token_fedcba9876543210",
    "SESSION_SECRET_NEXT": "session-c41d88e0f29b5a73-Nx-later",
    "SESSION_SECRET_PREVIOUS": "session-0e6f92a4d17c83b5-Pv-older",
    "BATTLE_SEED_SECRET_NEXT": "seed-root-d50a7c83e19f2b64-Nx-later",
    "BATTLE_SEED_SECRET_PREVIOUS": "seed-root-39c2f1e7084d6ab5-Pv-older",
    "ADMIN_JWT_SECRET_NEXT": "admin-jwt-a8e3570b4c9d12f6-Nx-later",
    "ADMIN_JWT_SECRET_PREVIOUS": "older-jwt-94a1d7c35e02b86f-Uo-ready",
}
"""What may stand beside the secrets in use."""

DISKS: Final = {"/in/memory": "tmpfs", "/in/layer": "overlay"}
"""What kinds of file system the places are on that the changes below name; others are on ext4."""

KEY: Final = "5a" * 31 + "c3"
WITHOUT_MONGO: Final = {"MONGO_URI": "", "AIBA_STORE": "sqlite", "AIBA_DATA_DIR": "/srv/aiba"}
LOCAL_KEY: Final = dict.fromkeys(SIGNER, "") | {"ORACLE_PRIVATE_KEY_HEX": KEY}

FAILING: Final[Mapping[str, Mapping[str, str]]] = {
    "app_env_unknown": {"APP_ENV": "production"},
    "cors_origin_missing": {"CORS_ORIGIN": " "},
    "cors_origin_shape": {"CORS_ORIGIN": "*"},
    "cors_origin_plaintext": {"CORS_ORIGIN": "https://game.example, http://game.example"},
    "telegram_bot_token_missing": {"TELEGRAM_BOT_TOKEN": ""},
    "telegram_bot_token_shape": {"TELEGRAM_BOT_TOKEN": "1:short"},
    "telegram_api_plaintext": {"TELEGRAM_API_URL": "http://bots.example"},
    "max_age_missing": {"TELEGRAM_INITDATA_MAX_AGE_SECONDS": ""},
    "max_age_not_a_number": {"TELEGRAM_INITDATA_MAX_AGE_SECONDS": "fifteen minutes"},
    "max_age_not_positive": {"TELEGRAM_INITDATA_MAX_AGE_SECONDS": "0.9"},
    "max_age_high": {"TELEGRAM_INITDATA_MAX_AGE_SECONDS": "86401"},
    "session_secret_missing": {"SESSION_SECRET": ""},
    "session_secret_weak": {"SESSION_SECRET": "only-16-letters!"},
    "jwt_missing": {"ADMIN_JWT_SECRET": ""},
    "jwt_weak": {"ADMIN_JWT_SECRET": "only-16-letters!"},
    "admin_email_missing": {"ADMIN_EMAIL": "\ufeff"},
    "admin_email_shape": {"ADMIN_EMAIL": "nobody"},
    "admin_hash_missing": {"ADMIN_PASSWORD_HASH": ""},
    "admin_hash_shape": {"ADMIN_PASSWORD_HASH": "hunter2"},
    "admin_hash_cheap": {"ADMIN_PASSWORD_HASH": "$2b$09$" + "a" * 53},
    "admin_password_set": {"ADMIN_PASSWORD": "hunter2"},
    "battle_seed_missing": {"BATTLE_SEED_SECRET": ""},
    "battle_seed_weak": {"BATTLE_SEED_SECRET": "only-16-letters!"},
    "secret_repeated": {"SESSION_SECRET": "x" * 40},
    "secret_placeholder": {"ADMIN_JWT_SECRET": "dev-secret-change-me-0123456789abcdef"},
    "secret_guessable": {"BATTLE_SEED_SECRET": "s33d" * 9},
    "secret_reused": {"ADMIN_JWT_SECRET": READY["SESSION_SECRET"]},
    "secret_given_twice": {"SESSION_SECRET_FILE": "/run/secrets/session"},
    "secret_file_unreadable": {"SESSION_SECRET": "", "SESSION_SECRET_FILE": "/nowhere/at/all"},
    "secret_file_empty": {"SESSION_SECRET": "", "SESSION_SECRET_FILE": "empty"},
    "secret_file_exposed": {"SESSION_SECRET": "", "SESSION_SECRET_FILE": "exposed"},
    "secret_file_in_group": {"SESSION_SECRET": "", "SESSION_SECRET_FILE": "in_group"},
    "vault_incomplete": {"ARENA_VAULT_ADDRESS": ""},
    "oracle_key_shape": {**LOCAL_KEY, "ORACLE_PRIVATE_KEY_HEX": KEY[2:]},
    "signer_url_shape": {"ORACLE_SIGNER_URL": "ftp://signer.example"},
    "signer_url_plaintext": {"ORACLE_SIGNER_URL": "http://signer.example/sign"},
    "oracle_key_and_signer": {"ORACLE_PRIVATE_KEY_HEX": KEY},
    "ton_provider_missing": {"TON_PROVIDER_URL": ""},
    "ton_provider_shape": {"TON_PROVIDER_URL": "toncenter.com"},
    "ton_provider_plaintext": {"TON_FALLBACK_URL": "http://provider.example/api/v2"},
    "ton_provider_testnet": {"TON_FALLBACK_URL": "https://TestNet.provider.example"},
    "ton_network_testnet": {"TON_NETWORK": "testnet"},
    "ton_api_key_missing": {"TON_API_KEY": ""},
    "claims_incomplete": {"TON_PROOF_DOMAINS": ""},
    "legacy_dispatch_enabled": {"ENABLE_LEGACY_PENDING_AIBA_DISPATCH": " True "},
    "legacy_dispatch_unclear": {"ENABLE_LEGACY_PENDING_AIBA_DISPATCH": "yes"},
    "legacy_key_set": {"ADMIN_MNEMONIC_FILE": "/run/secrets/mnemonic"},
    "dev_switch_on": {"AIBA_DEV_CHAIN_TIME": "on"},
    "store_not_replicated": {"MONGO_URI": ""},
    "store_tls_unchecked": {"MONGO_URI": f"{READY['MONGO_URI']}&tls=true&tlsInsecure=TRUE"},
    "store_on_one_machine": WITHOUT_MONGO,
    "data_dir_not_absolute": {**WITHOUT_MONGO, "AIBA_DATA_DIR": "./var"},
    "data_dir_not_durable": {**WITHOUT_MONGO, "AIBA_DATA_DIR": "/in/memory"},
    "data_dir_in_layer": {**WITHOUT_MONGO, "AIBA_DATA_DIR": "/in/layer"},
    "metrics_open": {"METRICS_ALLOW": "any"},
    "metrics_closed": {"METRICS_TOKEN": ""},
    "setting_invalid": {"PORT": "many"},
}
"""What makes each code appear, each change on READY.

`empty`, `exposed` and `in_group` are files of a test, `/in/memory` and `/in/layer` places of one.
"""

LIVE: Final = frozenset(
    (
        *("live_store_unreachable", "live_store_unfit", "live_store_few_members"),
        *("live_store_not_durable", "live_store_not_writable", "live_store_schema"),
        *("live_redis_unreachable", "live_signer_unreachable", "live_signer_not_ready"),
        *("live_ton_unreachable", "live_ton_oracle_key"),
    )
)
"""The codes that only asking brings up; `test_readiness_live` makes each appear."""
