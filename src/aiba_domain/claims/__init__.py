"""Withdrawals of AIBA to the chain, as claims that an oracle signs and a vault pays."""
