"""Hyper-parameter search with Optuna: what may vary, one trial, and the study with its report. The verb is ``recpref.tune``."""
