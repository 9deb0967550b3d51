"""The policy's file, TOML or JSON: read strictly, every fault named at once with its path."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, Final

from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.faults import Faults, read_json
from aiba_domain.signing.model import EXPIRY_MARGIN_S, Network
from aiba_domain.signing.policy import (
    DEFAULT_AHEAD_S,
    POLICY_RANGES,
    Allowed,
    Denied,
    Limits,
    SigningPolicy,
)

ReadAddress = Callable[[object, Network, str], str]
"""Reads an address of a network, in any written form, and returns its raw form.

Raises InvalidInput; the last argument is its path.
"""

_VERSION: Final = 1
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_NAME_WANTED: Final = "1 to 64 letters, digits, blanks, dots, dashes or underscores"
_LISTS: Final = ("vaults", "jetton_masters", "recipients")


class PolicyForm(StrEnum):
    """How a policy is written."""

    TOML = "toml"
    JSON = "json"


def read_policy(
    text: str, form: PolicyForm, *, network: Network, address: ReadAddress
) -> SigningPolicy:
    """Return the policy that a file's text holds, for a signer of a network.

    A text without entries is a policy that denies everything. Raises Faulty with every fault.
    """
    faults = Faults()
    document = _document(text, form, faults)
    top = faults.record(
        document, "", (), ("version", "max_ahead_s", "expiry_margin_s", "allow", "deny")
    )
    version = top.get("version", _VERSION)
    faults.expect(type(version) is int and version == _VERSION, "version", f"{_VERSION}")
    reader = _Addresses(faults, network, address)
    allow = _allow(faults, top.get("allow", []), reader)
    deny = _deny(faults, top.get("deny", []), reader)
    numbers = {
        name: faults.integer(top.get(name, usual), name, *POLICY_RANGES[name])
        for name, usual in (("max_ahead_s", DEFAULT_AHEAD_S), ("expiry_margin_s", EXPIRY_MARGIN_S))
    }
    faults.check()
    return SigningPolicy(allow=tuple(allow), deny=tuple(deny), **numbers)


class _Addresses:
    """Reads addresses and notes those that are none."""

    def __init__(self, faults: Faults, network: Network, address: ReadAddress) -> None:
        self._faults = faults
        self._network = network
        self._address = address

    def one(self, given: object, path: str, network: Network | None = None) -> str:
        try:
            return self._address(given, network or self._network, path)
        except InvalidInput as refused:
            self._faults.note(path, refused.reason)
            return ""

    def many(self, given: object, path: str) -> frozenset[str]:
        if not isinstance(given, list) or not given:
            self._faults.note(path, "list with at least one address")
            return frozenset()
        return frozenset(self.one(each, f"{path}[{n}]") for n, each in enumerate(given))


def _document(text: str, form: PolicyForm, faults: Faults) -> object:
    if form is PolicyForm.JSON:
        return read_json(text, faults)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        faults.note("", f"no TOML: {error}")
    faults.check()
    return {}


def _allow(faults: Faults, listed: object, addresses: _Addresses) -> list[Allowed]:
    allow: list[Allowed] = []
    required = ("name", "network", "vault", "jetton_master", "limits")
    for path, given in faults.records(listed, "allow", required, ()):
        network = faults.choice(given["network"], f"{path}.network", Network)
        allowed = Allowed(
            name=_name(faults, given, path),
            network=network,
            vault=addresses.one(given["vault"], f"{path}.vault", network),
            jetton_master=addresses.one(given["jetton_master"], f"{path}.jetton_master", network),
            limits=_limits(faults, given["limits"], f"{path}.limits"),
        )
        twice = any((one.network, one.vault) == (network, allowed.vault) for one in allow)
        faults.expect(not (allowed.vault and twice), f"{path}.vault", "allowed twice")
        allow.append(allowed)
    return allow


def _limits(faults: Faults, given: object, path: str) -> Limits:
    names = [limit.name for limit in fields(Limits)]
    found = faults.record(given, path, names, ())
    return Limits(
        **{
            name: faults.integer(found.get(name, 0), f"{path}.{name}", 0, MAX_AMOUNT)
            for name in names
        }
    )


def _deny(faults: Faults, listed: object, addresses: _Addresses) -> list[Denied]:
    deny: list[Denied] = []
    for path, given in faults.records(listed, "deny", ("name",), _LISTS):
        name = _name(faults, given, path)
        lists = {
            which: addresses.many(given[which], f"{path}.{which}")
            for which in _LISTS
            if which in given
        }
        if lists:
            deny.append(Denied(name=name, **lists))
        else:
            faults.note(path, f"names nothing to deny: one of {', '.join(_LISTS)}")
    return deny


def _name(faults: Faults, given: Mapping[str, Any], path: str) -> str:
    return faults.text(given["name"], f"{path}.name", _NAME, _NAME_WANTED)
