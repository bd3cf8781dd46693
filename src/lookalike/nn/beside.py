"""Labels beside a network's input: one-hot, entries of a row or constant planes of an image.

Mirza & Osindero (2014), "Conditional generative adversarial nets", arXiv:1411.1784, section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Beside(nn.Module):
    """A network whose first input, (B, n, ...), has one-hot labels y, (B,), beside it: (B, n + classes, ...)."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.classes = classes

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        label = F.one_hot(y, self.classes).to(h.dtype)
        label = label.reshape(*label.shape, *[1] * (h.dim() - 2)).expand(-1, -1, *h.shape[2:])
        return self.network(torch.cat([h, label], dim=1))
