"""Tables in which items share rows, in the place of a row for every item. Chosen by ``table=NAME``."""
