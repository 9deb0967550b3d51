"""Money rules: rewards, streaks, windows, splits, emission and the double-entry ledger."""
