"""Settings: environment variables in, one frozen value out, or every fault named at once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from aiba_entry.admin_settings import AdminSettings, load_admin
from aiba_entry.dev_secrets import DevSecretsUnusable, dev_secrets
from aiba_entry.mongo_uri import is_mongo_uri, mongo_secrets
from aiba_entry.redis_settings import RedisSettings, load_redis
from aiba_entry.ton_settings import TonSettings, load_ton

T = TypeVar("T")
Network = IPv4Network | IPv6Network

DEFAULT_INIT_DATA_MAX_AGE_S: Final = 900
MIN_SECRET_LENGTH: Final = 32
_MIN_DISTINCT: Final = 8
_MIN_PROD_BOT_TOKEN: Final = 20
_PLACEHOLDERS: Final = ("change-me", "changeme", "dev-secret")
_BOT_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(b|kb|mb)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "kb": 1024, "mb": 1024 * 1024}
_MIN_BODY: Final = 1024
_MAX_BODY: Final = 64 * 1024 * 1024
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]*)?")
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")


class AppEnv(StrEnum):
    """Which rules the process runs under; no other text is read as one of them."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


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

    @property
    def is_prod(self) -> bool:
        """Tell whether production's rules hold."""
        return self.app_env is AppEnv.PROD

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        own = (self.telegram_bot_token, self.session_secret, self.battle_seed_secret)
        ton = self.ton.secrets if self.ton else ()
        redis = self.redis.secrets if self.redis else ()
        admin = self.admin.secrets if self.admin else ()
        return (*own, *ton, *mongo_secrets(self.mongo_uri), *redis, *admin)

    def __repr__(self) -> str:
        hidden = {"telegram_bot_token", "session_secret", "battle_seed_secret", "mongo_uri"}
        parts = (
            f"{field.name}={'[hidden]' if field.name in hidden else getattr(self, field.name)!r}"
            for field in fields(self)
        )
        return f"Settings({', '.join(parts)})"


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`, or raise SettingsError naming every faulty variable.

    Blank counts as absent. In dev and test, missing secrets are made once at random and kept in
    `dev-secrets.json` in the data directory; in prod they must be given. A secret may be given as
    `NAME` or, in a file, as `NAME_FILE`, never both.
    """
    env = _Environment(environ)
    app_env = env.read("APP_ENV", _app_env, required="must be dev, test or prod; it is not set")
    prod = app_env is AppEnv.PROD
    host = env.get("HOST") or "127.0.0.1"
    data_dir = Path(env.get("AIBA_DATA_DIR") or "./var")
    mongo_uri = env.secret("MONGO_URI")
    if mongo_uri is not None and not is_mongo_uri(mongo_uri):
        env.fault("MONGO_URI", "must be a MongoDB URI that names a database: mongodb://host/aiba")
    # prod refuses what is only faulty there, so an unknown APP_ENV is judged as prod too.
    strict = app_env in (None, AppEnv.PROD)
    required = "is required in prod" if prod else None
    secrets = _secrets(env, data_dir, strict=strict, generate=app_env is not None and not prod)
    settings = Settings(
        app_env=app_env or AppEnv.PROD,
        host=host,
        port=env.integer("PORT", 5000, 0, 65_535),
        data_dir=data_dir,
        mongo_uri=mongo_uri,
        json_body_limit=env.read("JSON_BODY_LIMIT", _size) or 1024 * 1024,
        cors_origins=env.read("CORS_ORIGIN", _origins, required=required) or (),
        rate_limit_per_minute=env.integer("RATE_LIMIT_PER_MINUTE", 600, 1, 1_000_000),
        battle_rate_limit_per_minute=env.integer("BATTLE_RATE_LIMIT_PER_MINUTE", 25, 1, 1_000_000),
        telegram_bot_token=secrets["TELEGRAM_BOT_TOKEN"],
        init_data_max_age_s=_init_data_max_age(env, prod=prod),
        session_secret=secrets["SESSION_SECRET"],
        session_ttl_s=env.integer("SESSION_TTL_SECONDS", 3600, 60, 86_400),
        battle_seed_secret=secrets["BATTLE_SEED_SECRET"],
        seed_epoch_hours=env.integer("SEED_EPOCH_HOURS", 24, 1, 24 * 366),
        trusted_proxies=env.read("TRUSTED_PROXIES", _networks) or (),
        log_level=env.read("LOG_LEVEL", _level) or "INFO",
        public_base_url=env.read("PUBLIC_BASE_URL", _base_url),
        dev_header_auth=_header_auth(env, app_env, host),
        redis=load_redis(env.secret, env.get, env.fault),
        ton=load_ton(environ, env.fault, prod=strict, loopback=is_loopback(host)),
        admin=load_admin(
            env.secret,
            env.get,
            env.fault,
            integer=env.integer,
            secret_fault=_secret_fault,
            strict=strict,
        ),
    )
    if env.problems:
        raise SettingsError(env.problems)
    return settings


def max_age_policy(text: str | None) -> int:
    """Return the initData age in seconds that a configured text stands for.

    Absent or no number is 900, negative is 0, a fraction is cut off.
    """
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return DEFAULT_INIT_DATA_MAX_AGE_S
    return max(0, int(float(text)))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Environment:
    """Reads variables and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: dict[str, str] = {}

    def fault(self, name: str, text: str) -> None:
        self.problems.setdefault(name, text)

    def get(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def read(self, name: str, parse: Callable[[str], T], required: str | None = None) -> T | None:
        text = self.get(name)
        if text is None:
            if required is not None:
                self.fault(name, required)
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.fault(name, str(error))
            return None

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        def parse(text: str) -> int:
            value = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else -1
            if not least <= value <= most:
                raise ValueError(f"must be a whole number from {least} to {most}")
            return value

        value = self.read(name, parse)
        return default if value is None else value

    def secret(self, name: str) -> str | None:
        path = self.get(f"{name}_FILE")
        if path is None:
            return self.get(name)
        if self.get(name) is not None:
            self.fault(name, f"is given twice: {name} and {name}_FILE")
            return None
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.fault(f"{name}_FILE", "the file can't be read as UTF-8 text")
            return None
        if not text:
            self.fault(f"{name}_FILE", "the file is empty")
        return text or None


def _secrets(
    env: _Environment, data_dir: Path, *, strict: bool, generate: bool
) -> Mapping[str, str]:
    checks: Mapping[str, Callable[[str], str | None]] = {
        "TELEGRAM_BOT_TOKEN": lambda text: _bot_token_fault(text, strict=strict),
        "SESSION_SECRET": _secret_fault,
        "BATTLE_SEED_SECRET": _secret_fault,
    }
    found: dict[str, str] = {}
    missing: list[str] = []
    for name, fault_of in checks.items():
        text = env.secret(name)
        if text is None:
            missing.append(name)
        elif (fault := fault_of(text)) is not None:
            env.fault(name, fault)
        else:
            found[name] = text
    if len({*found.values()}) != len(found):
        env.fault("SESSION_SECRET", "must differ from the other secrets")
    made = _made_up(env, data_dir) if generate and missing else {}
    for name in missing:
        if not generate and f"{name}_FILE" not in env.problems:
            env.fault(name, "is required in prod")
    return {name: found.get(name) or made.get(name, "") for name in checks}


def _made_up(env: _Environment, data_dir: Path) -> Mapping[str, str]:
    try:
        return dev_secrets(data_dir)
    except DevSecretsUnusable as error:
        env.fault("AIBA_DATA_DIR", str(error))
        return {}


def _secret_fault(text: str) -> str | None:
    if len(text) < MIN_SECRET_LENGTH:
        return f"must have at least {MIN_SECRET_LENGTH} characters"
    if len(set(text)) < _MIN_DISTINCT or any(word in text.lower() for word in _PLACEHOLDERS):
        return "is a placeholder, not a secret"
    return None


def _bot_token_fault(text: str, *, strict: bool) -> str | None:
    if not _BOT_TOKEN.fullmatch(text):
        return "must look like 123456:text, as BotFather gives it"
    if strict and len(text) < _MIN_PROD_BOT_TOKEN:
        return "is too short for a bot token"
    return None


def _app_env(text: str) -> AppEnv:
    try:
        return AppEnv(text)
    except ValueError:
        raise ValueError("must be exactly dev, test or prod") from None


def _init_data_max_age(env: _Environment, *, prod: bool) -> int:
    name = "TELEGRAM_INITDATA_MAX_AGE_SECONDS"
    text = env.get(name)
    max_age_s = max_age_policy(text)
    if prod and text is None:
        env.fault(name, "is required in prod")
    elif prod and (max_age_s == 0 or not _NUMBER.fullmatch(text or "")):
        env.fault(name, "must be a number of seconds above 0 in prod")
    return max_age_s


def _header_auth(env: _Environment, app_env: AppEnv | None, host: str) -> bool:
    name = "AIBA_DEV_HEADER_AUTH"
    wanted = env.read(name, _boolean) or False
    if wanted and app_env not in (AppEnv.DEV, AppEnv.TEST):
        env.fault(name, "lets callers name themselves; only APP_ENV dev or test may set it")
    elif wanted and not is_loopback(host):
        env.fault(name, "lets callers name themselves; HOST must be a loopback address")
    return wanted


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("must be true or false")


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0
    if not _MIN_BODY <= size <= _MAX_BODY:
        raise ValueError("must be a size from 1kb to 64mb, such as 1mb or 500kb")
    return size


def _items(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(item.lower() for item in _items(text))
    for origin in origins:
        parts = urlsplit(origin)
        exact = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("http", "https") or not parts.hostname or exact != origin:
            raise ValueError("must be a comma list of origins such as https://game.example")
    return origins


def _networks(text: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for item in _items(text):
        try:
            network = ip_network(item)
        except ValueError:
            raise ValueError("must be a comma list of addresses or networks") from None
        if network.prefixlen == 0:
            raise ValueError("a network of all addresses would trust every caller")
        networks.append(network)
    return tuple(networks)


def _level(text: str) -> str:
    level = {"WARN": "WARNING"}.get(text.upper(), text.upper())
    if level not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}")
    return level


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https URL without query")
    return text.rstrip("/")
