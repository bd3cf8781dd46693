"""Images pixel by pixel: what every autoregressive model of images shares, whatever its network.

    log p(x) = sum over pixels (i, j) of  log p(x_ij | all pixels before it in raster order)

A `CausalNetwork` turns the image into the parameters of every pixel in one pass, each from the pixels before it;
a `Pixelwise` likelihood turns those into probabilities. An image is drawn by asking a network's `stepper` for one
pixel's parameters at a time: a stepper keeps every activation it has computed, so that drawing an image costs
about as much as scoring it (`naive` recomputes all of it for each pixel, and is what a stepper is checked against).

Each intensity is drawn by the inverse of its distribution function from one uniform number, all of which are
drawn beforehand: so the same seed draws the same image by any stepper, with any companions in the batch.
Ramachandran et al. (2017), "Fast generation for convolutional autoregressive models", arXiv:1704.06001.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ....errors import UserError
from ....nn.likelihoods import Pixelwise
from ....spec import Spec
from ...base import Completer, Explicit, seeded

Stepper = Callable[[Tensor, int, int, int], Tensor]
"""`step(h, i, j, c)`: the params of pixel (i, j), shape (n, width), given the image so far.

h, shape (n, C, H, W), is in the door's units and filled in place by the caller: what comes before channel c of
pixel (i, j) is right when it is called, the rest is not to be looked at. It is called once for each (i, j), in
raster order, with c = 0; where the likelihood is `by_channel`, once for each c of 0 ... C - 1 in turn, and then only
the params of channels up to c need to be right. What it gives may be overwritten by the next call.
"""


class CausalNetwork(nn.Module, ABC):
    """(B, C, H, W) in the door's units -> params (B, width, H, W), those of a pixel from the pixels before it.

    Where the likelihood is `by_channel` the params of channel c come from the channels before c of its pixel too.
    """

    @abstractmethod
    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        """The params of every pixel; y are labels, shape (B,), of a conditional network."""

    @abstractmethod
    def stepper(self, n: int, y: Tensor | None) -> Stepper:
        """The same, a pixel at a time for n images, each activation computed once."""


def naive(network: CausalNetwork, y: Tensor | None) -> Stepper:
    """The stepper that recomputes the whole image for each pixel."""

    def step(h: Tensor, i: int, j: int, _: int) -> Tensor:
        return network(h, y)[:, :, i, j]

    return step


class Raster(Explicit, Completer):
    """An autoregressive model of images: a causal network and a likelihood of its pixels.

    Arguments:
        network: from the door's units to params of shape (B, likelihood.width, H, W).
        conditional: whether the network takes labels.
    """

    exact = True
    draws_slowly = True

    def __init__(self, spec: Spec, network: CausalNetwork, likelihood: Pixelwise, conditional: bool = False) -> None:
        super().__init__(spec)
        self.network = network
        self.likelihood = likelihood
        self.conditional = conditional

    def params(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What the likelihood takes, shape (B, likelihood.width, H, W); a pixel's depend on those before it only."""
        params: Tensor = self.network(self.door.enter(x), self.labels(y))
        return params

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.log_prob(x, self.params(x, y))

    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        watch: Callable[[Tensor, int], None] | None = None,
    ) -> Tensor:
        """As `Explicit.sample`.

        Arguments:
            watch: told the images so far and how many of their rows are drawn, after each row.
        """
        return self._drawn(torch.zeros(n, *self.spec.shape, device=self.device), None, y, seed, temperature, watch)

    def complete(
        self,
        x: Tensor,
        mask: Tensor,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        watch: Callable[[Tensor, int], None] | None = None,
    ) -> Tensor:
        """As `Completer.complete`, each intensity given all before it in raster order; `watch` as in `sample`."""
        return self._drawn(x, mask, y, seed, temperature, watch)

    def _drawn(
        self,
        x: Tensor,
        mask: Tensor | None,
        y: Tensor | None,
        seed: int | None,
        temperature: float,
        watch: Callable[[Tensor, int], None] | None,
    ) -> Tensor:
        with seeded(seed, self.device), torch.inference_mode():
            u = torch.rand(x.shape, dtype=torch.float64, device=x.device)
            drawn = self.drawn(x, mask, u, self.network.stepper(len(x), self.labels(y)), temperature, watch)
        return drawn.clone()  # a tensor that autograd may use, as those of inference mode may not

    def drawn(
        self,
        x: Tensor,
        mask: Tensor | None,
        u: Tensor,
        step: Stepper,
        temperature: float = 1.0,
        watch: Callable[[Tensor, int], None] | None = None,
    ) -> Tensor:
        """`complete` (of nothing known where there is no mask) from numbers u in [0, 1), shape of x, by a stepper."""
        C, H, _ = self.spec.shape
        grid = torch.arange(self.spec.levels, dtype=self.door.precision.dtype, device=x.device)
        grid /= self.spec.levels - 1
        known = None if mask is None else mask.expand_as(x)
        x = torch.zeros_like(x, dtype=grid.dtype) if known is None else torch.where(known, x, 0.0).to(grid.dtype)
        h = self.door.enter(x)
        for i in range(H):
            # Views of each channel of each pixel, shape (n,), made once a row.
            pixels, channels = x[:, :, i].unbind(2), _by_pixel(x, i)
            entries, numbers = _by_pixel(h, i), _by_pixel(u, i)
            knowns = None if known is None else _by_pixel(known, i)
            for j, pixel in enumerate(pixels):
                for c in range(C):
                    if c == 0 or self.likelihood.by_channel:
                        params = step(h, i, j, c)
                    drawn = grid.take(self.likelihood.quantile(params, pixel, c, numbers[c][j], temperature))
                    if knowns is not None:
                        drawn = torch.where(knowns[c][j], channels[c][j], drawn)
                    channels[c][j].copy_(drawn)
                    entries[c][j].copy_(self.door.enter(drawn))
            if watch is not None:
                watch(x, i + 1)
        return x


def labels_of(spec: Spec, conditional: bool, recipe: str) -> int:
    """How many labels a network is conditioned on: 0 for one that is not.

    Raises:
        UserError: it is to be conditional, and the data has no labels.
    """
    if conditional and not spec.classes:
        raise UserError(f"{recipe}: conditional needs labels, but this data has none. Name them with --label.")
    return len(spec.classes) * conditional


def _by_pixel(x: Tensor, i: int) -> list[tuple[Tensor, ...]]:
    """Row i of x, shape (n, C, H, W), as [c][j] of shape (n,)."""
    return [channel.unbind(1) for channel in x[:, :, i].unbind(1)]
