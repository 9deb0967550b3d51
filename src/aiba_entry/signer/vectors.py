"""The vectors of the signer's rules and its interchange, run over a store in memory."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import reserve
from aiba_adapters.signing.unlocking import importing
from aiba_adapters.ton.addresses import parse_canonical
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing import interchange_json
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.interchange import MergeRefused
from aiba_domain.signing.model import Network, Refused, Sign, SigningRequest
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.policy_file import PolicyForm, read_policy

Step = Mapping[str, Any]


def run_signer(given: Mapping[str, Any]) -> dict[str, object]:
    """Take each step and return what came of each, in their order."""
    network = Network(given["network"])
    policy = read_policy(
        json.dumps(given["policy"]),
        PolicyForm.JSON,
        network=network,
        address=lambda text, _network, path: parse_canonical(text, field=path).raw,
    )
    store = MemoryProtection(network=network, store=given["store"])
    return {"steps": [_take(step, store, policy) for step in given["steps"]]}


def _take(step: Step, store: MemoryProtection, policy: SigningPolicy) -> object:
    if "sign" in step:
        return _sign(step["sign"], step["at"], store, policy)
    if "import" in step:
        return _import(step["import"], store)
    document: object = json.loads(interchange_json.write(store.run(lambda unit: unit.dump())))
    return document


def _sign(wanted: Step, now_s: int, store: MemoryProtection, policy: SigningPolicy) -> str:
    terms = ClaimTerms(
        vault=wanted["vaultAddress"],
        jetton_master=wanted["jettonMaster"],
        recipient=wanted["to"],
        amount=int(wanted["amount"]),
        seqno=int(wanted["seqno"]),
        valid_until_s=wanted["validUntil"],
    )
    request = SigningRequest(terms=terms, payload_hash=payload_of(terms).hash)
    decision = store.run(partial(reserve, request, policy, now_s))
    if isinstance(decision, Refused):
        return decision.code.value
    return "signed" if isinstance(decision, Sign) else "same_again"


def _import(document: object, store: MemoryProtection) -> str:
    """Merge a document: an object, or a text as it stands."""
    text = document if isinstance(document, str) else json.dumps(document)
    try:
        store.run(importing(interchange_json.read(text)))
    except Faulty:
        return "malformed"
    except MergeRefused:
        return "conflict"
    return "imported"
