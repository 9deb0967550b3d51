"""The isolated signer as a program: its files, its policy and its keys."""
