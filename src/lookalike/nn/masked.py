"""Layers of which only some weights are used, so that an output depends on chosen inputs and on no others.

A masked layer computes  y = (W * M) x + b  with a fixed 0/1 mask M. With a degree d for every unit, the
mask  M[i, j] = 1 if d(j) <= d(i)  lets unit i see inputs of its own degree and below; at the last layer
d(j) < d(i) leaves out its own. The product of the masks is then strictly triangular in the degrees.

Germain et al. (2015), "MADE: masked autoencoder for distribution estimation", arXiv:1502.03509, section 4.
Differs from the paper: residual blocks of constant degrees (as in Durkan et al. 2019, arXiv:1906.04032),
and the direct connection from input to output that the paper has as an option, always: through it each
output sees its whole past however narrow the network is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    """A linear layer with the weights under `mask`, shape (outputs, inputs)."""

    mask: Tensor

    def __init__(self, mask: Tensor, bias: bool = True) -> None:
        super().__init__(mask.shape[1], mask.shape[0], bias=bias)
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # The product, not an edit of weight.data: that would bypass autograd and the optimiser.
        return F.linear(x, self.weight * self.mask, self.bias)


class MaskedConv2d(nn.Conv2d):
    """A convolution without padding, with the weights under `mask`, shape (outputs, inputs, height, width)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        outputs, inputs, height, width = mask.shape
        super().__init__(inputs, outputs, (height, width))
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias)


class MaskedMLP(nn.Module):
    """(B, inputs) -> (B, outputs), where an output of degree d depends on the inputs of degree < d.

    Arguments:
        input_degrees, output_degrees: a whole number from 1 up for each input and output.
        width: of the residual blocks, `depth` of them.
    """

    def __init__(self, input_degrees: Tensor, output_degrees: Tensor, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        # Spread evenly from 0, units that see nothing: without them the first output would be a bare bias, and
        # learn far more slowly than the others. The last degree is the last that any output can see.
        degrees = torch.linspace(0, int(output_degrees.max()) - 1, width).round()
        within = degrees <= degrees[:, None]
        self.enter = MaskedLinear(input_degrees <= degrees[:, None])
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), MaskedLinear(within), nn.SiLU(), MaskedLinear(within)) for _ in range(depth)
        )
        self.leave = MaskedLinear(degrees < output_degrees[:, None])
        self.direct = MaskedLinear(input_degrees < output_degrees[:, None], bias=False)
        for block in self.blocks:  # every block starts as the identity
            nn.init.zeros_(block.get_parameter("3.weight"))
            nn.init.zeros_(block.get_parameter("3.bias"))

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        for block in self.blocks:
            h = h + block(h)
        return self.leave(F.silu(h)) + self.direct(x)
