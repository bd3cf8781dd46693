"""Fidelity and diversity by nearest neighbours: each item is a ball that reaches its k-th neighbour.

    precision   share of fakes that lie in the ball of some real item
    recall      share of real items that lie in the ball of some fake
    density     mean number of real balls a fake lies in, over k; 1 in the mean for equal distributions
    coverage    share of real balls that hold a fake

Kynkäänniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797, with their k = 5.
Precision and recall are moved by single outliers, density and coverage less. For equal distributions precision
and recall depend on the number of items, and coverage tends to 1 - 2^-k. A point on the surface of a ball is in
it, as in the first paper, so that repeated rows of a table count.

Each gives one value an item, so its mean has a standard error (the balls taken as given).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import UserError


def precision(real: Tensor, fake: Tensor, neighbours: int = 5) -> Tensor:
    """Whether each fake lies in the ball of some real item, 0 or 1, shape (M,).

    Arguments:
        real, fake: features, shapes (N, D) and (M, D); more than `neighbours` of each, or a UserError.
        neighbours: k; a ball reaches the k-th nearest other item of its own sample.
    """
    _enough(real, fake, neighbours)
    radius = _radii(real, neighbours)
    return torch.cat([(d <= radius).any(1).double() for d in _distances(fake, real)])


def recall(real: Tensor, fake: Tensor, neighbours: int = 5) -> Tensor:
    """Whether each real item lies in the ball of some fake, 0 or 1, shape (N,); arguments as `precision`."""
    _enough(real, fake, neighbours)
    return precision(real=fake, fake=real, neighbours=neighbours)


def density(real: Tensor, fake: Tensor, neighbours: int = 5) -> Tensor:
    """In how many real balls each fake lies, over k, shape (M,); arguments as `precision`."""
    _enough(real, fake, neighbours)
    radius = _radii(real, neighbours)
    return torch.cat([(d <= radius).sum(1).double() / neighbours for d in _distances(fake, real)])


def coverage(real: Tensor, fake: Tensor, neighbours: int = 5) -> Tensor:
    """Whether the ball of each real item holds a fake, 0 or 1, shape (N,); arguments as `precision`."""
    _enough(real, fake, neighbours)
    nearest = torch.cat([d.amin(1) for d in _distances(real, fake)])
    return (nearest <= _radii(real, neighbours)).double()


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """Distance of each item to its k-th nearest other, shape (N,): itself is the first of k + 1."""
    return torch.cat([d.kthvalue(neighbours + 1, dim=1).values for d in _distances(x, x)])


def _distances(a: Tensor, b: Tensor, chunk: int = 1000) -> Iterator[Tensor]:
    """Distances of rows of a, some at a time, to all of b, shape (chunk, len(b)), float64.

    By differences, not by the product of matrices: equal items must be at distance 0.
    """
    for rows in a.double().split(chunk):
        yield torch.cdist(rows, b.double(), compute_mode="donot_use_mm_for_euclid_dist")


def _enough(real: Tensor, fake: Tensor, neighbours: int) -> None:
    if min(len(real), len(fake)) <= neighbours:
        raise UserError(
            f"{neighbours} nearest neighbours need at least {neighbours + 1} items of each, but got {len(real)} real "
            f"and {len(fake)} fake ones."
        )
