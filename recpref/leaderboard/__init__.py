"""Suites of experiments, the table that compares them, and the page that shows it."""
