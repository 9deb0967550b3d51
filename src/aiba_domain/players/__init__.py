"""Players: profile, streaks, sessions."""
