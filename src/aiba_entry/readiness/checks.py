"""What production asks of the variables, beside that each can be read.

Each check looks at the variables alone and yields what is wrong. What a value must look like is
judged where it is read; a variable with such a fault isn't judged here a second time.
"""

import contextlib
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiba_adapters.signing.local import KEY_VARIABLE
from aiba_entry import admin_settings, forms, signer_access, ton_settings
from aiba_entry.disks import DATABASE, IN_LAYERS, IN_MEMORY
from aiba_entry.edge_settings import ANYONE, METRICS
from aiba_entry.forms import AppEnv, Weakness
from aiba_entry.mongo_uri import mongo_secrets
from aiba_entry.readiness.findings import Finding
from aiba_entry.redis_settings import url_password
from aiba_entry.secret_files import Reach, reach_of
from aiba_entry.variables import SECRETS, Variables

STORE: Final = "AIBA_STORE"
"""The variable that says which store is meant."""

STORES: Final = ("mongo", "sqlite")
"""What it can say. Production takes the embedded store only where it is named."""

DEV_SWITCH: Final = "AIBA_DEV_"
"""How the names of all developers' switches begin."""

LEFTOVERS: Final = ("ADMIN_MNEMONIC", "ADMIN_PRIVATE_KEY")
"""Keys of the hourly sender of the service before. Nothing here reads them."""

MAX_AGE: Final = "TELEGRAM_INITDATA_MAX_AGE_SECONDS"
DAY_S: Final = 86_400
_PAIR: Final = ("ARENA_VAULT_ADDRESS", "AIBA_JETTON_MASTER")
_SHORTEST_SHARED: Final = 8
_REQUIRED: Final = "is required in prod"
_UNCHECKED: Final = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
_OTHER_NETWORKS: Final = ("testnet", "sandbox")

Check = Callable[[Variables], Iterator[Finding]]


def is_judged_as_prod(variables: Variables) -> bool:
    """Tell whether production's rules apply: also where `APP_ENV` is none of the three names."""
    return variables.exact("APP_ENV") not in (AppEnv.DEV.value, AppEnv.TEST.value)


def judge_settings(variables: Variables) -> list[Finding]:
    """Return what production misses in the settings that every command needs."""
    return [finding for check in SETTINGS_CHECKS for finding in check(variables)]


def judge_service(variables: Variables) -> list[Finding]:
    """Return what production misses beside that, before it may serve."""
    return [finding for check in SERVICE_CHECKS for finding in check(variables)]


def weak_code(weakness: Weakness, *, short: str) -> str:
    """Return the code of a weak secret; a short one has a code for each variable."""
    return short if weakness is Weakness.SHORT else f"secret_{weakness}"


def _found(code: str, name: str, text: str) -> Finding:
    return Finding(code=code, variables=(name,), text=text)


def _warned(code: str, name: str, text: str) -> Finding:
    return Finding(code=code, variables=(name,), text=text, warning=True)


def _cors(variables: Variables) -> Iterator[Finding]:
    text = variables.get("CORS_ORIGIN")
    if text is None:
        yield _found("cors_origin_missing", "CORS_ORIGIN", _REQUIRED)
    elif "http://" in text.lower():
        text = "must be https in prod: a page that came in clear text can be anybody's"
        yield _found("cors_origin_plaintext", "CORS_ORIGIN", text)


def _telegram(variables: Variables) -> Iterator[Finding]:
    if not variables.given("TELEGRAM_BOT_TOKEN"):
        yield _found("telegram_bot_token_missing", "TELEGRAM_BOT_TOKEN", _REQUIRED)
    for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN_PREVIOUS"):
        token = variables.secret(name)
        if token is not None and forms.is_short_bot_token(token):
            yield _found("telegram_bot_token_shape", name, "is too short for a bot token")
    if _is_plaintext(variables, "TELEGRAM_API_URL"):
        text = "must be https in prod, or on this machine: the bot's token is in every request"
        yield _found("telegram_api_plaintext", "TELEGRAM_API_URL", text)


def _max_age(variables: Variables) -> Iterator[Finding]:
    text = variables.get(MAX_AGE)
    if text is None:
        yield _found("max_age_missing", MAX_AGE, _REQUIRED)
    elif forms.number(text) is None:
        yield _found("max_age_not_a_number", MAX_AGE, "must be a number of seconds above 0 in prod")
    elif (age_s := forms.max_age_policy(text)) == 0:
        yield _found("max_age_not_positive", MAX_AGE, "must be a number of seconds above 0 in prod")
    elif age_s > DAY_S:
        yield _warned("max_age_high", MAX_AGE, "lets launch data in that is older than a day")


def _keys(variables: Variables) -> Iterator[Finding]:
    for name, code in (
        ("SESSION_SECRET", "session_secret_missing"),
        ("BATTLE_SEED_SECRET", "battle_seed_missing"),
    ):
        if not variables.given(name):
            yield _found(code, name, _REQUIRED)


