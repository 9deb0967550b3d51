"""The machine's clock."""

import time


class SystemClock:
    """Tells the machine's wall clock, which may be set forwards and back."""

    def now(self) -> int:
        """Return the instant in ms since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000
