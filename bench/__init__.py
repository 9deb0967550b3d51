"""The benchmark: how fast, how steady and how small the service is, on this machine.

`python -m bench` (or `make bench`) measures everything in one run and prints one table; a missed
target makes it exit with 1. How to read it:

- What matters are the ratios. Both sides of each are measured in the same run on the same machine,
  in alternating rounds, so that whatever else slows the machine down slows both of them.
- *No-op* is a route of the same application in the same process: its JSON body is validated like
  that of `battle/run`, its answer wears the same envelope, and it does nothing between. The second
  no-op also stands behind the same session and rate-limit checks.
- A *battle* is the real thing: energy, cooldown, emission, seed, score, three to five ledger
  entries, the idempotency record, on the disk before the answer. Only the limits are out of its
  way: the bench's own mode takes no energy, and the day's caps are at their highest.
- The load is closed: 32 connections, each waits for its answer before it sends the next request.
  Rates and latencies are the median of the rounds, ratios the median of the ratios of neighbours.
- *Growth* loads two databases in turn, a slice here and a slice there. Both were filled with a
  history through the store's own port and audited; a round takes a new copy of the short one.
- *Metrics, logs and audit* are on in one service and off in another one, which only the bench can
  start so. They take turns, and while one plays the other one's process is stopped.
- *Claims* are signed on one core, beside bare PyNaCl signing in alternating batches. The local
  chain takes them from a wallet's message to the jettons, five transactions each.
- The sync rate of the disk is there because every durable number hangs on it.

The numbers of a busy machine are worth little; the load average at the start is in the table.
"""
