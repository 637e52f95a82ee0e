"""Runs: what is saved of a training and read again, asked for recommendations, started from and continued."""
