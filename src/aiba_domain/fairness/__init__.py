"""Fairness: seed epochs, whose secrets are promised before play and revealed after it."""