def _admin(variables: Variables) -> Iterator[Finding]:
    for name in ("ADMIN_JWT_SECRET", "ADMIN_JWT_SECRET_NEXT", "ADMIN_JWT_SECRET_PREVIOUS"):
        text = variables.secret(name)
        weakness = forms.weakness(text) if text is not None else None
        if name == "ADMIN_JWT_SECRET" and not variables.given(name):
            yield _found("jwt_missing", name, _REQUIRED)
        elif weakness is not None:
            yield _found(weak_code(weakness, short="jwt_weak"), name, forms.WEAK[weakness])
    email = variables.get("ADMIN_EMAIL")
    if email is None:
        yield _found("admin_email_missing", "ADMIN_EMAIL", _REQUIRED)
    elif not admin_settings.is_email(email):
        yield _found("admin_email_shape", "ADMIN_EMAIL", "must be an e-mail address")


def _admin_password(variables: Variables) -> Iterator[Finding]:
    name = "ADMIN_PASSWORD_HASH"
    text = variables.secret(name)
    if not variables.given(name):
        yield _found("admin_hash_missing", name, _REQUIRED)
    elif text is not None:
        shape = admin_settings.hash_fault(text, strict=False)
        cheap = admin_settings.hash_fault(text, strict=True)
        if shape is not None:
            yield _found("admin_hash_shape", name, shape)
        elif cheap is not None:
            yield _found("admin_hash_cheap", name, cheap)
    for given in variables.given("ADMIN_PASSWORD"):
        text = "is a password in clear text, which nothing here reads"
        yield _found("admin_password_set", given, text)


def _vault(variables: Variables) -> Iterator[Finding]:
    """Judge as the service before did: vault, jetton and key or signer, all of them or none."""
    if not _has_vault(variables):
        return
    missing = [name for name in _PAIR if variables.get(name) is None]
    if not variables.given(KEY_VARIABLE) and variables.get(signer_access.URL) is None:
        missing.append(KEY_VARIABLE)
    if missing:
        text = f"withdrawals are configured in part: {', '.join(missing)} missing"
        yield Finding(code="vault_incomplete", variables=tuple(missing), text=text)
    provider = variables.get("TON_PROVIDER_URL")
    if provider is None:
        text = "is required where withdrawals are configured"
        yield _found("ton_provider_missing", "TON_PROVIDER_URL", text)
    for name in ("TON_PROVIDER_URL", "TON_FALLBACK_URL"):
        if any(word in (variables.get(name) or "").lower() for word in _OTHER_NETWORKS):
            text = "must be a provider of the main network in prod"
            yield _found("ton_provider_testnet", name, text)
    if not variables.given("TON_API_KEY"):
        text = "is missing: without a key the provider answers once a second"
        yield _warned("ton_api_key_missing", "TON_API_KEY", text)


def _has_vault(variables: Variables) -> bool:
    """Tell whether the service before would have opened withdrawals."""
    return bool(variables.given(KEY_VARIABLE) or any(map(variables.get, _PAIR)))


def _claims(variables: Variables) -> Iterator[Finding]:
    """Judge what withdrawals need here beside that, also where only a part of it is there."""
    if not ton_settings.is_wanted(variables):
        return
    missing = [name for name in ton_settings.NEEDED if variables.get(name) is None]
    url = variables.get(signer_access.URL)
    if not variables.given(KEY_VARIABLE) and url is None:
        missing.append(KEY_VARIABLE)
    if _has_vault(variables):
        missing = [name for name in missing if name == "TON_PROOF_DOMAINS"]
    if url is not None and not variables.given(signer_access.TOKEN):
        missing.append(signer_access.TOKEN)
    if missing:
        text = f"withdrawals need {', '.join(missing)} too: all of it or none"
        yield Finding(code="claims_incomplete", variables=tuple(missing), text=text)
    for name in ("TON_PROVIDER_URL", "TON_FALLBACK_URL"):
        if _is_plaintext(variables, name):
            text = "must be https in prod: whoever is on the way could make payments up"
            yield _found("ton_provider_plaintext", name, text)
    if variables.get("TON_NETWORK") == "testnet":
        yield _found("ton_network_testnet", "TON_NETWORK", "must be mainnet in prod")


def _signer(variables: Variables) -> Iterator[Finding]:
    if _is_plaintext(variables, signer_access.URL):
        text = "must be https or unix: in prod, so that nobody reads the token"
        yield _found("signer_url_plaintext", signer_access.URL, text)


def _is_plaintext(variables: Variables, name: str) -> bool:
    """Tell whether a URL that can be read leads to another machine without TLS."""
    url = variables.get(name) or ""
    if name in variables.faults or not url.lower().startswith("http:"):
        return False
    return not forms.is_loopback(urlsplit(url).hostname or "")


def _switches(variables: Variables) -> Iterator[Finding]:
    for name in variables.names():
        text = (variables.get(name) or "").lower()
        if name.startswith(DEV_SWITCH) and text and text not in forms.FALSE:
            text = "is a switch for developers; only APP_ENV dev or test may set it"
            yield _found("dev_switch_on", name, text)


