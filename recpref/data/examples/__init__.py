"""How training examples are made of histories: one file an idea, chosen by ``examples=NAME``."""
