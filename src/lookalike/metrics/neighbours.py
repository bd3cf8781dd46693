"""Fidelity and diversity by nearest neighbours: each item is a ball that reaches its k-th neighbour.

    precision   share of fakes that lie in the ball of some real item
    recall      share of real items that lie in the ball of some fake
    density     mean number of real balls a fake lies in, over k; 1 in the mean for equal distributions
    coverage    share of real balls that hold a fake

Kynkäänniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797, with their k = 5.
Precision and recall are moved by single outliers, density and coverage less. For equal distributions precision
and recall depend on the number of items, and coverage tends to 1 - 2^-k. A point on the surface of a ball is in
it, as in the first paper, so that repeated rows of a table count.

Each gives one value an item, so its mean has a standard error (the balls taken as given). All four come of one pass
over the distances.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from .pairwise import OPEN, Block, Pairs, nearest


class PRDC(NamedTuple):
    """Precision and density of each fake, shape (M,); recall and coverage of each real item, shape (N,); float64."""

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def prdc(real: Tensor, fake: Tensor, neighbours: int = 5) -> PRDC:
    """Precision, recall, density and coverage of samples.

    Arguments:
        real, fake: features, shapes (N, D) and (M, D); more than `neighbours` of each, or a UserError.
        neighbours: k; a ball reaches the k-th nearest other item of its own sample.
    """
    if min(len(real), len(fake)) <= neighbours:
        raise UserError(
            f"{neighbours} nearest neighbours need at least {neighbours + 1} items of each, but got {len(real)} real "
            f"and {len(fake)} fake ones."
        )
    radius, radius_fake = _radii(real, neighbours), _radii(fake, neighbours)
    pairs = Pairs(fake, real)
    balls = real.new_zeros(len(fake), dtype=torch.float64)
    recalled, covered = (real.new_zeros(len(real), dtype=torch.float64) for _ in range(2))
    for block in pairs.blocks():
        i, j, within, around = _inside(pairs, block, radius, radius_fake)
        balls.index_add_(0, i, within)
        covered.index_put_((j,), within, accumulate=True)
        recalled.index_put_((j,), around, accumulate=True)
    return PRDC((balls > 0).double(), (recalled > 0).double(), balls / neighbours, (covered > 0).double())


def _inside(pairs: Pairs, block: Block, radius: Tensor, radius_fake: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pairs of a fake i and a real item j where one may be in the other's ball; whether i is in j's, and j in i's."""
    own = radius_fake[block.rows.start : block.rows.stop, None]
    margin = block.margin(torch.minimum(radius.amin(), own.amin()), torch.maximum(radius.amax(), own.amax()))
    wide = torch.zeros_like(own) if margin is None else margin
    dtype = block.squared.dtype
    near = (block.squared - radius.to(dtype) <= wide.to(dtype)) | (block.squared <= (own + wide).to(dtype))
    i, j = near.nonzero().unbind(1)
    squared = block.squared[i, j].double()
    if margin is not None:
        unsure = torch.minimum((squared - radius[j]).abs(), (squared - own[i, 0]).abs()) <= margin[i, 0]
        if unsure.sum() > OPEN * len(own):
            squared = pairs.exact_block(block.rows).squared[i, j]
        elif unsure.any():
            squared[unsure] = pairs.exact(i[unsure] + block.rows.start, j[unsure])
    return i + block.rows.start, j, (squared <= radius[j]).double(), (squared <= own[i, 0]).double()


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """Squared distance of each item to its k-th nearest other, shape (N,): itself is the first of k + 1.

    A ball of an item that has none, since it is not finite, holds nothing: its radius is -1.
    """
    squared = nearest(x, x, neighbours + 1)[0][:, -1]
    return torch.where(squared < torch.inf, squared, -1.0)
