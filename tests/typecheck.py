"""How the suite checks types: beartype, for which an int is a float where a float is asked for (PEP 484's numeric tower)."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
