"""The truncated normal: its range, its law, and that it is the normal where the limit is far."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from lookalike.models.implicit.noise import normal

LIKE = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("t", [0.1, 0.7, 2.0])
def test_a_truncated_normal_has_the_law_of_a_normal_that_is_drawn_until_it_is_in_range(t):
    torch.manual_seed(0)
    z = normal(20_000, 3, LIKE, t).flatten()
    assert z.abs().max() <= t
    mass, density = math.erf(t / math.sqrt(2)), math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * t * density / mass  # of a standard normal given |z| <= t
    error = z.square().std() / len(z) ** 0.5
    assert abs(z.square().mean() - variance) < 4 * error
    probs = (Normal(0.0, 1.0).cdf(z.sort().values) - (1 - mass) / 2) / mass
    uniform = (torch.arange(len(z)) + 0.5) / len(z)
    assert (probs - uniform).abs().max() < 1.95 / len(z) ** 0.5  # Kolmogorov-Smirnov at 0.1 %


def test_the_limits_are_the_origin_and_the_whole_normal():
    torch.manual_seed(0)
    assert (normal(5, 2, LIKE, 0.0) == 0).all()
    far = normal(50_000, 1, torch.zeros(()), 30.0)
    assert far.isfinite().all()
    assert far.std().item() == pytest.approx(1.0, abs=0.02)


def test_one_seed_moves_smoothly_with_the_limit():
    drawn = []
    for t in (1.0, 1.01):
        torch.manual_seed(3)
        drawn.append(normal(100, 4, LIKE, t))
    assert (drawn[0] - drawn[1]).abs().max() < 0.02
    assert (drawn[0].sign() == drawn[1].sign()).all()
