"""What stands between a network's output and data: p(x | params), and what of discrete images.

Each takes x in the user's units and `params`, what a decoder or an autoregressive network put out, and
gives log p(x | params) in nats, the mean of x, and draws. Images have discrete intensities, so theirs
are log probabilities: a density over an intensity's bin, integrated,

    p(k) = F((x_k + 1/2 bin - mean) / s) - F((x_k - 1/2 bin - mean) / s),       the end bins open,

with F the logistic (Kingma et al. 2016, arXiv:1606.04934, eq. 15; Salimans et al. 2017, arXiv:1701.05517)
or the normal distribution function. That of rows is in `rows`, mixtures for pixels are in `mixture`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UserError
from ..spec import Spec
from .doors import Door


class Likelihood(nn.Module, ABC):
    """p(x | params).

    Attributes:
        width: entries of params for one item: params has shape (B, width, H, W) for images,
            (B, width) for points and tables.
    """

    width: int

    @abstractmethod
    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """log p(x | params) in nats, shape (B,); x in the user's units, shape (B, *spec.shape)."""

    @abstractmethod
    def mean(self, params: Tensor) -> Tensor:
        """E[x | params] in the user's units (the likeliest category), shape (B, *spec.shape)."""

    @abstractmethod
    def sample(self, params: Tensor, temperature: float = 1.0) -> Tensor:
        """A draw of x in the user's units, shape (B, *spec.shape)."""


class Discrete(Likelihood):
    """p(x | params) of images whose intensities are independent given params."""

    @abstractmethod
    def log_pmfs(self, params: Tensor) -> Tensor:
        """log p of every level at every place, nats, shape (B, levels, C, H, W)."""


class Pixelwise(nn.Module, ABC):
    """p(pixel | params of that pixel), for models that know the pixels before it.

    Attributes:
        width: entries of params for one pixel.
        by_channel: whether the params of channel c are to depend on the pixel's channels before c (then the network
            must see them, the params in the order (..., C), channels innermost); else the likelihood itself relates
            the channels of a pixel.
    """

    width: int
    by_channel: ClassVar[bool]

    @abstractmethod
    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """log p(x | params) in nats, shape (B,); x in [0, 1], shape (B, C, H, W), params (B, width, H, W)."""

    @abstractmethod
    def log_pmf(self, params: Tensor, pixel: Tensor, c: int) -> Tensor:
        """log p(intensity k of channel c | params, channels before c), shape (n, levels), nats.

        Arguments:
            params: of one pixel of each image, shape (n, width).
            pixel: in [0, 1], shape (n, C); only channels before c are looked at.
        """

    def quantile(self, params: Tensor, pixel: Tensor, c: int, u: Tensor, temperature: float = 1.0) -> Tensor:
        """The intensity k at which the distribution function of `log_pmf` passes u: a draw where u is uniform.

        Arguments:
            u: in [0, 1), float64, shape (n,).
            temperature: of log_pmf; at 0 the likeliest intensity.

        Returns:
            int64, shape (n,).
        """
        return quantile(self.log_pmf(params, pixel, c), u, temperature)


class Bernoulli(Discrete, Pixelwise):
    """Binary images: params are the logits of x = 1, shape (B, C, H, W)."""

    by_channel = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        if spec.levels != 2:
            raise UserError(
                f"a Bernoulli likelihood needs binary images, but these have {spec.levels} levels. "
                "Make them binary with --binarize dynamic, or choose --likelihood logistic."
            )
        self.width = spec.shape[0]

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        # log sigmoid(l) at x = 1, log sigmoid(-l) at x = 0: half the work of the cross-entropy, which takes any x.
        return F.logsigmoid((2 * x - 1) * precise(params)).flatten(1).sum(1)

    def log_pmfs(self, params: Tensor) -> Tensor:
        logits = precise(params)
        return F.logsigmoid(torch.stack([-logits, logits], 1))

    def mean(self, params: Tensor) -> Tensor:
        return precise(params).sigmoid()

    def sample(self, params: Tensor, temperature: float = 1.0) -> Tensor:
        logits = precise(params)
        return torch.bernoulli((logits / temperature).sigmoid()) if temperature else (logits > 0).to(logits.dtype)

    def log_pmf(self, params: Tensor, pixel: Tensor, c: int) -> Tensor:
        logit = precise(params[:, c])
        return F.logsigmoid(torch.stack([-logit, logit], 1))

    def quantile(self, params: Tensor, pixel: Tensor, c: int, u: Tensor, temperature: float = 1.0) -> Tensor:
        logit = precise(params[:, c])
        return ((logit / -temperature).sigmoid() <= u if temperature else logit > 0).long()


