"""SoftHSM2, a PKCS#11 token in software: installed if need be, with a token made for a test."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pkcs11
from nacl.signing import SigningKey
from pkcs11 import Attribute, KeyType, ObjectClass

MODULES: Final = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)
PIN: Final = "5678"
TOKEN: Final = "aiba-test"
_ED25519: Final = bytes.fromhex("06032b6570")


def module() -> Path | None:
    """Return SoftHSM's module, installing the package where this may; None without one."""
    found = next(filter(Path.is_file, MODULES), None)
    apt = shutil.which("apt-get")
    if found is not None or apt is None or os.geteuid() != 0:
        return found
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "softhsm2"]):
        subprocess.run(  # noqa: S603 - a fixed command
            [apt, *words], env=environment, check=True, capture_output=True, timeout=300
        )
    return next(filter(Path.is_file, MODULES), None)


def make_token(folder: Path) -> None:
    """Make a token in a folder, and point this process and its children at it."""
    tokens = folder / "tokens"
    tokens.mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    initialise()


def initialise(pin: str = PIN) -> None:
    """Make a token where SOFTHSM2_CONF says."""
    utility = shutil.which("softhsm2-util")
    assert utility is not None
    words = ["--init-token", "--free", "--label", TOKEN, "--so-pin", "1234", "--pin", pin]
    subprocess.run([utility, *words], check=True, capture_output=True)  # noqa: S603 - a fixed command


def put_keys(path: Path, keys: Iterable[tuple[str, bytes, bool]], pin: str = PIN) -> None:
    """Put known keys into the token, as nobody would real ones: label, seed, extractable or not."""
    token = pkcs11.lib(str(path)).get_token(token_label=TOKEN)
    with token.open(rw=True, user_pin=pin) as session:
        for label, seed, extractable in keys:
            _put(session, label, seed, extractable=extractable)


def _put(session: pkcs11.Session, label: str, seed: bytes, *, extractable: bool) -> None:
    common = {
        Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
        Attribute.EC_PARAMS: _ED25519,
        Attribute.TOKEN: True,
        Attribute.LABEL: label,
    }
    session.create_object(
        common
        | {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.VALUE: seed,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: not extractable,
            Attribute.EXTRACTABLE: extractable,
            Attribute.SIGN: True,
        }
    )
    session.create_object(
        common
        | {
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.EC_POINT: b"\x04\x20" + bytes(SigningKey(seed).verify_key),
            Attribute.VERIFY: True,
        }
    )
