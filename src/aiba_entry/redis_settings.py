"""The part of the settings that names the Redis which several processes share, if there is one."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

# No options after a question mark: one of them would switch the check of certificates off.
_NETWORK_URL: Final = re.compile(
    r"rediss?://"
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/?#\s]+))?@)?"
    r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[0-9]{0,4})?"
)
_SOCKET_URL: Final = re.compile(r"unix:///[^?#@\s]+")
_FORMS: Final = "must be redis://host:6379/0, rediss://host:6379/0 or unix:///path, without options"

Fault = Callable[[str, str], None]
Get = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Where Redis is, the password of the URL's user, and whose certificate it may show.

    Its repr shows neither the URL nor the password.
    """

    url: str
    password: str | None = None
    ca: Path | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what must be kept out of any text: passwords, and the URL that holds one."""
        found = _NETWORK_URL.fullmatch(self.url)
        inside = found["password"] if found else None
        given = (self.password,) if self.password else ()
        return (*given, *({self.url, inside, unquote(inside)} if inside else ()))

    def __repr__(self) -> str:
        return "RedisSettings([hidden])"


def url_password(url: str) -> str | None:
    """Return the password in a URL, as it is meant; None if it holds none."""
    found = _NETWORK_URL.fullmatch(url)
    return unquote(found["password"]) if found and found["password"] else None


def load_redis(secret: Get, get: Get, fault: Fault) -> RedisSettings | None:
    """Return what the environment says of Redis, None where it says nothing.

    `secret` reads a variable that may be a file's name, `get` any other; what is wrong is told to
    `fault` without the value.
    """
    url, password, ca = secret("REDIS_URL"), secret("REDIS_PASSWORD"), get("REDIS_CA")
    if url is None:
        for name, value in (("REDIS_PASSWORD", password), ("REDIS_CA", ca)):
            if value is not None:
                fault(name, "means nothing without REDIS_URL")
        return None
    found = _NETWORK_URL.fullmatch(url)
    if found is None and not _SOCKET_URL.fullmatch(url):
        fault("REDIS_URL", _FORMS)
    elif password is not None and found is not None and found["password"]:
        fault("REDIS_PASSWORD", "is given twice: REDIS_URL holds one too")
    if ca is not None and not url.startswith("rediss://"):
        fault("REDIS_CA", "is for rediss:// only")
    elif ca is not None and not Path(ca).is_file():
        fault("REDIS_CA", "is no file")
    return RedisSettings(url=url, password=password, ca=Path(ca) if ca else None)
