"""Bits per dimension: what a density costs in a lossless code, comparable between sizes of image."""

from __future__ import annotations

import math

from torch import Tensor


def bits_per_dim(log_prob: Tensor, dims: int) -> Tensor:
    """-log2 p(x) / dims: `log_prob` in nats, any shape; `dims` numbers in one item.

    Never drops or replaces a value: one impossible item makes a mean infinite, as it should.
    """
    return log_prob / (-dims * math.log(2))
