"""Convolutions whose weights are a direction and a length, set so that their first outputs are standardised.

    y_c = gain_c * (v_c / |v_c|) * x + bias_c

The length of v_c has no say in y, so that a gradient step turns v_c by an angle, whatever its scale. At the first batch
gain and bias are chosen such that each channel of y has mean 0 and standard deviation `scale` (see `firstbatch`).

Salimans & Kingma (2016), "Weight normalization", arXiv:1602.07868.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .firstbatch import FromFirstBatch, moments


class WeightNormConv2d(nn.Module, FromFirstBatch):
    """(B, inputs, H, W) -> (B, outputs, H', W'), H' and W' by the padding and the stride.

    Arguments:
        window: rows and columns of the kernel.
        padding: zeros to the left, to the right, above and below.
        scale: standard deviation of the outputs at the first batch.
        mask: which weights are used, shape (rows, columns); None for all.
    """

    initialised: Tensor
    mask: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: tuple[int, int],
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        stride: int = 1,
        scale: float = 1.0,
        mask: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(outputs, inputs, *window))
        self.gain = nn.Parameter(torch.full((outputs,), scale))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.padding, self.stride, self.scale = padding, stride, scale
        self.register_buffer("mask", None if mask is None else mask.float(), persistent=False)
        self.register_buffer("initialised", torch.tensor(False))

    def kernel(self) -> Tensor:
        """gain * v / |v|, shape (outputs, inputs, rows, columns)."""
        v = self.direction if self.mask is None else self.direction * self.mask
        return v * (self.gain / v.flatten(1).norm(dim=1))[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        if any(self.padding):
            x = F.pad(x, self.padding)
        return F.conv2d(x, self.kernel(), self.bias, self.stride)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """As `FromFirstBatch.initialise`; of an output that is constant in x only the mean is taken away."""
        if self.initialised:
            return
        self.gain.fill_(1.0)
        out = self.forward(x)  # not self(x), which would come back here
        mean, variance = moments(out.to(self.bias.dtype))
        self.gain.copy_(self.scale * variance.rsqrt())
        self.bias.copy_((self.bias - mean) * self.gain)
        self.initialised.fill_(True)
