"""How well sources were taken apart.

    SI-SDR = 10 log10 |a s|^2 / |a s - s_hat|^2,     a = <s_hat, s> / |s|^2,     s and s_hat less their means

the ratio of what is the source to what is not, in decibels, whatever scale and offset the estimate has; those of an
independent component are anyone's guess. Where nothing says which estimate is of which source, the best pairing counts.

Le Roux et al. (2019), "SDR - half-baked or well done?", arXiv:1811.02508, eq. 2 to 5. Differs from the paper: means are
taken off, for sources like pictures, which have one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

TINY = 1e-12


def si_sdr(s: Tensor, s_hat: Tensor) -> Tensor:
    """Scale-invariant ratio of signal to distortion in decibels, shape (...), of s and s_hat, shape (..., D)."""
    s, s_hat = (of.double() - of.double().mean(-1, keepdim=True) for of in (s, s_hat))
    scale = (s_hat * s).sum(-1, keepdim=True) / s.square().sum(-1, keepdim=True).clamp(min=TINY)
    true = scale * s
    return 10 * ((true.square().sum(-1) + TINY) / ((true - s_hat).square().sum(-1) + TINY)).log10()


def paired(s: Tensor, s_hat: Tensor, alike: Sequence[int]) -> tuple[Tensor, Tensor]:
    """s_hat in the order that suits the sources s best, and its SI-SDR, shape (N, S).

    Arguments:
        s, s_hat: shape (N, S, D).
        alike: of each estimate, which kind it is; only those of one kind may change places.
    """
    S = s.shape[1]
    ways = [way for way in itertools.permutations(range(S)) if all(alike[i] == alike[j] for i, j in enumerate(way))]
    scores = torch.stack([si_sdr(s, s_hat[:, list(way)]) for way in ways])  # (ways, N, S)
    best = scores.sum(2).argmax(0)
    order = torch.tensor(ways, device=s_hat.device)[best]
    return s_hat[torch.arange(len(s_hat))[:, None], order], scores[best, torch.arange(len(s))]
