"""Overrides: texts such as ``model.d_model=128``, taken apart before anything that they name is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any


def chosen(overrides: Iterable[str]) -> dict[str, Any]:
    """``{"model": "sasrec", "model.d_model": "128"}`` of ``["model=sasrec", "model.d_model=128"]``; the last one wins. A value that
    begins with ``~/`` or ``~name/`` is a path in a home folder.

    Raises: ValueError for a text that is not ``key=value``, that interpolates, or that is no UTF-8, in which paths and names are written.
    """
    pairs = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key or key[0] in "+~":
            raise ValueError(f"{text!r} is not of the form key=value, such as model=bert4rec or optimizer.lr=0.001")
        if "${" in value:
            raise ValueError(f"{text!r}: values are not interpolated; write the value itself")
        try:
            text.encode()
        except UnicodeEncodeError:  # a file's name of another encoding
            raise ValueError(f"{text!r} is not UTF-8; rename what it names, or say another path") from None
        pairs[key.strip()] = os.path.expanduser(value) if value[:1] == "~" and "/" in value else value
    return pairs
