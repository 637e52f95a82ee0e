"""Item losses: logits and candidates in, one value a row out. Chosen by ``loss=NAME``."""
