"""Multi-scale PixelRNN: every s-th pixel of every s-th row first, the rest given all of those.

    log p(x) = log p(small) + sum over the pixels (i, j) not in small of  log p(x_ij | pixels before (i, j), small)
    small = x[::s, ::s]

The small image decides what is shown, and a network that draws the rest sees all of it, also what is below. Its pixels
are pixels of x, so nothing is counted twice and the product is a distribution over x.

van den Oord et al. (2016), "Pixel recurrent neural networks", arXiv:1601.06759, section 3.6: a transposed convolution
brings the small image to the size of x, and a 1x1 convolution of that is added to the gates of each layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ....nn.mixture import PixelwiseName, pixelwise
from ....options import Range
from ....spec import Spec
from ...base import Completer, Explicit, seeded
from .pixelrnn import Context, PixelRNN
from .raster import Raster


class MultiScale(Explicit, Completer):
    """Two PixelRNNs for images of any levels and channels: of a small image, and of the rest given that.

    Arguments:
        scale: s; the small image has every s-th pixel of every s-th row.
        layer: row (quicker, sees a triangle above the pixel) or diagonal (sees the whole past).
        width: features of a recurrent layer's state; the stream between the layers has twice as many.
        layers: recurrent layers of each network, each residual.
        likelihood: of a pixel; auto takes bernoulli for binary images and categorical for others.
        components: logistics in the mixture of likelihood mixture.
    """

    exact = True
    draws_slowly = True
    bf16 = False  # what takes time are the recurrent steps, which are float32 in any case
    rest: Tensor

    def __init__(
        self,
        spec: Spec,
        *,
        scale: Annotated[int, Range(2)] = 2,
        layer: Literal["row", "diagonal"] = "diagonal",
        width: Annotated[int, Range(1)] = 16,
        layers: Annotated[int, Range(1)] = 4,
        likelihood: PixelwiseName = "auto",
        components: Annotated[int, Range(1)] = 10,
    ) -> None:
        super().__init__(spec)
        C, H, W = spec.shape
        self.scale = scale
        small = torch.zeros(H, W, dtype=torch.bool)
        small[::scale, ::scale] = True
        self.register_buffer("rest", (~small).flatten().nonzero()[:, 0], persistent=False)
        spec_small = dataclasses.replace(spec, shape=(C, *small[::scale, ::scale].shape))
        p_small, p_rest = (pixelwise(s, likelihood, components) for s in (spec_small, spec))
        self.small = Raster(spec_small, PixelRNN(spec_small.shape, p_small, layer, width, layers), p_small)
        context = Enlarged(C, width, scale, (H, W))
        # Its labels are the small images, in the door's units.
        self.large = Raster(spec, PixelRNN(spec.shape, p_rest, layer, width, layers, context), p_rest, True)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        small = self._small(x)
        params = self.large.params(x, self.door.enter(small))
        # A likelihood takes pixels wherever they are: those that are left, as an image of one row.
        x_rest, params_rest = (t.flatten(2)[:, :, None, self.rest] for t in (x, params))
        return self.small.log_prob(small) + self.large.likelihood.log_prob(x_rest, params_rest)

    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        watch: Callable[[Tensor, int], None] | None = None,
    ) -> Tensor:
        """As `Raster.sample`; what is watched is the large image."""
        x = torch.zeros(n, *self.spec.shape, device=self.device)
        return self.complete(
            x, torch.zeros_like(x[:1], dtype=torch.bool), y, seed=seed, temperature=temperature, watch=watch
        )

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
        """As `Completer.complete`: each intensity given all that is drawn before it, the small image first."""
        known = mask.expand_as(x).clone()
        with seeded(seed, self.device):
            small = self.small.complete(self._small(x), self._small(known), temperature=temperature)
            x = x.to(small.dtype, copy=True)
            self._small(x).copy_(small)
            self._small(known).fill_(True)
            return self.large.complete(x, known, self.door.enter(small), temperature=temperature, watch=watch)

    def _small(self, x: Tensor) -> Tensor:
        """The small image, a view of x."""
        return x[:, :, :: self.scale, :: self.scale]


class Enlarged(Context):
    """The small image, (B, C, h, w) in the door's units, as features of the large one."""

    def __init__(self, channels: int, width: int, scale: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.width, self.shape = width, shape
        self.network = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, scale, stride=scale),
            nn.ReLU(),
        )

    def forward(self, y: Tensor) -> Tensor:
        H, W = self.shape
        features: Tensor = self.network(y)
        return features[:, :, :H, :W]
