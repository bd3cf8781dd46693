"""Memorisation: are samples nearer to the training items than other data are?

    copying = P( d(x_fake, train) < d(x_held-out, train) ),        d the distance to the nearest training item

1/2 for a model that draws as the data do, near 1 for one that gives back what it was trained on; below 1/2 its samples
are farther from the training items than data are, as those of a poor model.

It is the Mann-Whitney statistic of Meehan, Chaudhuri & Dasgupta (2020), "A non-parametric test to detect data-copying
in generative models", arXiv:2004.05675, section 3.1. Differs from the paper: the share itself, which has a
meaning, instead of its z-score, which grows with the number of samples; over all of space, not by cells.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .distances import Estimate


def copying(fake_to_train: Tensor, real_to_train: Tensor) -> Estimate:
    """Share of pairs of a sample and a held-out item of which the sample is nearer to the training items.

    Arguments:
        fake_to_train, real_to_train: distances to the nearest training item, shapes (M,) and (N,).
    """
    return share_below(fake_to_train, real_to_train)


def share_below(x: Tensor, others: Tensor) -> Estimate:
    """Share of pairs in which x is the smaller: the Mann-Whitney statistic, or area under the ROC curve.

    Ties count half. Its standard error is by the variances of each item's share (DeLong et al. 1988).

    Arguments:
        x, others: numbers, shapes (M,) and (N,).
    """
    nearer, farther = _share_above(x, others), 1 - _share_above(others, x)
    shares = (nearer, farther)
    variance = sum(share.var(correction=min(1, len(share) - 1)) / len(share) for share in shares)
    return Estimate(nearer.mean(), torch.as_tensor(variance).sqrt())


def _share_above(x: Tensor, others: Tensor) -> Tensor:
    """For each x the share of others that are larger, those equal by half, float64, shape (len(x),)."""
    ranked = others.double().sort().values
    above = len(ranked) - torch.searchsorted(ranked, x.double(), right=True)
    not_below = len(ranked) - torch.searchsorted(ranked, x.double())
    return (above + not_below) / (2 * len(ranked))
