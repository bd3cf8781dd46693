"""How much is computed at once, and getting it to where that is done."""

from __future__ import annotations

import torch
from torch import Tensor

IN_CACHE = 2**18
"""Numbers of a layer on a CPU: 1 MB, which its caches hold; a pass of 16 MB took a quarter longer for each draw."""

COPIES = 64
"""Tensors of the widest layer that may be there at a time, by a cautious guess."""


def numbers_at_once(device: torch.device) -> int:
    """Numbers in the widest layer of one pass without gradients: few on a CPU, on a GPU what its free memory holds."""
    if device.type != "cuda":
        return IN_CACHE
    free, _ = torch.cuda.mem_get_info(device)
    return max(IN_CACHE, free // (4 * COPIES))


def items_at_once(dims: int) -> int:
    """Items of so many numbers in one pass: an autoregressive model's output is hundreds of times more."""
    return min(1000, max(8, 200_000 // dims))


def onto(x: Tensor, device: torch.device) -> Tensor:
    """Items on a device; MPS has no float64."""
    return x.to(device, torch.float32 if device.type == "mps" and x.dtype == torch.float64 else x.dtype)
