"""Other ways of keeping items than a whole table: rows that items share, or that processes divide. Chosen by ``table=NAME``."""
