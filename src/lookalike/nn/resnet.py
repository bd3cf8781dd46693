"""A residual convolutional network that keeps the size of its image.

Each block is  h + conv1x1(act(conv3x3(act(h))))  (He et al. 2016, arXiv:1603.05027, pre-activation) without
normalisation, so that no item depends on the rest of its batch; every block starts as the identity.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualConv(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W) through `depth` residual blocks of `width`."""

    def __init__(self, inputs: int, outputs: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1))
            for _ in range(depth)
        )
        for block in self.blocks:
            nn.init.zeros_(block.get_parameter("3.weight"))
            nn.init.zeros_(block.get_parameter("3.bias"))
        self.leave = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        for block in self.blocks:
            h = h + block(h)
        return self.leave(F.silu(h))
