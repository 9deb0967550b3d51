"""The readiness gate: what production asks of an environment before anything is started.

`judgment.judge` says what is wrong, `advice` how each thing is mended, `report` tells people and
machines, `live` asks the store, Redis, the signer and the chain.
"""
