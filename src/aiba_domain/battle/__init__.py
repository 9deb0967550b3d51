"""Battles: seed, draw, score, energy, modes and receipts. Nothing here sees a clock or a store."""
