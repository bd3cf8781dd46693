"""The densities are those the points are drawn from: they integrate to 1 and their entropy is the samples'."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from lookalike.data.points import POINTS, Checkerboard, Mixture, Rings, open_points

# The midpoints of 400 x 400 cells; the board's edges lie on cells' edges, so that its integral is exact.
STEP = 10 / 400
AXIS = -5 + STEP * (torch.arange(400, dtype=torch.float64) + 0.5)
GRID = torch.cartesian_prod(AXIS, AXIS)


@functools.cache
def mass(distribution) -> torch.Tensor:
    """p of each cell."""
    return distribution.log_density(GRID).exp() * STEP**2


# ring8's sigma of 0.01 is less than a cell: on this grid, its density cannot be seen.
WIDE = [name for name in POINTS if name != "ring8"]
DISTRIBUTIONS = {name: POINTS[name].distribution() for name in POINTS}


@pytest.mark.parametrize("name", WIDE)
def test_density_integrates_to_one_and_the_samples_have_its_entropy(name):
    distribution = DISTRIBUTIONS[name]
    p = mass(distribution)
    assert float(p.sum()) == pytest.approx(1, abs=2e-3)
    entropy = float(-torch.xlogy(p, p / STEP**2).sum())
    surprise = -distribution.log_density(distribution.sample(20_000, torch.Generator().manual_seed(1)))
    standard_error = float(surprise.std()) / len(surprise) ** 0.5
    assert abs(float(surprise.mean()) - entropy) < 4 * standard_error + 5e-3


@pytest.mark.parametrize("name", WIDE)
def test_samples_fall_where_the_density_says(name):
    """On either side of a slanted line, as often as quadrature finds there."""
    x = DISTRIBUTIONS[name].sample(20_000, torch.Generator().manual_seed(2))
    p = mass(DISTRIBUTIONS[name])
    for direction in (torch.tensor([1.0, 0.3]).double(), torch.tensor([-0.4, 1.0]).double()):
        expected = float(p[GRID @ direction > 0.1].sum() / p.sum())
        seen = float((x @ direction > 0.1).double().mean())
        assert abs(seen - expected) < 4 * (expected * (1 - expected) / len(x)) ** 0.5 + 5e-3


def test_entropy_of_separate_gaussians_is_its_closed_form():
    surprise = -DISTRIBUTIONS["ring8"].log_density(
        DISTRIBUTIONS["ring8"].sample(20_000, torch.Generator().manual_seed(1))
    )
    entropy = math.log(8) + math.log(2 * math.pi * math.e * 0.01**2)
    assert abs(float(surprise.mean()) - entropy) < 4 * float(surprise.std()) / len(surprise) ** 0.5


def test_mixture_far_from_its_centres_keeps_its_precision():
    mixture = Mixture(torch.tensor([[100.0, 0.0]], dtype=torch.float64), 0.01)
    x = torch.tensor([[100.01, 0.0]], dtype=torch.float64)
    assert float(mixture.log_density(x)) == pytest.approx(-0.5 - math.log(2 * math.pi * 1e-4), abs=1e-9)


def test_rings_density_is_exact_where_the_normal_radius_folds_over_the_origin():
    """A ring as wide as its radius has much of its normal below 0, which the density must count."""
    assert float(mass(Rings((0.5,), 0.5)).sum()) == pytest.approx(
        1, abs=1e-2
    )  # the singular origin costs the midpoint rule 6e-3


def test_checkerboard_is_empty_between_its_squares():
    board = Checkerboard()
    x = torch.tensor([[-3.0, -3.0], [-1.0, -3.0], [-1.0, -1.0], [5.0, 5.0]], dtype=torch.float64)
    assert board.log_density(x).exp().tolist() == pytest.approx([1 / 32, 0, 1 / 32, 0])


@pytest.mark.parametrize(("name", "count", "sigma"), [("ring8", 8, 0.01), ("grid25", 25, 0.05)])
def test_modes_are_where_the_points_gather(name, count, sigma):
    data = open_points(name)
    assert data.modes is not None
    centres, radius = data.modes
    assert (len(centres), radius) == (count, sigma)
    x, _ = data.train.first(10_000)
    nearest = torch.cdist(x, centres).min(1)
    assert nearest.indices.bincount(minlength=count).min() > 0.8 * len(x) / count
    # The squared distance over sigma^2 is chi-squared of 2 degrees: mean 2.
    assert float((nearest.values / sigma).square().mean()) == pytest.approx(2, abs=0.1)


def test_points_are_the_same_for_the_same_seed_and_others_for_another():
    first, again, other = open_points("moons"), open_points("moons"), open_points("moons", seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert [len(split) for split in first.splits.values()] == [10_000, 2_000, 2_000]
    assert first.spec.kind == "points"
    assert [len(split) for split in open_points("moons", split=(0.5, 0.25, 0.25)).splits.values()] == [7000, 3500, 3500]
    mean = torch.tensor([column.mean for column in first.spec.columns], dtype=torch.float64)
    torch.testing.assert_close(mean, first.train.first(10_000)[0].mean(0))
