"""Couplings: what is shown decides how what is hidden is mapped, so the Jacobian is triangular.

    Coupling          z = x                             where m = 1         log |det dz/dx| = sum of log |slope|
                      z = map(x; network(m x))          where m = 0                           where m = 0
    Autoregressive    z_d = map(x_d; network(x_<d))                         the same, of all

The map of a number is one of `elementwise`. A coupling is one pass each way; an autoregressive map is one pass
from x to z, and one pass for each number back.

Dinh et al. (2017), "Density estimation using Real NVP", arXiv:1605.08803, section 3.4; Papamakarios et al.
(2017), "Masked autoregressive flow for density estimation", arXiv:1705.07057, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ....nn.likelihoods import precise
from ....nn.masked import MaskedMLP
from .bijections import Bijection, Chain
from .elementwise import Elementwise

Conditioner = Callable[[int, int], nn.Module]
"""Makes the network of a coupling for so many inputs and outputs (columns, or channels of an image)."""


class Coupling(Bijection):
    """What the mask hides is mapped by a function of what it shows, and of the context.

    Arguments:
        mask: 1 where x is kept, as wide as x: shape (D,), (C, 1, 1) or (1, H, W).
        channels: columns or channels of x.
        elementwise: what is done to a number.
        conditioner: makes the network, which should give 0 at first: then the coupling starts as the identity.
        context: columns or channels of the context.
    """

    mask: Tensor

    def __init__(
        self, mask: Tensor, channels: int, elementwise: Elementwise, conditioner: Conditioner, context: int = 0
    ) -> None:
        super().__init__()
        self.register_buffer("mask", mask.to(torch.get_default_dtype()))
        self.elementwise = elementwise
        self.network = conditioner(channels + context, elementwise.width * channels)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.elementwise.forward(x, self._params(x, context))
        hidden = 1 - self.mask
        return x * self.mask + z * hidden, (log_slope * hidden).flatten(1).sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x, _ = self.elementwise.inverse(z, self._params(z, context))  # z is x where the network looks
        return z * self.mask + x * (1 - self.mask)

    def _params(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Shape (B, width, *x.shape[1:])."""
        params = precise(self.network(beside(x * self.mask, context)))
        return params.unflatten(1, (self.elementwise.width, x.shape[1]))


class Autoregressive(Bijection):
    """Each column is mapped by a function of the columns before it, and of the context.

    Arguments:
        columns: of x.
        elementwise: what is done to a number.
        backwards: whether the last column comes first.
        context: columns of the context.
        width, depth: of the masked network.
    """

    def __init__(
        self, columns: int, elementwise: Elementwise, *, backwards: bool, context: int, width: int, depth: int
    ) -> None:
        super().__init__()
        self.elementwise = elementwise
        self.order = list(range(columns))[:: -1 if backwards else 1]
        degrees = torch.tensor(self.order).argsort() + 1
        inputs = torch.cat([degrees, torch.zeros(context, dtype=torch.long)])
        self.network = MaskedMLP(inputs, degrees.repeat(elementwise.width), width, depth)
        for parameter in (*self.network.leave.parameters(), *self.network.direct.parameters()):
            nn.init.zeros_(parameter)  # the identity at first

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.elementwise.forward(x, self._params(x, context))
        return z, log_slope.sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        columns = [torch.zeros_like(z[:, 0])] * z.shape[1]
        for d in self.order:  # a new tensor each time, since autograd may look at those before
            params = self._params(torch.stack(columns, 1), context)
            columns[d] = self.elementwise.inverse(z[:, d : d + 1], params[..., d : d + 1])[0][:, 0]
        return torch.stack(columns, 1)

    def _params(self, x: Tensor, context: Tensor | None) -> Tensor:
        return precise(self.network(beside(x, context))).unflatten(1, (self.elementwise.width, x.shape[1]))


def beside(x: Tensor, context: Tensor | None) -> Tensor:
    """x with the context as further columns or channels."""
    if context is None:
        return x
    if context.dim() < x.dim():
        context = context[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, context.to(x.dtype)], dim=1)


def coupled(
    masks: Sequence[Tensor],
    channels: int,
    elementwise: Elementwise,
    conditioner: Conditioner,
    context: int,
    between: Callable[[], list[Bijection]],
) -> Chain:
    """A coupling for each mask, and before each what `between` makes."""
    steps: list[Bijection] = []
    for mask in masks:
        steps += [*between(), Coupling(mask, channels, elementwise, conditioner, context)]
    return Chain(steps)
