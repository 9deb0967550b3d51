"""The harness for whoever writes an adapter: strategies, contracts, an auditor and state machines.

Needs the extra `testing` (hypothesis and pytest). Nothing here knows an adapter.
"""
