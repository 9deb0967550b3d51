"""The TON side: addresses, claim cells and proofs of wallets. Needs the extra `ton`."""