class Categorical(Discrete, Pixelwise):
    """Images of any levels: params are a logit for each level, shape (B, levels * C, H, W), levels first."""

    by_channel = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.levels = spec.levels
        self.width = spec.levels * spec.shape[0]

    def logits(self, params: Tensor) -> Tensor:
        """Shape (B, levels, C, H, W)."""
        return precise(params).unflatten(1, (self.levels, -1))

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        k = (x * (self.levels - 1)).round().long()
        return -F.cross_entropy(self.logits(params), k, reduction="none").flatten(1).sum(1)

    def log_pmfs(self, params: Tensor) -> Tensor:
        return self.logits(params).log_softmax(1)

    def mean(self, params: Tensor) -> Tensor:
        probs = self.logits(params).softmax(1)
        grid = torch.linspace(0, 1, self.levels, dtype=probs.dtype, device=probs.device)
        return torch.einsum("blchw,l->bchw", probs, grid)

    def sample(self, params: Tensor, temperature: float = 1.0) -> Tensor:
        logits = self.logits(params)
        return draw(logits, temperature).to(logits.dtype) / (self.levels - 1)

    def log_pmf(self, params: Tensor, pixel: Tensor, c: int) -> Tensor:
        return self.logits(params)[:, :, c].log_softmax(1)

    def quantile(self, params: Tensor, pixel: Tensor, c: int, u: Tensor, temperature: float = 1.0) -> Tensor:
        return quantile(self.logits(params)[:, :, c], u, temperature)


class Discretised(Discrete):
    """Images with intensities k / (levels - 1): a continuous density integrated over each bin.

    Arguments:
        distribution: "logistic", with a scale for every pixel, params (B, 2 C, H, W) = mean, log scale;
            or "gaussian", with one learned scale in all (Rybkin et al. 2021, arXiv:2006.13202), params
            (B, C, H, W) = mean. Means are in the units of the door, [-1, 1].
    """

    def __init__(self, spec: Spec, distribution: str) -> None:
        super().__init__()
        self.spec = spec
        self.door = Door(spec)
        self.logistic = distribution == "logistic"
        self.width = spec.shape[0] * (2 if self.logistic else 1)
        # Where training starts: a scale of e^-2 of the door's units covers 1/15 of the range.
        self.log_scale = None if self.logistic else nn.Parameter(torch.tensor(-2.0))

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        mean, log_scale = self._split(params)
        log_bin = log_bin_logistic if self.logistic else log_bin_normal
        return log_bin(self.door.enter(x), mean, log_scale, self.spec.levels).flatten(1).sum(1)

    def log_pmfs(self, params: Tensor) -> Tensor:
        mean, log_scale = self._split(params)
        h = torch.linspace(-1, 1, self.spec.levels, dtype=mean.dtype, device=mean.device).view(-1, 1, 1, 1)
        log_bin = log_bin_logistic if self.logistic else log_bin_normal
        return log_bin(h, mean[:, None], log_scale[:, None] if log_scale.dim() else log_scale, self.spec.levels)

    def mean(self, params: Tensor) -> Tensor:
        """E[x | params] to within half a bin: of the density with what lies beyond the range moved to its ends."""
        mean, log_scale = self._split(params)
        scale = log_scale.exp()
        # E[y clipped to [-1, 1]] = 1 - integral of F over [-1, 1], by parts.
        integral = F.softplus if self.logistic else _integral_of_ndtr
        return self.door.leave(1 - scale * (integral((1 - mean) / scale) - integral((-1 - mean) / scale)))

    def sample(self, params: Tensor, temperature: float = 1.0) -> Tensor:
        mean, log_scale = self._split(params)
        if self.logistic:
            u = torch.rand_like(mean).clamp(1e-6, 1 - 1e-6)
            noise = u.log() - (-u).log1p()
        else:
            noise = torch.randn_like(mean)
        x = self.door.leave(mean + temperature * log_scale.exp() * noise)
        return (x * (self.spec.levels - 1)).round() / (self.spec.levels - 1)

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        params = precise(params)
        if self.log_scale is not None:
            return params, self.log_scale.clamp(-7, 7)
        mean, log_scale = params.chunk(2, dim=1)
        return mean, log_scale.clamp(-7, 7)  # from far below a bin of 8 bits to far above the range


