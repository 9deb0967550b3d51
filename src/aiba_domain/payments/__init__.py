"""Payments in TON: what came in on the chain, and whether it pays for an order, once."""
