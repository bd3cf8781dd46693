from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from lookalike.errors import UserError
from lookalike.metrics.distances import frechet_distance, frechet_estimate, kernel_distance
from lookalike.metrics.moments import Moments


def correlated(n: int, D: int) -> torch.Tensor:
    return torch.randn(n, D, dtype=torch.float64) @ torch.randn(D, D, dtype=torch.float64) + torch.randn(D)


def test_frechet_distance_equals_the_references():
    real, fake = correlated(50, 8), correlated(70, 8)
    m, m_fake, S, S_fake = real.mean(0), fake.mean(0), torch.cov(real.T), torch.cov(fake.T)
    root = scipy.linalg.sqrtm((S @ S_fake).numpy())
    reference = float((m - m_fake).square().sum() + S.trace() + S_fake.trace() - 2 * np.trace(root.real))
    assert frechet_distance(real, fake).item() == pytest.approx(reference, rel=1e-9)
    assert frechet_distance(real, fake).item() == pytest.approx(_compute_fid(m, S, m_fake, S_fake).item(), rel=1e-9)


def test_frechet_distance_of_gaussians_of_known_moments_is_the_closed_form():
    x = torch.randn(400, 2, dtype=torch.float64)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T  # exactly of mean 0, covariance 1
    real, fake = x * torch.tensor([1.0, 3.0]), x * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -2.0])
    # Diagonal covariances: |m - m'|^2 + sum (s - s')^2.
    assert frechet_distance(real, fake).item() == pytest.approx(5 + 1 + 2.5**2)


def test_frechet_distance_bears_constant_and_dependent_features():
    real, fake = correlated(60, 4), correlated(60, 4)
    reference = frechet_distance(real, fake)

    def padded(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.full((60, 3), 7.0)], 1)

    torch.testing.assert_close(frechet_distance(padded(real), padded(fake)), reference, rtol=1e-9, atol=1e-9)
    doubled = frechet_distance(torch.cat([real, real], 1), torch.cat([fake, fake], 1))
    torch.testing.assert_close(doubled, 2 * reference)
    assert abs(frechet_distance(padded(real), padded(real)).item()) < 1e-9


def test_too_few_items_name_the_minimum_and_a_nan_stays():
    with pytest.raises(UserError, match=r"at least 9 items.*got 100 real and 8 fake"):
        frechet_distance(correlated(100, 8), correlated(8, 8))
    with pytest.raises(UserError, match="at least 3 items"):
        kernel_distance(correlated(2, 8), correlated(5, 8))
    fake = correlated(100, 8)
    fake[3, 3] = torch.nan
    assert frechet_distance(correlated(100, 8), fake).isnan()
    assert kernel_distance(correlated(100, 8), fake).value.isnan()


def test_kernel_distance_equals_the_reference_whatever_the_chunk():
    real, fake = correlated(40, 5), correlated(40, 5)
    value, standard_error = kernel_distance(real, fake)
    assert value.item() == pytest.approx(poly_mmd(real, fake).item())
    torch.testing.assert_close(kernel_distance(real, fake, chunk=7).standard_error, standard_error)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kernel_distance_is_unbiased_and_knows_its_spread(shift):
    draws = [kernel_distance(torch.randn(60, 4), torch.randn(90, 4) + shift) for _ in range(300)]
    value = torch.stack([draw.value for draw in draws])
    claimed = torch.stack([draw.standard_error for draw in draws]).square().mean().sqrt()
    # E k over pairs of Gaussians, from a sample so large that its own error is small.
    x, y = torch.randn(200_000, 4, dtype=torch.float64), torch.randn(200_000, 4, dtype=torch.float64)

    def mean_kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return ((a * b).sum(1) / 4 + 1).pow(3).mean()

    truth = mean_kernel(x, y) + mean_kernel(x + shift, y + shift) - 2 * mean_kernel(x, y + shift)
    assert abs(value.mean() - truth) < 4 * value.std() / len(draws) ** 0.5 + 0.01
    # A jackknife errs on the safe side where the distance itself is 0: it may claim up to sqrt(2) more.
    assert 0.85 < claimed / value.std() < 1.6


def test_frechet_distance_knows_its_spread():
    mix = torch.randn(3, 3, dtype=torch.float64)
    draws = [frechet_estimate(torch.rand(400, 3), torch.randn(300, 3).double() @ mix + 1) for _ in range(200)]
    value, claimed = (torch.stack(of) for of in zip(*draws, strict=True))
    assert 0.85 < claimed.square().mean().sqrt() / value.std() < 1.15


def test_moments_of_parts_are_those_of_the_whole_and_keep_some_evenly():
    x = correlated(3000, 5) + 100
    moments = Moments()
    for part in x.split(77):
        moments.add(part)
    torch.testing.assert_close(moments.mean, x.mean(0))
    torch.testing.assert_close(moments.covariance, torch.cov(x.T))
    assert torch.equal(moments.some, x[::4])
    real = correlated(100, 5)
    torch.testing.assert_close(frechet_distance(real, moments), frechet_distance(real, x))


def test_roots_of_small_eigenvalues_are_exact_where_they_count():
    """Features of sizes from 1 to 1e-7 that are nearly alike: the difference is far below the roots of rounding."""
    sizes = torch.logspace(0, -7, 20, dtype=torch.float64)
    x = torch.randn(200, 20, dtype=torch.float64)
    white = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    turn = torch.linalg.qr(torch.randn(20, 20, dtype=torch.float64)).Q
    real, fake = white * sizes @ turn, white * sizes * (1 + 1e-3) @ turn
    assert frechet_distance(real, fake).item() == pytest.approx(1e-6 * sizes.square().sum().item(), rel=1e-4)
