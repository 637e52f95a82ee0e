"""Shapes and types are checked at run time in the tests, and only there."""

from __future__ import annotations

from jaxtyping import install_import_hook

with install_import_hook("recpref", "beartype.beartype"):
    import recpref  # noqa: F401
