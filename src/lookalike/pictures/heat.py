"""Where images are odd: each beside itself with its odd pixels in red."""

from __future__ import annotations

import math

import torch
from PIL.Image import Image
from torch import Tensor

from .images import grid


def heat(x: Tensor, parts: Tensor, *, columns: int = 4) -> Image:
    """Images and their heat, side by side, `columns` pairs in a row.

    Arguments:
        x: in [0, 1], shape (N, C, H, W).
        parts: how much each pixel adds to what is odd, likewise, at least 0.
    """
    colours = x if x.shape[1] == 3 else x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    hot = _hot(parts)
    red = torch.tensor([0.9, 0.1, 0.0]).view(1, 3, 1, 1)
    marked = (0.25 + 0.5 * colours.float()) * (1 - hot) + red * hot
    columns = min(columns, len(x))
    both = torch.stack([colours.float(), marked], dim=1).flatten(0, 1)
    return grid(both, columns=2 * columns, column_labels=["item", "odd"] * columns)


def _hot(parts: Tensor) -> Tensor:
    """From 0 to 1, (N, 1, H, W): pixels with those around them, against the hottest of the image."""
    of = parts.float().sum(1, keepdim=True)
    size = max(1, round(math.sqrt(of.shape[2] * of.shape[3]) / 16)) // 2 * 2 + 1
    smooth = torch.nn.functional.avg_pool2d(of, size, stride=1, padding=size // 2, count_include_pad=False)
    return (smooth / smooth.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)).sqrt()
