"""Training problems: ``objective(model, batch, step) -> (loss sum, count, logs)``. Chosen by ``objective=NAME``."""
