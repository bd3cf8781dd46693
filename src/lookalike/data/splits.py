"""Train, valid and test: one seeded shuffle, cut in three.

The order depends on n and the seed only, so that the same data is split alike in every run, whatever
its kind, and the test split stays unseen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import UserError
from .base import hash_seed

FRACTIONS = (0.8, 0.1, 0.1)
MINIMUM = 10
"""Items below which there is nothing to learn from, let alone to hold out."""


def split_indices(
    n: int, split: tuple[float, ...] | None = None, seed: int = 0, what: str = "items"
) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the train, valid and test items, a shuffle of 0 ... n - 1 cut in three.

    Arguments:
        split: fractions of train, valid and test, of sum 1 at most; None for 0.8, 0.1, 0.1.
        seed: of the shuffle.
        what: the items, in the words of an error ("images", "rows").

    Returns:
        three int64 vectors, each at least one long, train the longest it can be where the
        fractions sum to 1.

    Raises:
        UserError: fewer than 10 items, or fractions that make no split.
    """
    fractions = FRACTIONS if split is None else tuple(split)
    sound = len(fractions) == 3 and all(math.isfinite(f) and f > 0 for f in fractions)
    if not sound or sum(fractions) > 1 + 1e-6:
        raise UserError(
            f"split must be three fractions above 0 for train, valid and test, of sum at most 1, but is "
            f"{fractions}; the default is 0.8,0.1,0.1."
        )
    if n < MINIMUM:
        raise UserError(f"at least {MINIMUM} {what} are needed, but there {'is' if n == 1 else 'are'} only {n}.")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(hash_seed("split", seed)))
    valid, test = (max(1, round(fraction * n)) for fraction in fractions[1:])
    whole = abs(sum(fractions) - 1) < 1e-6
    train = n - valid - test if whole else min(round(fractions[0] * n), n - valid - test)
    if train < 1:
        raise UserError(f"a split of {fractions} leaves none of the {n} {what} to train on; raise its first fraction.")
    return order[:train], order[train : train + valid], order[train + valid : train + valid + test]


def hold_out(train: int, test: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of data that comes with `train` items and then `test` items; a tenth of the former is valid.

    The shuffle has a seed of its own: a number measured on such data is of the same split for everyone.
    """
    order = torch.randperm(train, generator=torch.Generator().manual_seed(hash_seed("hold out")))
    kept = train - train // 10
    return order[:kept], order[kept:], torch.arange(train, train + test)


def split_or_all(
    n: int, split: tuple[float, ...] | None = None, seed: int = 0, what: str = "items"
) -> tuple[Tensor, Tensor, Tensor]:
    """As `split_indices`, but each is all of them where they are too few: for data that nothing is trained on."""
    every = torch.arange(n)
    return (every, every, every) if 0 < n < MINIMUM else split_indices(n, split, seed, what)
