"""Ladder VAE: a code of many groups, each drawn given those above it, from coarse to fine.

    bottom up          d = the features of x at each scale, computed once
    top down, for each rung l, with h the state so far (all that z_1 ... z_{l-1} say, and the label):

        p(z_l | z_<l)     = N(m(h), exp(2 s(h)))            z_l = m(h) + exp(s(h)) * e_l,     e_l ~ N(0, I)
        q(e_l | x, z_<l)  = N(mean(h, d), exp(log_var(h, d)))
        h                 <- h + W z_l, through a residual block

The code is e, all rungs concatenated: a posterior of e is one of z relative to its prior, its KL is that to N(0, I),
and any e is a code. The rungs share the state h between prior, posterior and decoder, and the last of it decodes x.

Sonderby et al. (2016), "Ladder variational autoencoders", arXiv:1602.02282: posterior from both ways, KL warm-up.
Vahdat & Kautz (2020), "NVAE", arXiv:2007.03898, section 3.2: the posterior relative to the prior.
Child (2021), "Very deep VAEs", arXiv:2011.10650: one residual state, rungs at several scales.
Differs from them: no batch normalisation (an item does not depend on its companions), posterior not from a product of
two Gaussians (1602.02282, eq. 14) but from a network of both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.conv import pyramid
from ....nn.likelihoods import Likelihood, precise
from ....spec import Spec
from .bound import Inferred, Objective, Pick, Variational

SOFT = 5.0
"""A posterior is at most e^(SOFT / 2) times as narrow as its prior: from e^50 no gradient would lead back."""


class Scale(NamedTuple):
    """One size of the state: (width, *size), and how many rungs stand there."""

    size: tuple[int, int]
    width: int
    rungs: int

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


class LadderVAE(Variational):
    """A hierarchical VAE, of convolutions for images and of perceptrons for rows.

    Arguments:
        likelihood: p(x | params).
        objective: what training maximises; its parts are the rungs.
        latent: of z_l: channels of an image's rungs, numbers of a row's.
        rungs: at each scale, from the coarsest; finer scales than are named have none.
        width: of the state at the finest scale; twice that at coarser ones.
        dropout: share of the features left out within each block in training.
        conditional: whether the top of the ladder is the label's own.
    """

    def __init__(
        self,
        spec: Spec,
        likelihood: Likelihood,
        objective: Objective,
        *,
        latent: int,
        rungs: tuple[int, ...],
        width: int,
        dropout: float = 0.0,
        conditional: bool = False,
    ) -> None:
        scales = scales_of(spec, rungs, width)
        super().__init__(spec, likelihood, latent * sum(s.rungs * s.pixels for s in scales), objective, conditional)
        self.activations = max(spec.dims, 2 * width * max(s.pixels for s in scales))
        self.scales = scales
        sizes = [latent * s.pixels for s in scales for _ in range(s.rungs)]
        self.groups = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
        kernel = 3 if spec.kind == "images" else 1
        self.up = BottomUp(self.door.shape[0], scales, kernel, dropout)
        self.of_class = nn.Embedding(len(spec.classes), scales[0].width) if conditional else None
        # Where on the image a feature is: convolutions alone know it only near the border.
        self.place = nn.ParameterList(torch.zeros(1, s.width, *s.size) for s in scales)
        self.widen = nn.ModuleList(nn.Conv2d(a.width, b.width, 1) for a, b in pairwise(scales))
        self.rungs = nn.ModuleList(Rung(s.width, latent, kernel, dropout) for s in scales for _ in range(s.rungs))
        self.leave = Leave(scales[-1].width, likelihood.width, spec.shape[1:])

    def read(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, ...]:
        h = self.door.enter(x)
        return self.up(h if h.dim() == 4 else h[:, :, None, None])

    def infer(self, read: tuple[Tensor, ...], y: Tensor | None, pick: Pick) -> Inferred:
        found: list[tuple[Tensor, Tensor, Tensor]] = []

        def choose(i: int, rung: Rung, h: Tensor, group: slice) -> Tensor:
            mean, log_var = rung.posterior(h, read[i])
            e = pick(mean, log_var, group)
            found.append((e, mean, log_var))
            return e

        params = self._descend(len(read[0]), y, choose)
        e, mean, log_var = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
        return Inferred(e, mean, log_var, params)

    def params(self, z: Tensor, y: Tensor | None) -> Tensor:
        return self._descend(len(z), y, lambda _scale, _rung, _h, group: z[:, group])

    def parts(self, kl: Tensor) -> Tensor:
        return torch.stack([kl[:, group].sum(1) for group in self.groups], dim=1)

    def rates(self, kl: Tensor) -> dict[str, Tensor]:
        each = self.parts(kl).mean(0)
        return {"rate": each.sum(), **{f"rate_{i}": rate for i, rate in enumerate(each, 1)}}

    def _descend(self, n: int, y: Tensor | None, choose: Callable[[int, Rung, Tensor, slice], Tensor]) -> Tensor:
        """The params of x, of the code that `choose` gives each rung: (scale, rung, state, where in the code)."""
        h = self.place[0].expand(n, -1, -1, -1)
        if self.of_class is not None:
            h = h + self.of_class(y)[:, :, None, None]
        rungs = iter(zip(self.rungs, self.groups, strict=True))
        for i, scale in enumerate(self.scales):
            if i:
                h = F.interpolate(self.widen[i - 1](h), scale.size) + self.place[i]
            for rung, group in islice(rungs, scale.rungs):
                assert isinstance(rung, Rung)
                e = choose(i, rung, h, group)
                h = rung(h, e.view(n, -1, *h.shape[2:]))
        return self.leave(h)


class Rung(nn.Module):
    """p(z_l | h), q(e_l | h, d), and the state after z_l."""

    def __init__(self, width: int, latent: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.prior = _zeroed(nn.Conv2d(width, 2 * latent, 1))
        self.guess = bottleneck(2 * width, width // 2, 2 * latent, kernel, dropout)
        self.enter = nn.Conv2d(latent, width, 1)
        self.block = Block(width, kernel, dropout)

    def posterior(self, h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(e_l | x, z_<l), each (B, numbers of the rung), from the state and the features."""
        mean, log_var = precise(self.guess(torch.cat([h, d], dim=1))).chunk(2, dim=1)
        return mean.flatten(1), SOFT * (log_var / SOFT).tanh().flatten(1)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """The state with z_l = m(h) + exp(s(h)) * e_l in it."""
        m, s = precise(self.prior(F.silu(h))).chunk(2, dim=1)
        return self.block(h + self.enter(m + (SOFT * (s / SOFT).tanh()).exp() * e))


