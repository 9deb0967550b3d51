"""What admins are served: their logins and accounts, the audit trail, and the guards of all."""
