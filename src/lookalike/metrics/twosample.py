"""Classifier two-sample test: can real items and samples be told apart at all?

    accuracy on the held-out half,        under equal distributions N(1/2, 1 / (4 n)) for n held-out items

of a classifier trained on the other half: 0.5 if nothing tells them apart, 1 if anything always does. It is that of the
k nearest neighbours, k the root of the number of training items, which needs no training and no tuning, and tells
whatever distances tell. The p-value is the chance of so high an accuracy if the samples were data.

Lopez-Paz & Oquab (2017), "Revisiting classifier two-sample tests", arXiv:1610.06545, with their k. Differs from the
paper: k is odd, so that no vote is a tie.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from .distances import Estimate
from .pairwise import nearest

LEAST = 20


class TwoSample(NamedTuple):
    """Accuracy with its standard error, and the chance of it, shape ()."""

    accuracy: Estimate
    p_value: Tensor


def two_sample_test(real: Tensor, fake: Tensor, seed: int = 0) -> TwoSample:
    """How well real items and as many fakes are told apart, float64.

    Arguments:
        real, fake: features, shapes (N, D) and (M, D); at least 20 of each, or a UserError.
        seed: of which of them are taken, and of the halves.
    """
    n = min(len(real), len(fake))
    if n < LEAST:
        raise UserError(
            f"the two-sample test needs at least {LEAST} items of each, but got {len(real)} real and {len(fake)} "
            "fake ones."
        )
    generator = torch.Generator().manual_seed(seed)
    order = [torch.randperm(len(x), generator=generator)[:n].to(x.device) for x in (real, fake)]
    half = n // 2
    known = torch.cat([real[order[0][:half]], fake[order[1][:half]]])
    asked = torch.cat([real[order[0][half:]], fake[order[1][half:]]])
    k = int(len(known) ** 0.5) | 1
    votes = (nearest(asked, known, k)[1] >= half).double().mean(1)
    right = torch.cat([votes[: n - half] < 0.5, votes[n - half :] > 0.5]).double()
    accuracy, held_out = right.mean(), len(right)
    z = (accuracy - 0.5) * 2 * held_out**0.5
    return TwoSample(
        Estimate(accuracy, (accuracy * (1 - accuracy) / held_out).sqrt()), 0.5 * torch.special.erfc(z / 2**0.5)
    )
