"""Reading the bits of a cell, written as a text of `0` and `1`."""

from typing import Final

from aiba_adapters.ton.addresses import Address

_SIGN: Final = 0x80


class Bits:
    """Reads the bits of a cell in order."""

    def __init__(self, text: str, at: int = 0) -> None:
        self._text = text
        self.at = at

    def take(self, count: int) -> str:
        """Return the next bits as text; fewer at the end."""
        start = self.at
        self.at = start + count
        return self._text[start : self.at]

    def uint(self, count: int) -> int:
        """Return the next bits as a number."""
        return int(self.take(count), 2)

    def var_uint(self, length_bits: int) -> int:
        """Return a number after its length in bytes, as Coins and VarUInteger are written."""
        size = self.uint(length_bits) * 8
        return self.uint(size) if size else 0

    def address(self) -> Address | None:
        """Return an internal address; None if there is none, or one from outside."""
        head = self.take(2)
        if head == "00":
            return None
        if head == "01":
            self.take(self.uint(9))
            return None
        self.take(1)
        workchain = (self.uint(8) ^ _SIGN) - _SIGN
        return Address(workchain, self.uint(256).to_bytes(32, "big"))
