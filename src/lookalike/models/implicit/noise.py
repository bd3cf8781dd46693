"""What samples are made of: z ~ N(0, I), or the part of it near the origin.

    truncated at t     z ~ N(0, I) given |z_i| <= t:     z = sqrt(2) erfinv(u erf(t / sqrt(2))),  u ~ U(-1, 1)

A generator has seen little of the far ends of its prior, and its samples from there are the worst ones: a lower
t trades variety for fidelity. As t grows it is the whole normal; t = 0 is the origin, one sample.

Brock et al. (2019), "Large scale GAN training for high fidelity natural image synthesis", arXiv:1809.11096,
section 3.1. Differs from the paper: entries out of range are not drawn again until they are in it; the inverse of
the truncated distribution function gives the same law at once, and one u for every t, so that a curve over t is
smooth in its noise too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def normal(n: int, size: int, like: Tensor, truncation: float | None = None) -> Tensor:
    """n draws of a standard normal, each entry at most `truncation` from 0, shape (n, size).

    Arguments:
        like: whose device and precision they have.
        truncation: at least 0; None for none.
    """
    if truncation is None:
        return torch.randn(n, size, device=like.device, dtype=like.dtype)
    u = 2 * torch.rand(n, size, device=like.device, dtype=like.dtype) - 1
    z = math.sqrt(2) * torch.erfinv(u * math.erf(truncation / math.sqrt(2)))
    return z.clamp(-truncation, truncation)  # where the last digit, or u = -1 at a large t, is beyond it