def _integral_of_ndtr(t: Tensor) -> Tensor:
    """The integral of the normal distribution function from -infinity to t."""
    return t * torch.special.ndtr(t) + (-0.5 * t.square()).exp() / math.sqrt(2 * math.pi)


def log_bin_logistic(h: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log p of the intensities h, in the door's units, each in its bin; the three broadcast to one shape."""
    return log_interval_logistic(*_bin(h, mean, log_scale, levels))


def log_bin_normal(h: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """As `log_bin_logistic`, of the normal distribution."""
    return log_interval_normal(*_bin(h, mean, log_scale, levels))


def _bin(h: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The bin of h in units of the scale, as `log_interval_logistic` takes it: the end bins are open."""
    half_bin = 1 / (levels - 1)  # in door units, where the range is 2
    shrink = (-log_scale).exp()
    return (h - mean) * shrink, half_bin * shrink, h < -1 + half_bin, h > 1 - half_bin


def log_interval_logistic(centre: Tensor, half: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """log(F(centre + half) - F(centre - half)) with F the logistic function, accurate in both tails.

    F(u) - F(l) = F(u) F(-l) (1 - e^(l - u)) has no difference of near numbers.

    Arguments:
        first, last: where the interval is open to the left, to the right.
    """
    below_upper = F.logsigmoid(centre + half).masked_fill(last, 0.0)
    above_lower = F.logsigmoid(half - centre).masked_fill(first, 0.0)
    between = (-torch.expm1(-2 * half)).log()
    return below_upper + above_lower + between.masked_fill(first | last, 0.0)


def log_interval_normal(centre: Tensor, half: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """As `log_interval_logistic`, with F the normal distribution function."""
    # In the upper half mirror the interval: F(-l) - F(-u) is the same and does not cancel to 0.
    flip = centre > 0
    centre = torch.where(flip, -centre, centre)
    upper = (centre + half).masked_fill(torch.where(flip, first, last), math.inf)
    lower = (centre - half).masked_fill(torch.where(flip, last, first), -math.inf)
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    # log(e^a - e^b) = a + log(1 - e^(b - a)); b - a < 0 strictly since the bin has a width.
    return log_upper + torch.log(-torch.expm1((log_lower - log_upper).clamp(max=-1e-12)))


def precise(params: Tensor) -> Tensor:
    """What a network gave, perhaps in bf16, in float32 or its own higher precision: log p needs the digits."""
    return params.to(torch.promote_types(params.dtype, torch.float32))


def draw(logits: Tensor, temperature: float) -> Tensor:
    """Indices drawn from softmax(logits / temperature) over dimension 1, shape (B, ...); the mode at 0."""
    if temperature == 0:
        return logits.argmax(1)
    probs = (logits / temperature).softmax(1).movedim(1, -1)
    return torch.multinomial(probs.flatten(0, -2), 1).view(probs.shape[:-1])


def quantile(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """The index at which the distribution function of softmax(logits / temperature) passes u, int64, shape (n,).

    Arguments:
        logits: shape (n, levels).
        u: in [0, 1), shape (n,).
    """
    if temperature == 0:
        return logits.argmax(1)
    # Summed in the precision of u: in float32 a level of little probability would come too often or never.
    cdf = (logits / temperature).softmax(1).cumsum(1, dtype=u.dtype)
    # Rounding may leave the last entry below 1: no u may pass it.
    return torch.searchsorted(cdf, u.contiguous()[:, None], right=True)[:, 0].clamp(max=logits.shape[1] - 1)
