"""The chain as toncenter's HTTP APIs show it, version 2 and 3.

Spoken with httpx. The package `toncenter` 0.4.0 was tried and is in the way: its retries go past
its own rate limit (six requests in 7.5 s where one a second was asked for, the first three within
one), pay no heed to `Retry-After` and don't vary; a timeout leaves it as a bare `TimeoutError`; and
its models refuse answers that providers do give, such as a balance written as a number.
"""

from aiba_adapters.toncenter.endpoints import Provider
from aiba_adapters.toncenter.meter import Meter
from aiba_adapters.toncenter.reader import ToncenterReader, open_reader

__all__ = ["Meter", "Provider", "ToncenterReader", "open_reader"]
