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

import random
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    """A linear layer with the weights under `mask`, shape (outputs, inputs), or one of (masks, outputs, inputs)."""

    mask: Tensor

    def __init__(self, mask: Tensor, bias: bool = True) -> None:
        super().__init__(mask.shape[-1], mask.shape[-2], bias=bias)
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def masked(self, which: int = 0) -> Tensor:
        """The weights with their zeros, shape (outputs, inputs)."""
        # The product, not an edit of weight.data: that would bypass autograd and the optimiser.
        return self.weight * (self.mask if self.mask.dim() == 2 else self.mask[which])

    def forward(self, x: Tensor, which: int = 0) -> Tensor:
        return F.linear(x, self.masked(which), self.bias)


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
        input_degrees, output_degrees: a whole number from 0 (seen by all) or 1 up for each input and output; or several
            rows of them, shape (orderings, inputs): one network with as many masks, in each other degrees.
        width: of the residual blocks, `depth` of them.

    Attributes:
        degrees: of inputs, hidden units and outputs, shape (orderings, ...) each.
    """

    def __init__(self, input_degrees: Tensor, output_degrees: Tensor, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        entering, leaving = torch.atleast_2d(input_degrees), torch.atleast_2d(output_degrees)
        # Spread evenly from 0, units that see nothing: without them the first output would be a bare bias, and
        # learn far more slowly than the others. The last degree is the last that any output can see.
        even = torch.linspace(0, int(leaving.max()) - 1, width).round()
        # Python's own generator, whose shuffles stay as they are: masks are not saved but made again.
        shuffles = [list(range(width)), *(random.Random(k).sample(range(width), width) for k in range(1, len(leaving)))]
        hidden = torch.stack([even[shuffle] for shuffle in shuffles])
        self.degrees = (entering, hidden, leaving)
        within = hidden[:, None] <= hidden[:, :, None]
        self.enter = MaskedLinear(entering[:, None] <= hidden[:, :, None])
        self.blocks = nn.ModuleList(Block(within) for _ in range(depth))
        self.leave = MaskedLinear(hidden[:, None] < leaving[:, :, None])
        self.direct = MaskedLinear(entering[:, None] < leaving[:, :, None], bias=False)

    def forward(self, x: Tensor, ordering: int = 0) -> Tensor:
        h = self.enter(x, ordering)
        for block in self.blocks:
            h = block(h, ordering)
        return self.leave(F.silu(h), ordering) + self.direct(x, ordering)


class Block(nn.Module):
    """Residual, of constant degrees; it starts as the identity."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.first, self.second = MaskedLinear(mask), MaskedLinear(mask)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: Tensor, ordering: int = 0) -> Tensor:
        out: Tensor = h + self.second(F.silu(self.first(F.silu(h), ordering)), ordering)
        return out


class MaskedSteps:
    """A MaskedMLP degree by degree, each unit computed once: `tell` the inputs of degree 0, then `outputs` of degree 1,
    `tell` those of degree 1, and so on.

    The units lie in the order of their degrees, so that those a unit sees are one run of memory.

    Arguments:
        n: rows.
    """

    def __init__(self, network: MaskedMLP, n: int, ordering: int = 0) -> None:
        degrees = [of[ordering].cpu() for of in network.degrees]
        last = int(degrees[2].max())
        orders = [of.argsort(stable=True) for of in degrees]
        # Where the units of each degree begin: those of degree d are ends[d] : ends[d + 1].
        self.entering, self.hidden, self.leaving = (
            torch.searchsorted(of.sort().values, torch.arange(last + 2)).tolist() for of in degrees
        )

        def sorted_(linear: MaskedLinear, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
            """Weights, shape (inputs, outputs), and bias, with the units in order."""
            into, out_of = orders[inputs].to(linear.weight.device), orders[outputs].to(linear.weight.device)
            weight = linear.masked(ordering).detach()
            bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach()
            return weight[out_of][:, into].t().contiguous(), bias[out_of]

        self.enter, self.leave = sorted_(network.enter, 0, 1), sorted_(network.leave, 1, 2)
        self.direct, _ = sorted_(network.direct, 0, 2)
        self.linears = [
            sorted_(linear, 1, 1)
            for block in cast("list[Block]", list(network.blocks))
            for linear in (block.first, block.second)
        ]
        self.x = self.direct.new_zeros(n, len(orders[0]))
        # What each linear layer takes, and last what `leave` does: silu of the units so far.
        self.active = [self.direct.new_zeros(n, len(orders[1])) for _ in range(len(self.linears) + 1)]

    def outputs(self, degree: int) -> Tensor:
        """Those of this degree, in their own order, shape (n, outputs of this degree)."""
        seen, told = self.hidden[degree], self.entering[degree]
        first, last = self.leaving[degree], self.leaving[degree + 1]
        weight, bias = self.leave
        out = torch.addmm(bias[first:last], self.active[-1][:, :seen], weight[:seen, first:last])
        return out.addmm_(self.x[:, :told], self.direct[:told, first:last])

    def tell(self, degree: int, x: Tensor) -> None:
        """The inputs of this degree, in their own order, shape (n, inputs of this degree)."""
        told = self.entering[degree + 1]
        self.x[:, self.entering[degree] : told] = x
        first, last = self.hidden[degree], self.hidden[degree + 1]
        if first == last:
            return
        new = slice(first, last)
        weight, bias = self.enter
        stream = inside = torch.addmm(bias[new], self.x[:, :told], weight[:told, new])
        for i, (active, (weight, bias)) in enumerate(zip(self.active, self.linears, strict=False)):
            active[:, new] = F.silu(inside)
            inside = torch.addmm(bias[new], active[:, :last], weight[:last, new])
            if i % 2:  # the second of a block, which is added to what came in
                stream = inside = stream + inside
        self.active[-1][:, new] = F.silu(stream)
