"""What was damaged beside what was made of it, item by item, and what changed."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor

from .images import grid

WIDE = 76
"""Pixels that a tile is at least wide, so that the words above it fit."""
MOST = 48
"""Items in one picture."""


def repairs(before: Tensor, repaired: Tensor, truth: Tensor | None = None) -> Image.Image:
    """before | repaired | difference (grey is none) | truth, an item each, all in [0, 1], (N, C, H, W)."""
    before, repaired = before[:MOST], repaired[:MOST]
    columns = {"before": before, "repaired": repaired, "difference": 0.5 + (repaired - before) / 2}
    if truth is not None:
        columns["truth"] = truth[:MOST]
    C, H, W = before.shape[1:]
    N, side_by_side = len(before), 1 if len(before) <= 6 else 2
    rows = math.ceil(N / side_by_side)
    blank = torch.ones(rows * side_by_side - N, C, H, W)
    each = torch.stack([torch.cat([of.to(before), blank]) for of in columns.values()], 1)  # (items, columns, C, H, W)
    ordered = each.unflatten(0, (side_by_side, rows)).transpose(0, 1).flatten(0, 2)
    scale = max(1, math.ceil(WIDE / W))
    labels = [*columns] * side_by_side
    return grid(ordered, columns=len(labels), column_labels=labels, scale=scale)
