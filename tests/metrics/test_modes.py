from __future__ import annotations

import math

import torch

from lookalike.metrics.modes import high_quality, modes_found

GRID = torch.cartesian_prod(*2 * [torch.arange(-4.0, 5.0, 2.0)])  # the usual grid of 25


def test_the_truth_finds_all_modes_with_the_share_of_a_gaussian():
    fake = GRID.repeat(400, 1) + 0.05 * torch.randn(10_000, 2)
    assert modes_found(fake, GRID, 0.05) == 25
    # |x - mode|^2 / sigma^2 is chi-squared with two degrees of freedom.
    share = 1 - math.exp(-9 / 2)
    standard_error = (share * (1 - share) / len(fake)) ** 0.5
    assert abs(high_quality(fake, GRID, 0.05).mean().item() - share) < 4 * standard_error


def test_constructed_samples():
    near, edge, far = GRID[3] + 0.01, GRID[7] + torch.tensor([0.149, 0.0]), GRID[9] + torch.tensor([0.151, 0.0])
    fake = torch.stack([near, near, edge, far, torch.tensor([math.nan, 0.0])])
    assert high_quality(fake, GRID, 0.05).tolist() == [1, 1, 1, 0, 0]
    assert modes_found(fake, GRID, 0.05) == 2, "a sample too far from a mode does not find it"
    assert modes_found(fake[3:], GRID, 0.05) == 0
