"""Splits of interactions into training and held-out rows: one file an idea, chosen by ``split=NAME``."""
