"""A pixel as a mixture of discretised logistics, its channels related by the mixture and by linear means.

    p(x_1 ... x_C) = sum_k w_k prod_c p_k(x_c | x_<c)
    p_k(x_c | x_<c) = F((h_c + b - mean_kc) / s_kc) - F((h_c - b - mean_kc) / s_kc),      the end bins open
    mean_kc = m_kc + sum_{c' < c} tanh(a_kcc') h_c'

h = 2 x - 1 are the intensities in [-1, 1], b = 1 / (levels - 1) half a bin, F the logistic function. Few numbers for
256 levels, and near intensities are told to be near, which a categorical has to learn. Given the channels before it a
channel is again a mixture, in which each component counts as much as it explained those:

    p(x_c | x_<c) = sum_k w_k prod_{c' < c} p_k(x_c') p_k(x_c) / sum_k w_k prod_{c' < c} p_k(x_c')

Salimans et al. (2017), "PixelCNN++", arXiv:1701.05517, section 2. Differs from the paper: any number of channels and
levels; and where the paper's code chooses between four branches (two open bins, the difference of F, the density where
that difference vanishes), ours needs no fourth: log_interval_logistic writes the difference as a product,
F(u) - F(l) = F(u) F(-l) (1 - e^(l - u)), whose logarithm is exact however far in the tail the bin is.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..spec import Spec
from .doors import Door
from .likelihoods import Bernoulli, Categorical, Pixelwise, log_bin_logistic, precise

PixelwiseName = Literal["auto", "bernoulli", "categorical", "mixture"]


class Mixture(Pixelwise):
    """Images of any levels and channels.

    params of one pixel are K logits of the components, then K numbers for each channel's mean, K for each channel's
    log scale, and K for each pair of channels c' < c, in the order (1, 0), (2, 0), (2, 1), ...

    Arguments:
        components: K.
    """

    by_channel = False

    def __init__(self, spec: Spec, components: int = 10) -> None:
        super().__init__()
        self.door = Door(spec)
        self.levels, self.channels, self.components = spec.levels, spec.shape[0], components
        pairs = self.channels * (self.channels - 1) // 2
        self.width = components * (1 + 2 * self.channels + pairs)

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        params = precise(params)
        log_weight, log_p = self._components(self.door.enter(x), params.unflatten(1, (-1, self.components)))
        return (log_weight + log_p.sum(1)).logsumexp(1).flatten(1).sum(1)

    def log_pmf(self, params: Tensor, pixel: Tensor, c: int) -> Tensor:
        log_weight, mean, log_scale = self._given(params, pixel, c)
        grid = self.door.enter(torch.arange(self.levels, dtype=mean.dtype, device=mean.device) / (self.levels - 1))
        log_p = log_bin_logistic(grid[:, None], mean[:, None], log_scale[:, None], self.levels)  # (n, levels, K)
        return (log_weight[:, None] + log_p).logsumexp(2)

    def quantile(self, params: Tensor, pixel: Tensor, c: int, u: Tensor, temperature: float = 1.0) -> Tensor:
        if temperature != 1:
            return super().quantile(params, pixel, c, u, temperature)
        log_weight, mean, log_scale = self._given(params, pixel, c)
        weight, shrink, u = log_weight.exp()[:, :, None], (-log_scale).exp()[:, None], u[:, None]

        def passed(k: Tensor) -> Tensor:
            """At how many of these intensities, shape (n or 1, count), the distribution function is up to u, (n,)."""
            edge = (2 * k[..., None].to(mean.dtype) + 1) / (self.levels - 1) - 1
            cdf = (((edge - mean[:, None]) * shrink).sigmoid() @ weight)[..., 0]
            return ((cdf <= u) & (k < self.levels - 1)).sum(1)

        # It is known in closed form, so that a coarse search and a fine one need few of its values.
        step = math.isqrt(self.levels - 1) + 1
        start = step * passed(torch.arange(step - 1, self.levels - 1, step, device=mean.device)[None])
        return start + passed(start[:, None] + torch.arange(step - 1, device=mean.device))

    def spread(self) -> Tensor:
        """Params at which a mixture starts well, shape (width,): its means spread evenly over [-1, 1].

        Parts that start alike get like gradients, and stay together on one of several modes.
        """
        K, C = self.components, self.channels
        means = (2 * torch.arange(K) + 1) / K - 1
        params = torch.zeros(self.width // K, K)
        params[1 : 1 + C] = means
        params[1 + C : 1 + 2 * C] = -math.log(K)
        # Coefficients of 0: a channel's mean does not yet move with the others'.
        return params.flatten()

    def _given(self, params: Tensor, pixel: Tensor, c: int) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, means and log scales of channel c given those before it, shape (n, K) each."""
        h = self.door.enter(pixel)
        params = precise(params).unflatten(1, (-1, self.components))
        log_weight, log_p = self._components(h, params, c)
        # Each component counts as much as it explained the channels before.
        return (log_weight + log_p.sum(1)).log_softmax(1), *self._channel(h, params, c)

    def _components(self, h: Tensor, params: Tensor, channels: int | None = None) -> tuple[Tensor, Tensor]:
        """log w_k, shape (B, K, ...), and log p_k of the first channels (of all), shape (B, channels, K, ...).

        Arguments:
            h: shape (B, C, ...).
            params: shape (B, width / K, K, ...).
        """
        count = self.channels if channels is None else channels
        log_p = h.new_zeros(len(h), 0, *params.shape[2:])
        if count:
            of_each = [self._channel(h, params, c) for c in range(count)]
            mean, log_scale = (torch.stack(part, 1) for part in zip(*of_each, strict=True))
            log_p = log_bin_logistic(h[:, :count, None], mean, log_scale, self.levels)
        return params[:, 0].log_softmax(1), log_p

    def _channel(self, h: Tensor, params: Tensor, c: int) -> tuple[Tensor, Tensor]:
        """mean_kc given the channels before c, and log s_kc, shape (B, K, ...) each."""
        C = self.channels
        mean, log_scale = params[:, 1 + c], params[:, 1 + C + c]
        if c:
            first = 1 + 2 * C + c * (c - 1) // 2
            mean = mean + (params[:, first : first + c].tanh() * h[:, :c, None]).sum(1)
        return mean, log_scale.clamp(-7, 7)  # from far below a bin of 8 bits to far above the range


def pixelwise(spec: Spec, name: PixelwiseName = "auto", components: int = 10) -> Pixelwise:
    """The likelihood of that name for the pixels of images like `spec`.

    Arguments:
        name: "auto" (Bernoulli for binary images, categorical for others), "bernoulli", "categorical", or "mixture".
        components: of a mixture.

    Raises:
        UserError: it is not for such data.
    """
    if spec.kind != "images":
        raise UserError(f"pixels are of images, but this data is {spec.kind}. Use made, which takes {spec.kind} too.")
    if name == "bernoulli" and spec.levels != 2:
        raise UserError(
            f"--likelihood bernoulli is for binary images, but these have {spec.levels} levels. "
            "Make them binary with --binarize dynamic, or choose categorical or mixture."
        )
    if name == "mixture":
        return Mixture(spec, components)
    return Bernoulli(spec) if spec.levels == 2 and name != "categorical" else Categorical(spec)
