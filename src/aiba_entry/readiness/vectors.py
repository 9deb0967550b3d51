"""The golden cases of readiness: what the service before reported, and where this gate is stricter.

An environment of a case says nothing of what only this service needs (sessions, the store, proof
domains); so the codes compared are those that both know, and those by which this gate refuses what
the service before let pass.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from aiba_entry.readiness.advice import REFERENCE_ERRORS, REFERENCE_WARNINGS
from aiba_entry.readiness.judgment import judge

STRICTER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cors_origin_shape": "not a list of exact origins",
        "cors_origin_plaintext": "an origin without TLS",
        "telegram_bot_token_shape": "not a bot's token",
        "max_age_not_a_number": "not a number",
        "admin_email_shape": "not an e-mail address",
        "admin_hash_shape": "not a bcrypt hash",
        "admin_hash_cheap": "a bcrypt hash of little cost",
        "admin_password_set": "a password in clear text is refused, not only warned of",
        "secret_repeated": "one repeated character",
        "secret_placeholder": "a text from an example",
        "secret_reused": "one secret for two purposes",
        "ton_provider_shape": "not a provider's URL",
        "ton_provider_plaintext": "a provider without TLS",
        "signer_url_shape": "a signer's URL is judged wherever it is set",
        "signer_url_plaintext": "the signer's token would go in clear text",
        "oracle_key_and_signer": "the key is in two places",
        "legacy_dispatch_unclear": "neither true nor false",
    }
)
"""What this gate refuses beside what the service before did, and why."""

_FORMS: Final = frozenset(
    (
        *("cors_origin_shape", "signer_url_shape", "oracle_key_shape", "oracle_key_and_signer"),
        *("admin_password_set", "battle_seed_weak", "secret_repeated"),
        *("secret_placeholder", "telegram_bot_token_shape", "ton_provider_shape"),
    )
)
"""Faulty values, which are refused in every environment."""

Found = Mapping[str, Any]


def run(given: Mapping[str, Any]) -> dict[str, object]:
    """Judge a case's environment; one with an unknown `APP_ENV` also as each of what it might be.

    The answer holds under `strict` what this gate refuses beside the service before.
    """
    environ = {name: text for name, text in given["env"].items() if text is not None}
    found = _judged(environ)
    if not found["known"]:
        found |= {each: _judged({**environ, "APP_ENV": each}) for each in ("prod", "dev")}
    return found


def _judged(environ: Mapping[str, str]) -> dict[str, object]:
    readiness = judge(environ)
    errors = [finding.code for finding in readiness.errors]
    codes = [*errors, *(finding.code for finding in readiness.warnings)]
    old = [code for code in errors if code in REFERENCE_ERRORS]
    return {
        "known": "app_env_unknown" not in errors,
        "ok": not old,
        "prod": readiness.prod,
        "error_codes": old,
        "warning_codes": [code for code in REFERENCE_WARNINGS if code in codes],
        "strict": [code for code in errors if code in STRICTER and code not in REFERENCE_ERRORS],
    }


def agrees(case: Mapping[str, Any], found: Found) -> bool:
    """Tell whether the gate says exactly what the service before said, and nothing beside it."""
    if not found["known"] or found["strict"] or case.get("secure_ok") is False:
        return False
    warnings = found["warning_codes"] if found["ok"] else None
    answer = {name: found[name] for name in ("ok", "prod", "error_codes")}
    return bool({**answer, "warning_codes": warnings} == dict(case["out"]))


def decide(case: Mapping[str, Any], found: Found | None) -> str:
    """Say why the gate refuses what the service before let pass, or blank if it mustn't."""
    if found is None or case["class"] == "good":
        return ""
    if found["known"]:
        return _why(case, found)
    inner = found["prod" if case["out"]["prod"] else "dev"]
    reason = _why(case, inner)
    if not reason and not agrees(case, inner):
        return ""
    return "; ".join(["APP_ENV is none of dev, test and prod", *filter(None, [reason])])


def _why(case: Mapping[str, Any], found: Found) -> str:
    out = case["out"]
    beyond = [*_extra(found["error_codes"], out["error_codes"]), *found["strict"]]
    if not beyond or found["prod"] is not out["prod"]:
        return ""
    if not out["prod"]:
        return "a faulty value is refused everywhere" if set(beyond) <= _FORMS else ""
    warned = out["warning_codes"] in (None, found["warning_codes"])
    known = {*STRICTER, *(() if out["ok"] else REFERENCE_ERRORS)}
    if not (warned and set(beyond) <= known and _is_part(out["error_codes"], found["error_codes"])):
        return ""
    return "refused: " + ", ".join(STRICTER.get(code, code) for code in beyond)


def _extra(codes: Sequence[str], expected: Sequence[str]) -> list[str]:
    return [code for code in codes if code not in expected]


def _is_part(expected: Sequence[str], codes: Sequence[str]) -> bool:
    """Tell whether all that was expected is there, in its order."""
    return [code for code in codes if code in expected] == list(expected)
