"""Battles, economy and claims of AIBA Arena as pure functions, standard library only."""
