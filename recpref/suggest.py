"""The wording of every "unknown name" error: the nearest legal choice first, then all of them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: str, known: Iterable[str], *, hint: str = "") -> str:
    """``unknown loss 'gbcee'; did you mean 'gbce'? known: bce, bpr, gbce``."""
    known = sorted(known)
    lower = {choice.lower(): choice for choice in known}
    close = [lower[choice] for choice in get_close_matches(name.lower(), lower, n=1, cutoff=0.5)]
    nearest = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {what} {name!r}; {nearest}known: {', '.join(known) or 'none'}{', ' + hint if hint else ''}"
