"""Random numbers that are a function of (seed, epoch, row): a counter, hashed.

A row's numbers do not depend on the batch it fell into, on the batch size, on the worker or on how many steps came before,
so changing any of those changes nothing else, and a resumed run continues exactly. The mixer is SplitMix64's finaliser
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)  # torch has only the arithmetic shift


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _FIRST
    x = (x ^ _shift_right(x, 27)) * _SECOND
    return x ^ _shift_right(x, 31)


class Draw(NamedTuple):
    """The randomness of some rows in one epoch."""

    seed: int
    epoch: int
    row: Int[Tensor, " B"]

    def uniform(self, n: int, *, stream: int = 0) -> Float[Tensor, "B n"]:
        """``n`` numbers in [0, 1) for each row; another ``stream`` gives independent ones.

        Shapes: [B, n], float64 of 53 random bits, on the device of ``row``.
        """
        row = self.row.long()
        key = row.new_tensor(_signed((self.seed * 0x9E3779B1 + self.epoch) % (1 << 64)))
        row = _mix(_mix(key + _GOLDEN) + row * _GOLDEN + stream)
        column = torch.arange(1, n + 1, device=row.device)
        bits = _mix(row[:, None] + column[None, :] * _GOLDEN)
        return _shift_right(bits, 11).double() * 2.0**-53


def seed_of(*parts: int) -> int:
    """One 63-bit seed out of several integers, for generators that take a single number."""
    key = torch.zeros((), dtype=torch.long)
    for part in parts:
        key = _mix(key + part + _GOLDEN)
    return int(key) & ((1 << 63) - 1)
