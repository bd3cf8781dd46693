"""Distances between two samples of features: Fréchet, of Gaussians fitted to them, and kernel.

    Fréchet    |m - m'|^2 + tr(S + S') - 2 tr (S S')^(1/2)
    kernel     E k(x, x') + E k(y, y') - 2 E k(x, y),        k(x, y) = (x . y / D + 1)^3

with m, S the mean and covariance of the real features and m', S' of the fake. Both are 0 for equal
distributions. The Fréchet distance is biased upwards, the more so the fewer the items; the kernel distance
(squared MMD, without the diagonal) is unbiased for any number and so may come out below 0.

Heusel et al. (2017), arXiv:1706.08500; Binkowski et al. (2018), "Demystifying MMD GANs", arXiv:1801.01401,
section 4. Differs from the papers: features are the caller's choice; tr (S S')^(1/2) is the sum of the
singular values of S^(1/2) S'^(1/2), from symmetric eigenvectors, so that constant or dependent features
do no harm; and the kernel distance takes all items at once, not subsets, with a jackknife's standard error.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError


class Estimate(NamedTuple):
    """A value, shape (), and the standard error of it, shape ()."""

    value: Tensor
    standard_error: Tensor


def frechet_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Squared Fréchet (Wasserstein-2) distance of Gaussians fitted to two samples, shape (), float64.

    Arguments:
        real, fake: features, shapes (N, D) and (M, D); more items than features of each, or a UserError.
    """
    D = real.shape[1]
    if min(len(real), len(fake)) <= D:
        raise UserError(
            f"the Fréchet distance of {D} features needs at least {D + 1} items of each, but got {len(real)} real "
            f"and {len(fake)} fake ones. Take more, or kernel_distance, which is unbiased for few."
        )
    real, fake = real.double(), fake.double()
    if not (real.isfinite().all() and fake.isfinite().all()):
        return real.new_tensor(torch.nan)
    root, root_fake = _root_covariance(real), _root_covariance(fake)
    offset = (real.mean(0) - fake.mean(0)).square().sum()
    traces = root.square().sum() + root_fake.square().sum()  # tr S = |S^(1/2)|^2
    return offset + traces - 2 * torch.linalg.svdvals(root @ root_fake).sum()


def kernel_distance(real: Tensor, fake: Tensor, chunk: int = 1000) -> Estimate:
    """Unbiased squared MMD with the cubic kernel, float64, and its standard error by the jackknife.

    Arguments:
        real, fake: features, shapes (N, D) and (M, D); at least 3 of each, or a UserError.
        chunk: rows of the kernel matrix held at once.
    """
    if min(len(real), len(fake)) < 3:
        raise UserError(
            f"the kernel distance needs at least 3 items of each, but got {len(real)} real and {len(fake)} fake ones."
        )
    real, fake = real.double(), fake.double()
    N, M = len(real), len(fake)
    within, within_fake = (_row_sums(x, x, chunk) - _kernel_diagonal(x) for x in (real, fake))
    across, across_fake = _row_sums(real, fake, chunk), _row_sums(fake, real, chunk)
    mean, mean_fake = within.sum() / (N * (N - 1)), within_fake.sum() / (M * (M - 1))
    value = mean + mean_fake - 2 * across.sum() / (N * M)

    # Delete-one jackknife: without item i, its row and its column leave the sums.
    without = (within.sum() - 2 * within) / ((N - 1) * (N - 2)) - 2 * (across.sum() - across) / ((N - 1) * M)
    without_fake = (within_fake.sum() - 2 * within_fake) / ((M - 1) * (M - 2)) - 2 * (
        across_fake.sum() - across_fake
    ) / ((M - 1) * N)
    variance = (N - 1) * without.var(correction=0) + (M - 1) * without_fake.var(correction=0)
    return Estimate(value, variance.sqrt())


def _root_covariance(x: Tensor) -> Tensor:
    """The symmetric root of the covariance of x, shape (D, D)."""
    eigenvalues, V = torch.linalg.eigh(torch.cov(x.T).view(x.shape[1], x.shape[1]))
    return V * eigenvalues.clamp(min=0).sqrt() @ V.T


def _row_sums(a: Tensor, b: Tensor, chunk: int) -> Tensor:
    """sum_j k(a_i, b_j), shape (len(a),)."""
    return torch.cat([(rows @ b.T / b.shape[1] + 1).pow(3).sum(1) for rows in a.split(chunk)])


def _kernel_diagonal(x: Tensor) -> Tensor:
    return (x.square().mean(1) + 1).pow(3)
