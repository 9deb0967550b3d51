"""The audit of the ledger: a chain of checkpoints over its entries, and books of their own."""
