"""Training: a network learns from a user's own pictures."""
