"""Samplers: what the positives of a batch are compared with. Chosen by ``sampler=NAME``."""
