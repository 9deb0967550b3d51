"""The policy's file: found, read whole, and given to the strict reader."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiba_adapters.ton.addresses import parse
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.policy_file import PolicyForm, read_policy

_FORMS: Final = {".toml": PolicyForm.TOML, ".json": PolicyForm.JSON}
_LONGEST: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPolicy:
    """A policy, and the SHA-256 of its file in hex, by which the log names it."""

    policy: SigningPolicy
    digest: str


def load_policy(path: Path, network: Network) -> LoadedPolicy:
    """Return the policy in a `.toml` or `.json` file, or raise Faulty naming every fault."""
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise Faulty([f"{path.name}: a policy's name ends in {' or '.join(_FORMS)}"])
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise Faulty([f"{path.name}: can't be read: {error.strerror}"]) from None
    if len(data) > _LONGEST:
        raise Faulty([f"{path.name}: longer than {_LONGEST} bytes"])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Faulty([f"{path.name}: no UTF-8"]) from None
    policy = read_policy(text, form, network=network, address=_raw)
    return LoadedPolicy(policy=policy, digest=sha256(data).hexdigest())


def _raw(text: object, network: Network, path: str) -> str:
    return parse(text, allow_testnet=network is Network.TESTNET, field=path).raw