class Block(nn.Module):
    """A residual block, which starts as the identity."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.residual = bottleneck(width, width // 2, width, kernel, dropout)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.residual(h)


class BottomUp(nn.Module):
    """(B, C, H, W) -> the features d at each scale, coarsest first."""

    def __init__(self, channels: int, scales: Sequence[Scale], kernel: int, dropout: float) -> None:
        super().__init__()
        self.halves = kernel > 1  # a row has nothing to halve
        widths = [channels, *(s.width for s in scales[::-1])]
        size, stride, border = (4, 2, 1) if self.halves else (1, 1, 0)
        self.down = nn.ModuleList(nn.Conv2d(a, b, size, stride, border) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(s.width, kernel, dropout) for _ in range(max(1, s.rungs)))) for s in scales[::-1]
        )

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        found = []
        for down, blocks in zip(self.down, self.blocks, strict=True):
            if self.halves:  # an odd side gains a row, so that halving rounds up
                h = F.pad(h, (0, h.shape[-1] % 2, 0, h.shape[-2] % 2))
            h = blocks(down(h))
            found.append(h)
        return tuple(found[::-1])


class Leave(nn.Module):
    """From the finest state to the params of the likelihood: of an image, twice as high and wide."""

    def __init__(self, width: int, outputs: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        half = max(8, width // 2)
        self.body = (
            nn.Sequential(
                nn.SiLU(),
                nn.Conv2d(width, 4 * half, 3, padding=1),
                nn.PixelShuffle(2),
                nn.SiLU(),
                nn.Conv2d(half, outputs, 3, padding=1),
            )
            if size
            else nn.Sequential(nn.SiLU(), nn.Conv2d(width, outputs, 1), nn.Flatten())
        )

    def forward(self, h: Tensor) -> Tensor:
        params: Tensor = self.body(h)
        return params[..., : self.size[0], : self.size[1]] if self.size else params


def scales_of(spec: Spec, rungs: Sequence[int], width: int) -> tuple[Scale, ...]:
    """The scales of a ladder for data like `spec`, coarsest first: a row has one, an image one for each halving."""
    if spec.kind != "images":
        return (Scale((1, 1), width, sum(rungs)),)
    H, W = spec.shape[1:]
    sizes = pyramid(H, W)[1:] or [((H + 1) // 2, (W + 1) // 2)]
    counts = [*rungs, *[0] * len(sizes)]
    return tuple(
        Scale(size, width if size == sizes[0] else 2 * width, count)
        for size, count in zip(sizes[::-1], counts, strict=False)
    )


def bottleneck(inputs: int, middle: int, outputs: int, kernel: int, dropout: float) -> nn.Sequential:
    """act, 1x1, act, kernel, act, 1x1: (B, inputs, H, W) -> (B, outputs, H, W), which starts by giving 0."""
    return nn.Sequential(
        nn.SiLU(),
        nn.Conv2d(inputs, middle, 1),
        nn.SiLU(),
        nn.Conv2d(middle, middle, kernel, padding=kernel // 2),
        nn.SiLU(),
        nn.Dropout(dropout),
        _zeroed(nn.Conv2d(middle, outputs, 1)),
    )


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """That starts by giving 0: a posterior that is the prior, a block that changes nothing."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
