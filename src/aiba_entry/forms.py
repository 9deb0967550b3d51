"""What the text of a setting must look like. Parsers raise ValueError without a secret's value."""

import math
import re
from enum import StrEnum
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

DEFAULT_INIT_DATA_MAX_AGE_S: Final = 900
MIN_SECRET_LENGTH: Final = 32
"""The shortest secret, in UTF-16 code units, as the service before counted."""

_MIN_DISTINCT: Final = 8
_PLACEHOLDERS: Final = ("change-me", "changeme", "dev-secret")
_BOT_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")
_MIN_PROD_BOT_TOKEN: Final = 20
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(b|kb|mb)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "kb": 1024, "mb": 1024 * 1024}
_MIN_BODY: Final = 1024
_MAX_BODY: Final = 64 * 1024 * 1024
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PRICE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?")
_DIGITS: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_LONGEST_NUMBER: Final = 100
_MAPPED_BITS: Final = 96
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TRUE: Final = ("1", "true", "yes", "on")
FALSE: Final = ("0", "false", "no", "off")
_OWN_PORT: Final = re.compile(r"^(?:(https://.*):443|(http://.*):80)$")
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")


class AppEnv(StrEnum):
    """Which rules the process runs under; no other text is read as one of them."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class Weakness(StrEnum):
    """Why a text is no secret."""

    SHORT = "short"
    REPEATED = "repeated"
    PLACEHOLDER = "placeholder"
    GUESSABLE = "guessable"


WEAK: Final = {
    Weakness.SHORT: f"must have at least {MIN_SECRET_LENGTH} characters",
    Weakness.REPEATED: "is one character over and over, not a secret",
    Weakness.PLACEHOLDER: "is a placeholder, not a secret",
    Weakness.GUESSABLE: f"has fewer than {_MIN_DISTINCT} different characters",
}
"""What is said of each weakness."""


def app_env(text: str | None) -> AppEnv:
    """Return the environment of exactly that name."""
    if text is None:
        raise ValueError("must be dev, test or prod; it is not set")
    try:
        return AppEnv(text)
    except ValueError:
        raise ValueError("must be exactly dev, test or prod") from None


def weakness(text: str) -> Weakness | None:
    """Return why a text can't be a secret, None if it can."""
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 < MIN_SECRET_LENGTH:
        return Weakness.SHORT
    if len(set(text)) == 1:
        return Weakness.REPEATED
    if any(word in text.lower() for word in _PLACEHOLDERS):
        return Weakness.PLACEHOLDER
    return Weakness.GUESSABLE if len(set(text)) < _MIN_DISTINCT else None


def bot_token(text: str) -> str:
    """Return a bot's token."""
    if not _BOT_TOKEN.fullmatch(text):
        raise ValueError("must look like 123456:text, as BotFather gives it")
    return text


def is_short_bot_token(text: str) -> bool:
    """Tell whether a token is shorter than any that BotFather gives."""
    return len(text) < _MIN_PROD_BOT_TOKEN


def number(text: str) -> float | None:
    """Return the finite number that a trimmed text is to the clients' language, None if none.

    Besides decimals, with an exponent or without, these are 0x1f, 0o17 and 0b11.
    """
    if len(text) > _LONGEST_NUMBER:
        return None
    if _DIGITS.fullmatch(text):
        return float(int(text, 0))
    value = float(text) if _DECIMAL.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def max_age_policy(text: str | None) -> int:
    """Return the initData age in seconds that a configured text stands for.

    Absent or no number is 900, negative is 0, a fraction is cut off.
    """
    value = None if text is None else number(text.strip())
    return DEFAULT_INIT_DATA_MAX_AGE_S if value is None else max(0, math.floor(value))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def boolean(text: str) -> bool:
    """Return what a word of agreement or refusal means."""
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError("must be true or false")


def whole(text: str, *, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    value = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else -1
    if not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return value


def size(text: str) -> int:
    """Return a size in bytes."""
    match = _SIZE.fullmatch(text)
    found = int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0
    if not _MIN_BODY <= found <= _MAX_BODY:
        raise ValueError("must be a size from 1kb to 64mb, such as 1mb or 500kb")
    return found


def origins(text: str) -> tuple[str, ...]:
    """Return exact origins as browsers send them: in lower case, without their scheme's port."""
    found = tuple(item.lower() for item in _items(text))
    if not found or not all(map(_is_origin, found)):
        raise ValueError("must be a comma list of origins such as https://game.example")
    return tuple(_OWN_PORT.sub(r"\1\2", origin) for origin in found)


def networks(text: str) -> tuple[Network, ...]:
    """Return addresses and networks; never one of all addresses.

    One of IPv4 that is written as IPv6 is one of IPv4, as callers' addresses are.
    """
    found: list[Network] = []
    for item in _items(text):
        try:
            network = _unmapped(ip_network(item))
        except ValueError:
            raise ValueError("must be a comma list of addresses or networks") from None
        if network.prefixlen == 0:
            raise ValueError("a network of all addresses would trust every caller")
        found.append(network)
    return tuple(found)


def _unmapped(network: Network) -> Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def level(text: str) -> str:
    """Return the name of a level of logging."""
    found = {"WARN": "WARNING"}.get(text.upper(), text.upper())
    if found not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}")
    return found


def base_url(text: str) -> str:
    """Return an address that paths are put behind."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https URL without query")
    return text.rstrip("/")


def _items(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    exact = f"{parts.scheme}://{parts.netloc}"
    return (
        parts.scheme in ("http", "https")
        and exact == text
        and parts.username is None
        and bool(_HOST.fullmatch(parts.hostname or ""))
    )


def price(text: str) -> Fraction:
    """Return a price above 0, written as a decimal, exactly."""
    if not _PRICE.fullmatch(text) or not (found := Fraction(text)):
        raise ValueError("must be a decimal above 0, such as 0.0025")
    return found
