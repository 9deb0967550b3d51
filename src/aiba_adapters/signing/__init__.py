"""Signers of claims, behind the signer port. Needs the extra `ton`."""
