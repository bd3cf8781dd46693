"""Distances between two samples of features: Fréchet, of Gaussians fitted to them, and kernel.

    Fréchet    |m - m'|^2 + tr(S + S') - 2 tr (S S')^(1/2)
    kernel     E k(x, x') + E k(y, y') - 2 E k(x, y),        k(x, y) = (x . y / D + 1)^3

with m, S the mean and covariance of the real features and m', S' of the fake. Both are 0 for equal
distributions. The Fréchet distance is biased upwards, the more so the fewer the items; the kernel distance
(squared MMD, without the diagonal) is unbiased for any number and so may come out below 0.

Heusel et al. (2017), arXiv:1706.08500; Binkowski et al. (2018), "Demystifying MMD GANs", arXiv:1801.01401,
section 4. Differs from the papers: features are the caller's choice; with S = L L^T the trace of (S S')^(1/2) is the
sum of the roots of the eigenvalues of L^T S' L, which is symmetric, or where roots of small ones would be inexact of
the singular values of L^T L'; and the kernel distance takes all items at once, not subsets.

Standard errors. Kernel: a jackknife. Fréchet: the delta method. To first order a fake y moves the distance by
(y - m')^T (I - T) (y - m') + 2 (m' - m).(y - m'), with T = L (L^T S' L)^(-1/2) L^T the map that carries the fake
Gaussian to the real one, and a real x by the same with the map back; its variance over items is over their number.
It says how the value would vary with other items, not how far it is biased.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from .moments import Moments


class Estimate(NamedTuple):
    """A value, shape (), and the standard error of it, shape ()."""

    value: Tensor
    standard_error: Tensor


def frechet_distance(real: Tensor | Moments, fake: Tensor | Moments) -> Tensor:
    """Squared Fréchet (Wasserstein-2) distance of Gaussians fitted to two samples, shape (), float64.

    Arguments:
        real, fake: features, shapes (N, D) and (M, D), or their moments; more items than features of each, or a
            UserError.
    """
    of, of_fake = _enough(real, fake)
    if not (of.scatter.isfinite().all() and of_fake.scatter.isfinite().all()):
        return of.mean.new_tensor(torch.nan)
    S, S_fake = of.covariance, of_fake.covariance
    apart = (of.mean - of_fake.mean).square().sum() + S.trace() + S_fake.trace()
    L, _ = _root(S)
    del S  # of 2,048 features each of these matrices is 33 MB
    squares = torch.linalg.eigvalsh(L.T @ (S_fake @ L)).clamp(min=0)
    distance = apart - 2 * squares.sqrt().sum()
    # Of an eigenvalue so much is not known; of the root of a small one, that is much.
    unknown = len(L) ** 0.5 * torch.finfo(L.dtype).eps * squares.amax()
    off = torch.minimum(unknown.sqrt(), unknown / squares.sqrt().clamp(min=1e-300)).sum()
    if off > 1e-7 * distance.abs():
        distance = apart - 2 * torch.linalg.svdvals(L.T @ _root(S_fake)[0]).sum()
    return distance


def frechet_estimate(real: Tensor | Moments, fake: Tensor | Moments) -> Estimate:
    """`frechet_distance` and its standard error by the delta method; arguments as there."""
    of, of_fake = _enough(real, fake)
    value = frechet_distance(of, of_fake)
    if not value.isfinite():
        return Estimate(value, value)
    L, triangular = _root(of.covariance)
    squares, Q = torch.linalg.eigh(L.T @ (of_fake.covariance @ L))
    squares = squares.clamp(min=0)
    root = squares.sqrt()
    inverse = torch.where(squares > 1e-12 * squares.amax(), 1 / root.clamp(min=1e-300), 0.0)
    shift = of_fake.mean - of.mean
    y, x = of_fake.some - of_fake.mean, of.some - of.mean
    moved_fake = y.square().sum(1) - ((y @ L @ Q).square() @ inverse) + 2 * y @ shift
    moved = x.square().sum(1) - ((_whitened(L, triangular, x) @ Q).square() @ root) - 2 * x @ shift
    return Estimate(value, (moved.var() / of.n + moved_fake.var() / of_fake.n).sqrt())


def kernel_distance(real: Tensor, fake: Tensor, chunk: int = 1000) -> Estimate:
    """Unbiased squared MMD with the cubic kernel, and its standard error by the jackknife, float64.

    Kernels are computed in the precision of the features and summed in float64.

    Arguments:
        real, fake: features, shapes (N, D) and (M, D); at least 3 of each, or a UserError.
        chunk: rows and columns of the kernel matrix held at once.
    """
    if min(len(real), len(fake)) < 3:
        raise UserError(
            f"the kernel distance needs at least 3 items of each, but got {len(real)} real and {len(fake)} fake ones."
        )
    N, M = len(real), len(fake)
    within, within_fake = _within(real, chunk), _within(fake, chunk)
    across, across_fake = _across(real, fake, chunk)
    mean, mean_fake = within.sum() / (N * (N - 1)), within_fake.sum() / (M * (M - 1))
    value = mean + mean_fake - 2 * across.sum() / (N * M)

    # Delete-one jackknife: without item i, its row and its column leave the sums.
    without = (within.sum() - 2 * within) / ((N - 1) * (N - 2)) - 2 * (across.sum() - across) / ((N - 1) * M)
    without_fake = (within_fake.sum() - 2 * within_fake) / ((M - 1) * (M - 2)) - 2 * (
        across_fake.sum() - across_fake
    ) / ((M - 1) * N)
    variance = (N - 1) * without.var(correction=0) + (M - 1) * without_fake.var(correction=0)
    return Estimate(value, variance.sqrt())


def _enough(real: Tensor | Moments, fake: Tensor | Moments) -> tuple[Moments, Moments]:
    of, of_fake = (x if isinstance(x, Moments) else Moments.of(x) for x in (real, fake))
    if min(of.n, of_fake.n) <= of.dims:
        raise UserError(
            f"the Fréchet distance of {of.dims} features needs at least {of.dims + 1} items of each, but got {of.n} "
            f"real and {of_fake.n} fake ones. Take more, or kernel_distance, which is unbiased for few."
        )
    return of, of_fake


def _root(S: Tensor) -> tuple[Tensor, bool]:
    """L with L L^T = S, and whether it is triangular: not where S is singular, or nearly so."""
    L, failed = torch.linalg.cholesky_ex(S)
    diagonal = L.diagonal()
    if not failed and diagonal.amin() > 1e-7 * diagonal.amax():
        return L, True
    eigenvalues, V = torch.linalg.eigh(S)
    return V.mul_(eigenvalues.clamp(min=0).sqrt()), False


def _whitened(L: Tensor, triangular: bool, x: Tensor) -> Tensor:
    """The (pseudo-)inverse of L times each row of x, shape of x."""
    if triangular:
        return torch.linalg.solve_triangular(L, x.T, upper=False).T
    sizes = L.square().sum(0)  # of columns at right angles, squared
    return x @ L * torch.where(sizes > 1e-14 * sizes.amax(), 1 / sizes.clamp(min=1e-300), 0.0)


def _within(x: Tensor, chunk: int) -> Tensor:
    """sum_{j != i} k(x_i, x_j), float64, shape (N,): each pair is computed once."""
    parts = x.split(chunk)
    sums = [part.new_zeros(len(part), dtype=torch.float64) for part in parts]
    for i, rows in enumerate(parts):
        for j in range(i, len(parts)):
            kernel = _kernel(rows, parts[j])
            if i == j:
                kernel.fill_diagonal_(0)
            else:
                sums[j] += kernel.sum(0, dtype=torch.float64)
            sums[i] += kernel.sum(1, dtype=torch.float64)
    return torch.cat(sums)


def _across(a: Tensor, b: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """sum_j k(a_i, b_j), shape (N,), and sum_i k(a_i, b_j), shape (M,), float64."""
    rows, columns = [], b.new_zeros(len(b), dtype=torch.float64)
    for part in a.split(chunk):
        kernel = _kernel(part, b)
        rows.append(kernel.sum(1, dtype=torch.float64))
        columns += kernel.sum(0, dtype=torch.float64)
    return torch.cat(rows), columns


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    k = (a @ b.T).div_(a.shape[1]).add_(1)
    return k.square().mul_(k)
