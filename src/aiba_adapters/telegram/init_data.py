"""Telegram Mini App initData: checked strictly, and signed for tests and the demo.

Stricter than Telegram's own text asks for: every key once, no line feed (it would make the signed
text ambiguous), a hash in exactly its written form, an age that can be judged, a user with an id.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NoReturn
from urllib.parse import parse_qsl, quote, urlencode

from init_data_py import hash_token

from aiba_domain.players.ports import NotProven

MAX_LENGTH: Final = 8192
"""The longest initData looked at, in characters; Telegram sends well under 2,000."""

MAX_SKEW_S: Final = 60
"""How far ahead of our clock `auth_date` may lie, in seconds."""

_MAX_FIELDS: Final = 64
_MAX_USER_ID: Final = 2**52 - 1
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_AUTH_DATE: Final = re.compile(r"[1-9][0-9]{0,11}")
_UNSTORABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_PROFILE_LENGTH: Final = 256
_PHOTO_URL_LENGTH: Final = 2048


class Problem(StrEnum):
    """Why initData was refused; the first three are the texts that clients already know."""

    MISSING = "missing initData or botToken"
    NO_HASH = "missing hash"
    MISMATCH = "hash mismatch"
    MALFORMED = "malformed initData"
    REPEATED = "a key occurs twice"
    NO_DATE = "missing or malformed auth_date"
    FUTURE = "auth_date lies in the future"
    EXPIRED = "auth_date is too old"
    NO_USER = "missing user id"


class InitDataRefused(NotProven):
    """The initData proves nothing; `reason` says why and holds no part of it."""

    def __init__(self, reason: Problem) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.expired = reason is Problem.EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramIdentity:
    """Who Telegram says opened the Mini App.

    `auth_date` is in seconds since the Unix epoch. Profile texts are "" when absent; they are the
    player's own and no more trustworthy than that. `digest` is the hex SHA-256 of the signed text:
    the same initData, however it was escaped or ordered, has the same digest.
    """

    player_id: str
    username: str
    first_name: str
    last_name: str
    language_code: str
    photo_url: str
    auth_date: int
    digest: str


class TelegramIdentities:
    """Judges the initData of one bot, whose tokens it shows nowhere.

    A token that BotFather has revoked still proves what Telegram signed by it before, and nothing
    that claims to be younger than its end: whoever stole it can't make launch data for long.
    """

    __slots__ = ("_bot_token", "_ended_s", "_previous")

    def __init__(self, bot_token: str, previous: str | None = None, *, ended_s: int = 0) -> None:
        """Judge by a token, and by the one before, by which nothing is signed since `ended_s`.

        `ended_s` is in seconds since the Unix epoch; it may be any later instant, too.
        """
        self._bot_token = bot_token
        self._previous = previous
        self._ended_s = ended_s

    def identify(self, proof: str, *, now_s: int, max_age_s: int) -> TelegramIdentity:
        """Return whom initData proves, or raise InitDataRefused."""
        try:
            return verify(proof, bot_token=self._bot_token, now_s=now_s, max_age_s=max_age_s)
        except InitDataRefused as refused:
            if self._previous is None or refused.reason is not Problem.MISMATCH:
                raise
        identity = verify(proof, bot_token=self._previous, now_s=now_s, max_age_s=max_age_s)
        if identity.auth_date - self._ended_s > MAX_SKEW_S:
            raise InitDataRefused(Problem.MISMATCH)
        return identity


def verify(init_data: str, *, bot_token: str, now_s: int, max_age_s: int) -> TelegramIdentity:
    """Return whom `init_data` proves, or raise InitDataRefused.

    `now_s` is in seconds since the Unix epoch. Age is bounded by `max_age_s` seconds, 0 means no
    bound; a date more than 60 s ahead is refused in any case. The hash is compared in constant
    time, and before anything else about the content is judged.
    """
    if not init_data or not bot_token:
        raise InitDataRefused(Problem.MISSING)
    fields = _fields(init_data)
    claimed = fields.pop("hash", "")
    if not claimed:
        raise InitDataRefused(Problem.NO_HASH)
    check = _check_text(fields)
    genuine = _HASH.fullmatch(claimed) and hmac.compare_digest(_hash(check, bot_token), claimed)
    if not genuine:
        raise InitDataRefused(Problem.MISMATCH)
    auth_date = _auth_date(fields)
    require_age(auth_date, now_s=now_s, max_age_s=max_age_s)
    user = _user(fields.get("user", ""))
    return TelegramIdentity(
        player_id=str(user["id"]),
        username=_text(user, "username"),
        first_name=_text(user, "first_name"),
        last_name=_text(user, "last_name"),
        language_code=_text(user, "language_code"),
        photo_url=_text(user, "photo_url", _PHOTO_URL_LENGTH),
        auth_date=auth_date,
        digest=hashlib.sha256(check).hexdigest(),
    )


def require_age(auth_date: int, *, now_s: int, max_age_s: int) -> None:
    """Raise InitDataRefused if a date is too old or too far ahead; all in seconds."""
    if auth_date - now_s > MAX_SKEW_S:
        raise InitDataRefused(Problem.FUTURE)
    if max_age_s > 0 and now_s - auth_date > max_age_s:
        raise InitDataRefused(Problem.EXPIRED)


def sign(fields: Mapping[str, str], bot_token: str) -> str:
    """Return genuine initData for `fields` under `bot_token`, as Telegram would send it.

    `fields` are the decoded pairs, `auth_date` and `user` (JSON) among them, `hash` not.
    """
    proof = _hash(_check_text(fields), bot_token)
    return urlencode({**fields, "hash": proof}, quote_via=quote)


def _fields(init_data: str) -> dict[str, str]:
    if len(init_data) > MAX_LENGTH:
        raise InitDataRefused(Problem.MALFORMED)
    try:
        pairs = parse_qsl(init_data, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InitDataRefused(Problem.MALFORMED) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InitDataRefused(Problem.REPEATED)
    if any("\n" in key or "\n" in value for key, value in pairs):
        raise InitDataRefused(Problem.MALFORMED)
    return fields


def _check_text(fields: Mapping[str, str]) -> bytes:
    lines = [f"{key}={fields[key]}" for key in sorted(fields, key=_code_units)]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _code_units(key: str) -> bytes:
    # By UTF-16 code unit, as Telegram's clients sort: never by locale, and not by the whole line,
    # which would put "chat_type2=" before "chat_type=".
    return key.encode("utf-16-be", "surrogatepass")


def _hash(check: bytes, bot_token: str) -> str:
    return hmac.digest(_key(bot_token), check, "sha256").hex()


@lru_cache(maxsize=4)
def _key(bot_token: str) -> bytes:
    return bytes.fromhex(hash_token(bot_token))


def _auth_date(fields: Mapping[str, str]) -> int:
    text = fields.get("auth_date", "")
    if not _AUTH_DATE.fullmatch(text):
        raise InitDataRefused(Problem.NO_DATE)
    return int(text)


def _user(text: str) -> dict[str, object]:
    try:
        user: object = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InitDataRefused(Problem.NO_USER) from None
    # `type is int`: True is an int too, and 1e5 is a float that means one.
    if not isinstance(user, dict) or type(user.get("id")) is not int:
        raise InitDataRefused(Problem.NO_USER)
    if not 1 <= user["id"] <= _MAX_USER_ID:
        raise InitDataRefused(Problem.NO_USER)
    return user


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _text(user: Mapping[str, object], name: str, longest: int = _PROFILE_LENGTH) -> str:
    value = user.get(name)
    return _UNSTORABLE.sub("", value)[:longest] if isinstance(value, str) else ""