def _legacy(variables: Variables) -> Iterator[Finding]:
    name = ton_settings.LEGACY_DISPATCH
    word = (variables.get(name) or "false").lower()
    if word == "true":
        text = "asks for payouts that don't exist here; claims took their place"
        yield _found("legacy_dispatch_enabled", name, text)
    elif word not in forms.FALSE:
        yield _found("legacy_dispatch_unclear", name, "is neither true nor false")


def _leftovers(variables: Variables) -> Iterator[Finding]:
    for secret in LEFTOVERS:
        for name in variables.given(secret):
            text = "is a wallet's key of the service before, which nothing here reads"
            yield _found("legacy_key_set", name, text)


def _reuse(variables: Variables) -> Iterator[Finding]:
    """Find a secret that is another one, or stands in another one."""
    values = {name: value.casefold() for name, value in _values(variables) if value}
    for (one, first), (other, second) in combinations(values.items(), 2):
        shorter, longer = sorted((first, second), key=len)
        if (len(shorter) >= _SHORTEST_SHARED and shorter in longer) or first == second:
            names = (one, other)
            text = "one secret for one purpose: these two share a value"
            yield Finding(code="secret_reused", variables=names, text=text)


def _values(variables: Variables) -> Iterator[tuple[str, str]]:
    """Yield each secret's value by its variable; of a URL, the password in it."""
    for name in SECRETS:
        text = variables.secret(name)
        if text is None:
            continue
        if name == "MONGO_URI":
            text = next(reversed(mongo_secrets(text)[1:]), "")
        elif name == "REDIS_URL":
            text = url_password(text) or ""
        yield name, text


def _exposed(variables: Variables) -> Iterator[Finding]:
    for name in SECRETS:
        variables.secret(name)
    variables.look_at(signer_access.KEY)
    for name in variables.exposed:
        text = "the file can be read or written by everybody on this machine"
        yield _found("secret_file_exposed", name, text)
    for name in variables.in_group:
        text = "the file can be read or written by a group, which this process doesn't need"
        yield _warned("secret_file_in_group", name, text)


def _store(variables: Variables) -> Iterator[Finding]:
    uri = variables.secret("MONGO_URI")
    if uri is not None:
        options = {key.lower(): word.lower() for key, word in parse_qsl(uri.partition("?")[2])}
        if options.get("directconnection") == "true":
            text = "directConnection=true talks to one server and follows no other primary"
            yield _found("store_not_replicated", "MONGO_URI", text)
        if any(options.get(name) == "true" for name in _UNCHECKED):
            text = "has an option by which TLS is believed to whoever answers"
            yield _found("store_tls_unchecked", "MONGO_URI", text)
    elif variables.given("MONGO_URI"):
        return
    elif variables.get(STORE) != "sqlite":
        text = f"is required in prod, a replica set; {STORE}=sqlite accepts one machine's disk"
        yield _found("store_not_replicated", "MONGO_URI", text)
    else:
        text = "keeps everything on one machine's disk: what is lost with it is in no replica"
        yield _warned("store_on_one_machine", STORE, text)
        yield from _data_dir(variables)


def _data_dir(variables: Variables) -> Iterator[Finding]:
    """Judge where the embedded store keeps its files."""
    path = variables.get("AIBA_DATA_DIR") or ""
    if not path.startswith("/"):
        text = "must be an absolute path, or another working directory means another database"
        yield _found("data_dir_not_absolute", "AIBA_DATA_DIR", text)
        return
    kind = variables.disks(path)
    if kind in IN_MEMORY:
        text = f"is kept in memory ({kind}): all money is gone after a restart"
        yield _found("data_dir_not_durable", "AIBA_DATA_DIR", text)
    elif kind in IN_LAYERS:
        text = f"is in a container's own layer ({kind}): it goes with the container"
        yield _warned("data_dir_in_layer", "AIBA_DATA_DIR", text)
    with contextlib.suppress(OSError, ValueError):
        if reach_of(Path(path) / DATABASE) is Reach.EVERYBODY:
            text = "has a database that everybody on this machine can read or write"
            yield _warned("data_file_exposed", "AIBA_DATA_DIR", text)


def _pages(variables: Variables) -> Iterator[Finding]:
    """Tell where nobody can read the metrics, and where everybody can."""
    token, allow = f"{METRICS}_TOKEN", f"{METRICS}_ALLOW"
    who = variables.get(allow)
    if who == ANYONE:
        yield _warned("metrics_open", allow, "shows the metrics to everybody who can call")
    elif who is None and not variables.given(token):
        text = "is missing, and so is METRICS_ALLOW: nobody can read the metrics"
        yield _warned("metrics_closed", token, text)


SETTINGS_CHECKS: Final[tuple[Check, ...]] = (
    _cors,
    _telegram,
    _max_age,
    _keys,
    _vault,
    _claims,
    _signer,
    _switches,
    _legacy,
    _reuse,
)
"""What every command in production holds to."""

SERVICE_CHECKS: Final[tuple[Check, ...]] = (
    _admin,
    _admin_password,
    _leftovers,
    _exposed,
    _store,
    _pages,
)
"""What the service holds to beside that."""
