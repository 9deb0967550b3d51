"""Settings: environment variables in, one frozen value out, or every fault named at once.

`forms` says what a value looks like, `readiness.checks` what production asks for beside that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from aiba_entry import forms
from aiba_entry.admin_settings import AdminSettings, load_admin
from aiba_entry.dev_secrets import DevSecretsUnusable, dev_secrets
from aiba_entry.edge_settings import EdgeSettings, load_edge
from aiba_entry.forms import AppEnv, Network, is_loopback
from aiba_entry.mongo_uri import is_mongo_uri, mongo_secrets
from aiba_entry.overlap import Overlap, load_overlap
from aiba_entry.readiness.checks import (
    STORE,
    STORES,
    is_judged_as_prod,
    judge_settings,
    weak_code,
)
from aiba_entry.redis_settings import RedisSettings, load_redis
from aiba_entry.ton_settings import TonSettings, load_ton
from aiba_entry.variables import SETTING_INVALID, Files, Variables, read_secret_file

__all__ = ["AppEnv", "Network", "Settings", "SettingsError", "load", "parse"]

BOT_API: Final = "https://api.telegram.org"
"""Where Telegram's own bot API is."""

HEADER_AUTH: Final = "AIBA_DEV_HEADER_AUTH"
"""The switch that lets callers name themselves."""

_MADE_UP: Final = ("TELEGRAM_BOT_TOKEN", "SESSION_SECRET", "BATTLE_SEED_SECRET")


class SettingsError(Exception):
    """The environment can't be run with; `problems` holds what is wrong, by variable.

    No text in it repeats the value of a secret.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        lines = "".join(f"\n- {name}: {text}" for name, text in sorted(problems.items()))
        super().__init__(f"the environment has {len(problems)} fault(s):{lines}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Everything the process is told from outside. Its repr shows no secret.

    Ages and lifetimes are in seconds, limits in hits a minute, `json_body_limit` in bytes.
    `dev_header_auth` lets a caller name themselves in a header; it is never true in prod or on an
    address that other machines reach. `init_data_max_age_s` 0 means no bound, which prod refuses.
    """

    app_env: AppEnv
    host: str
    port: int
    data_dir: Path
    mongo_uri: str | None
    json_body_limit: int
    cors_origins: tuple[str, ...]
    rate_limit_per_minute: int
    battle_rate_limit_per_minute: int
    telegram_bot_token: str
    init_data_max_age_s: int
    session_secret: str
    session_ttl_s: int
    battle_seed_secret: str
    seed_epoch_hours: int
    trusted_proxies: tuple[Network, ...]
    log_level: str
    public_base_url: str | None
    dev_header_auth: bool
    redis: RedisSettings | None
    ton: TonSettings | None
    admin: AdminSettings | None = None
    oracle_aiba_usd: Fraction | None = None
    telegram_notify: bool = False
    telegram_api_url: str = BOT_API
    ledger_audit_s: int = 10
    edge: EdgeSettings = field(default_factory=EdgeSettings)
    overlap: Overlap = field(default_factory=Overlap)

    @property
    def is_prod(self) -> bool:
        """Tell whether production's rules hold."""
        return self.app_env is AppEnv.PROD

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        used = (self.telegram_bot_token, self.session_secret, self.battle_seed_secret)
        own = (*used, *self.overlap.secrets)
        ton = self.ton.secrets if self.ton else ()
        redis = self.redis.secrets if self.redis else ()
        admin = self.admin.secrets if self.admin else ()
        return (*own, *ton, *mongo_secrets(self.mongo_uri), *redis, *admin, *self.edge.secrets)

    def __repr__(self) -> str:
        hidden = {"telegram_bot_token", "session_secret", "battle_seed_secret", "mongo_uri"}
        parts = (
            f"{each.name}={'[hidden]' if each.name in hidden else getattr(self, each.name)!r}"
            for each in fields(self)
        )
        return f"Settings({', '.join(parts)})"


def load(environ: Mapping[str, str], files: Files = read_secret_file) -> Settings:
    """Read the settings from `environ`, or raise SettingsError naming every faulty variable.

    Blank counts as absent. In dev and test, missing secrets are made once at random and kept in
    `dev-secrets.json` in the data directory; in prod they must be given, and what production asks
    for of these variables is judged too. A secret may be given as `NAME` or, in a file, as
    `NAME_FILE`, never both.
    """
    variables = Variables(environ, files)
    settings = parse(variables)
    if is_judged_as_prod(variables):
        problems = {name: noted.text for name, noted in variables.faults.items()}
        for finding in judge_settings(variables):
            for name in () if finding.warning else finding.variables:
                problems.setdefault(name, finding.text)
        if problems:
            raise SettingsError(problems)
        return settings
    if not variables.faults:
        settings = _with_dev_secrets(settings, variables)
    if variables.faults:
        raise SettingsError({name: noted.text for name, noted in variables.faults.items()})
    return settings


