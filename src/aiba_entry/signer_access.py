"""The settings of an API whose oracle key is elsewhere: where the signer is, and how to ask it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiba_adapters.signing.remote import ClientTls, SignerPlace
from aiba_entry.variables import Fault, Variables

URL: Final = "ORACLE_SIGNER_URL"
TOKEN: Final = "ORACLE_SIGNER_TOKEN"  # noqa: S105 - a variable's name
CA: Final = "ORACLE_SIGNER_CA"
CERTIFICATE: Final = "ORACLE_SIGNER_CLIENT_CERT"
KEY: Final = "ORACLE_SIGNER_CLIENT_KEY"
PUBLIC_KEY: Final = "ORACLE_PUBLIC_KEY_HEX"

VARIABLES: Final = (URL, TOKEN, f"{TOKEN}_FILE", CA, CERTIFICATE, KEY, PUBLIC_KEY)
"""All of them; every other one than the URL means nothing without it."""

_PUBLIC_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
_TOKEN: Final = re.compile(r"[!-~]{32,256}")
SHAPE: Final = "signer_url_shape"
"""The code of a URL that can't be a signer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerAccess:
    """Where the signer is, and the public keys that are believed; none of them means the vault's.

    Its repr shows no token.
    """

    place: SignerPlace = field(repr=False)
    public_keys: frozenset[bytes]


def load_access(variables: Variables) -> SignerAccess | None:
    """Return the access that the environment gives, None where it names no signer.

    Every fault is told by its variable.
    """
    fault = variables.fault
    given = {name: text for name in VARIABLES if (text := variables.get(name))}
    url = given.get(URL)
    if url is None:
        for name in given:
            fault(name, f"means nothing without {URL}")
        return None
    token = _token(variables)
    tls = _tls(given, url, fault)
    keys = _public_keys(given.get(PUBLIC_KEY), fault)
    try:
        place = SignerPlace(url=url, token=token, tls=tls)
    except ValueError as error:
        fault(URL, str(error), SHAPE)
        return None
    return SignerAccess(place=place, public_keys=keys)


def _token(variables: Variables) -> str:
    if not variables.given(TOKEN):
        variables.fault(TOKEN, f"is required with {URL}")
        return ""
    text = variables.secret(TOKEN)
    if text is not None and not _TOKEN.fullmatch(text):
        variables.fault(variables.given(TOKEN)[-1], "must be 32 to 256 characters of visible ASCII")
        return ""
    return text or ""


def _tls(given: Mapping[str, str], url: str, fault: Fault) -> ClientTls | None:
    """Return the TLS files, all that belong together; faults where they can't be used."""
    files = {name: Path(given[name]) for name in (CA, CERTIFICATE, KEY) if name in given}
    if not files:
        return None
    if not url.startswith("https:"):
        for name in files:
            fault(name, f"goes with an https {URL}")
        return None
    for name, other in ((CERTIFICATE, KEY), (KEY, CERTIFICATE)):
        if name in files and other not in files:
            fault(other, f"is required with {name}")
            return None
    tls = ClientTls(ca=files.get(CA), certificate=files.get(CERTIFICATE), key=files.get(KEY))
    try:
        tls.context()
    except OSError as error:
        fault(next(iter(files)), f"the TLS files can't be used: {error.strerror or error}")
        return None
    return tls


def _public_keys(text: str | None, fault: Fault) -> frozenset[bytes]:
    """Read a comma list, so that two are believed while one takes the other's place."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(_PUBLIC_KEY.fullmatch(part) for part in parts):
        fault(PUBLIC_KEY, "must be 64 hex digits, or a comma list of such")
        return frozenset()
    return frozenset(map(bytes.fromhex, parts))
