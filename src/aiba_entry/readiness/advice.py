"""Every code of the gate with its mend, in the order in which findings are told.

The codes are stable. Those of `REFERENCE` are what the service before reported, in its order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

READINESS_DOC: Final = "docs/configuration.md#readiness"
"""Where every code is explained."""

_RANDOM: Final = "openssl rand -hex 32"
_HASH: Final = "aiba admin hash-password"
_CONFIGURATION: Final = "docs/configuration.md"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set, a command that helps where there is one, and the document that says more."""

    mend: str
    command: str | None = None
    doc: str = READINESS_DOC


CODES: Final[Mapping[str, Advice]] = MappingProxyType(
    {
        "app_env_unknown": Advice("Set APP_ENV to dev, test or prod, in exactly these letters."),
        "cors_origin_missing": Advice(
            "Set CORS_ORIGIN to the game's own origins, such as https://game.example."
        ),
        "cors_origin_shape": Advice(
            "List exact origins with scheme and host, without path; * lets every site in."
        ),
        "cors_origin_plaintext": Advice("Serve the game by https and list that origin."),
        "telegram_bot_token_missing": Advice(
            "Set TELEGRAM_BOT_TOKEN or TELEGRAM_BOT_TOKEN_FILE to the token BotFather gave."
        ),
        "telegram_bot_token_shape": Advice("Copy the whole token from BotFather: 123456:text."),
        "telegram_api_plaintext": Advice("Reach the bot API by https, or on this machine."),
        "max_age_missing": Advice("Set TELEGRAM_INITDATA_MAX_AGE_SECONDS, such as 900."),
        "max_age_not_a_number": Advice("Write a number of seconds, such as 900."),
        "max_age_not_positive": Advice("Write a number of seconds above 0, such as 900."),
        "max_age_high": Advice("Keep launch data below a day; sessions outlive it anyway."),
        "session_secret_missing": Advice("Set SESSION_SECRET_FILE to a new secret.", _RANDOM),
        "session_secret_weak": Advice("Take 32 random characters or more.", _RANDOM),
        "jwt_missing": Advice("Set ADMIN_JWT_SECRET_FILE to a new secret.", _RANDOM),
        "jwt_weak": Advice("Take 32 random characters or more.", _RANDOM),
        "admin_email_missing": Advice("Set ADMIN_EMAIL to the first superadmin's address."),
        "admin_email_shape": Advice("Write one address, such as ops@game.example."),
        "admin_hash_missing": Advice(
            "Set ADMIN_PASSWORD_HASH_FILE to the password's bcrypt hash.", _HASH
        ),
        "admin_hash_shape": Advice(
            "Give the bcrypt hash of the password, never the password.", _HASH
        ),
        "admin_hash_cheap": Advice("Hash the password again.", _HASH),
        "admin_password_set": Advice("Unset ADMIN_PASSWORD; keep only the hash."),
        "battle_seed_missing": Advice("Set BATTLE_SEED_SECRET_FILE to a new secret.", _RANDOM),
        "battle_seed_weak": Advice("Take 32 random characters or more.", _RANDOM),
        "secret_repeated": Advice("Take a random secret.", _RANDOM),
        "secret_placeholder": Advice("Take a random secret, not one from an example.", _RANDOM),
        "secret_guessable": Advice("Take a random secret.", _RANDOM),
        "secret_reused": Advice("Make a secret of its own for each purpose.", _RANDOM),
        "secret_given_twice": Advice("Keep either NAME or NAME_FILE and unset the other."),
        "secret_file_unreadable": Advice(
            "Mount the file where the process can read it, as UTF-8 text.", "namei -l PATH"
        ),
        "secret_file_empty": Advice("Write the secret into the file."),
        "secret_file_exposed": Advice(
            "Take the file from everybody but its owner and group.", "chmod o= PATH"
        ),
        "secret_file_in_group": Advice(
            "Leave the file to its owner alone, unless the process reads it by that group.",
            "chmod 0400 PATH",
        ),
        "vault_incomplete": Advice(
            "Set vault, jetton master and key or signer together, or none of them.",
            doc="docs/withdrawals.md",
        ),
        "oracle_key_shape": Advice(
            "The key is 64 hex digits; better keep it in the signer.", doc="docs/signer.md"
        ),
        "signer_url_shape": Advice(
            "Write https://host/sign, http://127.0.0.1:8090/sign or unix:/run/signer/signer.sock.",
            doc="docs/signer.md",
        ),
        "signer_url_plaintext": Advice(
            "Reach the signer by https: or unix:, so that its token stays secret.",
            doc="docs/signer.md",
        ),
        "oracle_key_and_signer": Advice(
            "Unset ORACLE_PRIVATE_KEY_HEX: with a signer the key is in the signer alone.",
            doc="docs/signer.md",
        ),
        "ton_provider_missing": Advice("Set TON_PROVIDER_URL to a provider of the main network."),
        "ton_provider_shape": Advice(
            "Write the provider's base URL, without user or query: the key is TON_API_KEY."
        ),
        "ton_provider_plaintext": Advice("Reach the provider by https, or on this machine."),
        "ton_provider_testnet": Advice(
            "Name a provider of the main network, such as https://toncenter.com/api/v2/jsonRPC."
        ),
        "ton_network_testnet": Advice("Set TON_NETWORK to mainnet, or unset it."),
        "ton_api_key_missing": Advice("Get a key from the provider and set TON_API_KEY_FILE."),
        "claims_incomplete": Advice(
            "Set everything that withdrawals need, or none of it.", doc="docs/withdrawals.md"
        ),
        "legacy_dispatch_enabled": Advice(
            "Unset ENABLE_LEGACY_PENDING_AIBA_DISPATCH; players claim instead.",
            doc="docs/withdrawals.md",
        ),
        "legacy_dispatch_unclear": Advice("Unset ENABLE_LEGACY_PENDING_AIBA_DISPATCH."),
        "legacy_key_set": Advice("Unset it, and move what the wallet holds if others saw it."),
        "dev_switch_on": Advice("Unset it."),
        "store_not_replicated": Advice(
            "Set MONGO_URI to a replica set, or accept one machine by AIBA_STORE=sqlite.",
            doc="docs/mongodb.md",
        ),
        "store_tls_unchecked": Advice(
            "Take the option out of MONGO_URI; name the authority by tlsCAFile instead.",
            doc="docs/mongodb.md",
        ),
        "store_on_one_machine": Advice(
            "Take backups to another machine, and rehearse the restore.",
            "aiba drill",
            doc="docs/backup.md",
        ),
        "data_dir_not_absolute": Advice("Set AIBA_DATA_DIR to an absolute path."),
        "data_dir_not_durable": Advice(
            "Put AIBA_DATA_DIR on a disk that keeps its files.", "findmnt --target PATH"
        ),
        "data_dir_in_layer": Advice(
            "Mount a volume at AIBA_DATA_DIR.", "findmnt --target PATH", doc="docs/deploy.md"
        ),
        "data_file_exposed": Advice(
            "Take the database from everybody but its owner: it holds admins' password hashes.",
            "chmod o= PATH/aiba.db*",
        ),
        "metrics_open": Advice(
            "List the scraper's addresses in METRICS_ALLOW, or set METRICS_TOKEN."
        ),
        "metrics_closed": Advice(
            "Set METRICS_TOKEN_FILE to a new secret, and give it to Prometheus.", _RANDOM
        ),
        "setting_invalid": Advice("Write the variable as documented.", doc=_CONFIGURATION),
        "signer_setting_invalid": Advice(
            "Write the signer's variable as documented.", doc="docs/signer.md"
        ),
        "live_not_asked": Advice("Mend the settings first, then ask again."),
        "live_store_unreachable": Advice(
            "Start the database, open its port to this machine, and check the URI's user.",
            "aiba mongo check",
            doc="docs/mongodb.md",
        ),
        "live_store_unfit": Advice(
            "Make what is missing; a standalone server has to become a replica set.",
            "aiba mongo init",
            doc="docs/mongodb.md",
        ),
        "live_store_few_members": Advice(
            "Give the replica set three members, so that it survives the loss of one.",
            doc="docs/mongodb.md",
        ),
        "live_store_not_durable": Advice(
            "Put AIBA_DATA_DIR on a disk that keeps its files: this one is in memory."
        ),
        "live_store_not_writable": Advice("Give the process the directory.", "namei -l PATH"),
        "live_store_schema": Advice(
            "Bring the store to this build's schema, or start it and let it.",
            "aiba migrate --dry-run",
            doc="docs/backup.md",
        ),
        "live_redis_unreachable": Advice(
            "Start Redis, or unset REDIS_URL where one process serves alone.",
            doc="docs/scaling.md",
        ),
        "live_signer_unreachable": Advice(
            "Start the signer, and check ORACLE_SIGNER_URL and its TLS files.",
            "aiba signer serve",
            doc="docs/signer.md",
        ),
        "live_signer_not_ready": Advice(
            "Ask the signer's own /ready and log why it signs nothing.",
            "aiba signer status",
            doc="docs/signer.md",
        ),
        "live_ton_unreachable": Advice(
            "Check TON_PROVIDER_URL and TON_API_KEY, and name a TON_FALLBACK_URL.",
            doc="docs/withdrawals.md",
        ),
        "live_ton_oracle_key": Advice(
            "Use the key that the vault believes, or let its owner name this one.",
            "aiba signer public-key",
            doc="docs/runbook/rotate-oracle-key.md",
        ),
    }
)
"""What there is to find, in the order in which it is told."""

REFERENCE_ERRORS: Final = (
    "cors_origin_missing",
    "telegram_bot_token_missing",
    "max_age_missing",
    "max_age_not_positive",
    "jwt_missing",
    "jwt_weak",
    "admin_email_missing",
    "admin_hash_missing",
    "battle_seed_missing",
    "battle_seed_weak",
    "vault_incomplete",
    "oracle_key_shape",
    "signer_url_shape",
    "ton_provider_missing",
    "ton_provider_testnet",
    "legacy_dispatch_enabled",
)
"""The errors that the service before knew, in its order."""

REFERENCE_WARNINGS: Final = ("max_age_high", "admin_password_set", "ton_api_key_missing")
"""Its warnings. A password in clear text is an error here."""
