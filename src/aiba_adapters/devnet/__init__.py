"""A local chain: the TON node's TVM in this process, our contracts, toncenter's HTTP over it.

`LocalChain` is the chain, `Arena` deploys vault, jetton and wallets on it, `server` speaks HTTP.
Needs the extra `devnet`.
"""
