"""Histories: what concurrent clients were told, and whether an order of their requests explains it.

`check_history` records and judges those of a store; `HistoryContract` is the same as a suite.
`judge` judges any history that was recorded elsewhere.
"""

import aiba_domain.testing.contracts  # noqa: F401 - whose registry names the suite below: first
from aiba_domain.testing.history.account import Account, Ask, Kind, Said, said
from aiba_domain.testing.history.checking import Beside, check_history, record
from aiba_domain.testing.history.contract import HistoryContract
from aiba_domain.testing.history.search import LIMIT, Found, Operation, Search, search
from aiba_domain.testing.history.verdict import History, Judgement, Offence, judge
from aiba_domain.testing.history.workload import Mishap, Order, Workload

__all__ = [
    "LIMIT",
    "Account",
    "Ask",
    "Beside",
    "Found",
    "History",
    "HistoryContract",
    "Judgement",
    "Kind",
    "Mishap",
    "Offence",
    "Operation",
    "Order",
    "Said",
    "Search",
    "Workload",
    "check_history",
    "judge",
    "record",
    "said",
    "search",
]
