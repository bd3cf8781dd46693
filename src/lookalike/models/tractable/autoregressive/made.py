"""MADE: every conditional of a row or a small image in one pass of one masked perceptron.

    log p(x) = sum_d log p(x_d | x_<d),      params of p(x_d | x_<d) = network(x)_d,  masked to see x_<d

    points, tables    a mixture of Gaussians for a number, a categorical for a category; field by field, the
                      gate of a number that may be missing before the number itself
    images            Bernoulli or categorical, pixel by pixel in raster order

Exact, and one pass to score; sampling takes one pass a field, since x_d must be drawn before x_d+1.

Germain et al. (2015), arXiv:1502.03509; mixtures as in Uria et al. (2013), "RNADE", arXiv:1306.0186.
Differs from the paper: one ordering, the data's own, where the paper averages over several.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ....errors import UserError
from ....nn.doors import missing
from ....nn.likelihoods import Bernoulli, Categorical, Columns, Likelihood
from ....nn.masked import MaskedMLP
from ....nn.own import checked
from ....options import Range
from ....spec import Spec
from ...base import Explicit, seeded

MOST_LEVELS = 16


class MADE(Explicit):
    """Masked autoregressive network for points, tables and images of few levels.

    Arguments:
        width: of the network.
        depth: residual blocks, two layers each.
        components: Gaussians in the mixture of a number.
        network: instead of those, your own: (B, D) -> (B, outputs), in which what an entry's distribution is
            made of depends on the entries before it only; see `likelihood.width`.
    """

    exact = True
    bf16 = False  # its three digits are too few for the mean of a narrow mode

    def __init__(
        self,
        spec: Spec,
        *,
        width: Annotated[int, Range(1)] = 128,
        depth: Annotated[int, Range(0)] = 2,
        components: Annotated[int, Range(1)] = 16,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(spec)
        self.likelihood: Likelihood
        self.network: nn.Module
        if spec.kind == "images":
            if spec.levels > MOST_LEVELS:
                raise UserError(
                    f"made takes images of up to {MOST_LEVELS} levels, but these have {spec.levels}. "
                    "Make them binary with --binarize dynamic, or use pixelcnn."
                )
            self.likelihood = Bernoulli(spec) if spec.levels == 2 else Categorical(spec)
            inputs = torch.arange(spec.dims) + 1
            outputs = inputs.repeat(self.likelihood.width // spec.shape[0])
        else:
            self.likelihood = Columns(spec, components)
            order = torch.arange(len(self.door.fields)) + 1
            inputs = order.repeat_interleave(torch.tensor([field.width for field in self.door.fields]))
            outputs = order.repeat_interleave(torch.tensor(self.likelihood.widths))
        if network is not None:
            self.network = checked(network, "network", (len(inputs),), (len(outputs),))
            return
        self.network = masked = MaskedMLP(inputs, outputs, width, depth)
        if isinstance(self.likelihood, Columns):
            with torch.no_grad():
                masked.leave.bias.copy_(self.likelihood.spread())

    def params(self, h: Tensor) -> Tensor:
        """What the likelihood takes, from h as the door gives it; an entry's come from those before it."""
        params: Tensor = self.network(h.flatten(1))
        return params.unflatten(1, (-1, *self.spec.shape[1:])) if self.spec.kind == "images" else params

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.log_prob(x, self.params(self.door.enter(x)))

    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device), torch.inference_mode():
            h = torch.zeros(n, *self.door.shape, dtype=self.door.precision.dtype, device=self.device)
            x = self._fields(h, temperature) if isinstance(self.likelihood, Columns) else self._pixels(h, temperature)
        return x.clone()  # a tensor that autograd may use, as those of inference mode may not

    def _pixels(self, h: Tensor, temperature: float) -> Tensor:
        entries = h.flatten(1)
        for d in range(entries.shape[1]):
            drawn = self.door.enter(self.likelihood.sample(self.params(h), temperature))
            entries[:, d] = drawn.flatten(1)[:, d]
        return self.door.leave(h)

    def _fields(self, h: Tensor, temperature: float) -> Tensor:
        assert isinstance(self.likelihood, Columns)
        for d, field in enumerate(self.door.fields):
            _, part = list(self.likelihood.parts(self.params(h)))[d]
            drawn = self.likelihood.sample_field(field, part, temperature)
            if field.gate >= 0:  # as the door has it: 0 where the number is missing
                drawn = drawn.masked_fill(missing(h, field)[:, None], 0.0)
            h[:, field.entries] = drawn
        return self.door.leave(h)
