"""Conformance: the properties of the API judged as a black box, on any deployment of it.

Needs the extra `testing`. `judge` is the Python call behind `aiba conformance`.
"""

from aiba_entry.conformance.bounds import Bounds, Terms
from aiba_entry.conformance.contract import HttpApiContract
from aiba_entry.conformance.deployment import Deployment
from aiba_entry.conformance.run import judge
from aiba_entry.conformance.scouting import CAPABILITIES, Found, Unusable, scout

__all__ = [
    "CAPABILITIES",
    "Bounds",
    "Deployment",
    "Found",
    "HttpApiContract",
    "Terms",
    "Unusable",
    "judge",
    "scout",
]
