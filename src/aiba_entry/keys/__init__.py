"""Secrets as an operator handles them: made, put in each other's place, and looked at unseen."""
