"""Overrides: texts such as ``model.d_model=128``, taken apart before anything that they name is imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def chosen(overrides: Iterable[str]) -> dict[str, Any]:
    """``{"model": "sasrec", "model.d_model": "128"}`` of ``["model=sasrec", "model.d_model=128"]``; the last one wins.

    Raises: ValueError for a text that is not ``key=value``, or that interpolates.
    """
    pairs = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key or key[0] in "+~":
            raise ValueError(f"{text!r} is not of the form key=value, such as model=bert4rec or optimizer.lr=0.001")
        if "${" in value:
            raise ValueError(f"{text!r}: values are not interpolated; write the value itself")
        pairs[key.strip()] = value
    return pairs