def parse(variables: Variables) -> Settings:
    """Read every setting, and note the faults among the variables' own.

    What is faulty has some harmless value, a missing secret is blank. Makes nothing, and asks for
    nothing that only production needs.
    """
    read, integer = variables.read, variables.integer
    app_env = _app_env(variables)
    host = variables.get("HOST") or "127.0.0.1"
    strict = app_env is None or app_env is AppEnv.PROD
    return Settings(
        app_env=app_env or AppEnv.PROD,
        host=host,
        port=integer("PORT", 5000, 0, 65_535),
        data_dir=Path(variables.get("AIBA_DATA_DIR") or "./var"),
        mongo_uri=_mongo_uri(variables),
        json_body_limit=read("JSON_BODY_LIMIT", forms.size) or 1024 * 1024,
        cors_origins=read("CORS_ORIGIN", forms.origins, "cors_origin_shape") or (),
        rate_limit_per_minute=integer("RATE_LIMIT_PER_MINUTE", 600, 1, 1_000_000),
        battle_rate_limit_per_minute=integer("BATTLE_RATE_LIMIT_PER_MINUTE", 25, 1, 1_000_000),
        telegram_bot_token=_bot_token(variables),
        init_data_max_age_s=forms.max_age_policy(
            variables.get("TELEGRAM_INITDATA_MAX_AGE_SECONDS")
        ),
        session_secret=_secret(variables, "SESSION_SECRET", "session_secret_weak"),
        session_ttl_s=integer("SESSION_TTL_SECONDS", 3600, 60, 86_400),
        battle_seed_secret=_secret(variables, "BATTLE_SEED_SECRET", "battle_seed_weak"),
        seed_epoch_hours=integer("SEED_EPOCH_HOURS", 24, 1, 24 * 366),
        trusted_proxies=read("TRUSTED_PROXIES", forms.networks) or (),
        log_level=read("LOG_LEVEL", forms.level) or "INFO",
        public_base_url=read("PUBLIC_BASE_URL", forms.base_url),
        dev_header_auth=_header_auth(variables, host),
        redis=load_redis(variables.secret, variables.get, variables.fault),
        ton=load_ton(variables, loopback=is_loopback(host)),
        oracle_aiba_usd=read("ORACLE_AIBA_USD", forms.price),
        ledger_audit_s=integer("LEDGER_AUDIT_SECONDS", 10, 0, 3_600),
        telegram_notify=read("TELEGRAM_NOTIFY", forms.boolean) or False,
        telegram_api_url=read("TELEGRAM_API_URL", forms.base_url) or BOT_API,
        edge=load_edge(variables, strict=strict),
        overlap=load_overlap(variables),
        admin=load_admin(
            variables.secret,
            variables.get,
            variables.fault,
            integer=integer,
            secret_fault=_secret_fault,
            strict=strict,
        ),
    )


def _app_env(variables: Variables) -> AppEnv | None:
    try:
        return forms.app_env(variables.exact("APP_ENV"))
    except ValueError as error:
        variables.fault("APP_ENV", str(error), "app_env_unknown")
        return None


def _mongo_uri(variables: Variables) -> str | None:
    uri = variables.secret("MONGO_URI")
    if uri is not None and not is_mongo_uri(uri):
        text = "must be a MongoDB URI that names a database: mongodb://host/aiba"
        variables.fault("MONGO_URI", text)
    store = variables.get(STORE)
    if store is not None and store not in STORES:
        variables.fault(STORE, f"must be one of {', '.join(STORES)}")
    elif store == "mongo" and not variables.given("MONGO_URI"):
        variables.fault(STORE, "is mongo, and there is no MONGO_URI")
    elif store == "sqlite" and variables.given("MONGO_URI"):
        variables.fault(STORE, "is sqlite, and MONGO_URI names another store")
    return uri


def _bot_token(variables: Variables) -> str:
    text = variables.secret("TELEGRAM_BOT_TOKEN")
    if text is None:
        return ""
    try:
        return forms.bot_token(text)
    except ValueError as error:
        variables.fault("TELEGRAM_BOT_TOKEN", str(error), "telegram_bot_token_shape")
        return ""


def _secret(variables: Variables, name: str, weak: str) -> str:
    text = variables.secret(name) or ""
    weakness = forms.weakness(text) if text else None
    if weakness is not None:
        variables.fault(name, forms.WEAK[weakness], weak_code(weakness, short=weak))
    return text


def _secret_fault(text: str) -> str | None:
    weakness = forms.weakness(text)
    return None if weakness is None else forms.WEAK[weakness]


def _header_auth(variables: Variables, host: str) -> bool:
    wanted = variables.read(HEADER_AUTH, forms.boolean) or False
    if wanted and not is_loopback(host):
        text = "lets callers name themselves; HOST must be a loopback address"
        variables.fault(HEADER_AUTH, text)
    return wanted


def _with_dev_secrets(settings: Settings, variables: Variables) -> Settings:
    """Put the secrets of this machine where none are given."""
    missing = [name for name in _MADE_UP if not variables.given(name)]
    if not missing:
        return settings
    try:
        made = dev_secrets(settings.data_dir)
    except DevSecretsUnusable as error:
        variables.fault("AIBA_DATA_DIR", str(error), SETTING_INVALID)
        return settings
    own = {
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token,
        "SESSION_SECRET": settings.session_secret,
        "BATTLE_SEED_SECRET": settings.battle_seed_secret,
    } | {name: made[name] for name in missing}
    return replace(
        settings,
        telegram_bot_token=own["TELEGRAM_BOT_TOKEN"],
        session_secret=own["SESSION_SECRET"],
        battle_seed_secret=own["BATTLE_SEED_SECRET"],
    )
