"""Brokers: the fighters that players own, and the commands that change them."""
