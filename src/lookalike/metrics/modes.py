"""Modes found, their balance, and share of good samples, where the truth is a mixture of equal round Gaussians.

A sample is of high quality if it lies within three standard deviations of its nearest mode; a mode is found
if at least one sample of high quality is nearest to it. Of two-dimensional samples of the truth itself
1 - exp(-9 / 2) = 98.9 % are of high quality. The reverse divergence is of the shares q_k of samples nearest to each
mode, good or not, from those of the truth:

    reverse KL = sum_k q_k log(q_k / p_k),        p_k = 1 / K

Of labelled data the same is asked with a classifier in place of the nearest centre: q_k is the share of samples
taken for class k, p_k the share of the class in the training data.

Srivastava et al. (2017), "VEEGAN", arXiv:1705.07761, section 4.1; Lin et al. (2018), "PacGAN", arXiv:1712.04086. Even
the truth has (K - 1) / (2 n) on average of n samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .distances import Estimate

RESAMPLES = 200


def high_quality(fake: Tensor, modes: Tensor, sigma: float) -> Tensor:
    """Whether each sample is within three standard deviations of a mode, 0 or 1, shape (N,).

    Arguments:
        fake: samples, shape (N, D).
        modes: centres, shape (M, D).
        sigma: the standard deviation of every mode along an axis.
    """
    return (torch.cdist(fake.double(), modes.double()).amin(1) <= 3 * sigma).double()


def modes_found(fake: Tensor, modes: Tensor, sigma: float) -> Tensor:
    """How many modes have a sample of high quality, shape (); arguments as `high_quality`."""
    nearest = torch.cdist(fake.double(), modes.double()).argmin(1)
    good = high_quality(fake, modes, sigma) > 0
    return torch.tensor(float(nearest[good].unique().numel()), dtype=torch.float64)


def reverse_kl(fake: Tensor, modes: Tensor) -> Estimate:
    """KL from the shares of the modes to those of the samples nearest to them, nats; arguments as `high_quality`."""
    finite = fake[fake.isfinite().all(1)].double()
    nearest = torch.cdist(finite, modes.double()).argmin(1)
    return divergence(torch.bincount(nearest, minlength=len(modes)), modes.new_full((len(modes),), 1 / len(modes)))


def classes_found(logits: Tensor, shares: Tensor) -> Tensor:
    """How many classes of the data at least one sample is taken for, shape ().

    Arguments:
        logits: of samples, shape (N, K).
        shares: of the classes in the data, shape (K,).
    """
    found = torch.bincount(logits.argmax(1), minlength=len(shares)) > 0
    return (found & (shares.to(found.device) > 0)).sum().double()


def classes_reverse_kl(logits: Tensor, shares: Tensor) -> Estimate:
    """KL from the shares of the classes to those of samples taken for them, nats; arguments as `classes_found`."""
    return divergence(torch.bincount(logits.argmax(1), minlength=len(shares)), shares)


def divergence(counts: Tensor, shares: Tensor) -> Estimate:
    """sum_k q_k log(q_k / p_k) of q = counts / n, nats, float64; its standard error by 200 bootstrap resamples.

    Arguments:
        counts: how many of n are of each of K, shape (K,), int64.
        shares: p, shape (K,); a count where there is no share makes the divergence infinite.
    """
    n, q, p = int(counts.sum()), counts.cpu().double(), shares.cpu().double()
    if n == 0:
        return Estimate(q.new_tensor(torch.nan), q.new_tensor(torch.nan))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(q, RESAMPLES * n, replacement=True, generator=generator).view(RESAMPLES, n)
    again = torch.zeros(RESAMPLES, len(q), dtype=torch.float64).scatter_add_(
        1, drawn, torch.ones(RESAMPLES, n).double()
    )
    values = (torch.special.xlogy(again / n, again / n) - torch.special.xlogy(again / n, p)).sum(1)
    value = (torch.special.xlogy(q / n, q / n) - torch.special.xlogy(q / n, p)).sum()
    return Estimate(value, values.std())
