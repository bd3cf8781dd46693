"""Modes found and share of good samples, where the truth is a mixture of equal round Gaussians.

A sample is of high quality if it lies within three standard deviations of its nearest mode; a mode is found
if at least one sample of high quality is nearest to it. Of two-dimensional samples of the truth itself
1 - exp(-9 / 2) = 98.9 % are of high quality.

Srivastava et al. (2017), "VEEGAN", arXiv:1705.07761, section 4.1; Lin et al. (2018), "PacGAN", arXiv:1712.04086.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
