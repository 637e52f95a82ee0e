"""Learnable filters in the frequency domain, as FMLP-Rec and the list filter of Ada-Retrieval have them.

Source: Zhou et al., "Filter-enhanced MLP is all you need for sequential recommendation" (WWW 2022), equations 2 to 4.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["filtered"]


def filtered(x_BLD: Float[Tensor, "B L D"], filter_FD2: Float[Tensor, "F D 2"]) -> Float[Tensor, "B L D"]:
    """Each channel convolved, around the ends of the L steps, with the inverse transform of its filter.

    ``filter_FD2``: real and imaginary parts of L // 2 + 1 frequencies. In half precision it is computed in single, because transforms do
    not know bfloat16, nor float16 of lengths that are no power of two.
    """
    wide = torch.promote_types(x_BLD.dtype, torch.float32)
    spectrum = torch.fft.rfft(x_BLD.to(wide), dim=1, norm="ortho") * torch.view_as_complex(filter_FD2.to(wide))
    return torch.fft.irfft(spectrum, n=x_BLD.shape[1], dim=1, norm="ortho").to(x_BLD.dtype)
