"""The rules that a service keeps, as properties: functions of a service, told by their docstrings.

They look at answers and at the ledger, and share no rule with the code that they judge.
"""
