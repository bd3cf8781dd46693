from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from lookalike.metrics.reconstruction import mse, psnr, ssim, ssim_window


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 11, 40)])
def test_ssim_and_psnr_equal_torchmetrics(shape):
    x = torch.rand(5, *shape, dtype=torch.float64)
    x_hat = (x + 0.2 * torch.randn_like(x)).clamp(0, 1)
    reference = structural_similarity_index_measure(x_hat, x, data_range=1.0, reduction="none")
    torch.testing.assert_close(ssim(x, x_hat), reference)
    reference = peak_signal_noise_ratio(x_hat, x, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(psnr(x, x_hat), reference)


def test_ssim_of_an_image_smaller_than_the_window_uses_one_that_fits():
    x, x_hat = torch.rand(2, 1, 8, 8, dtype=torch.float64), torch.rand(2, 1, 8, 8, dtype=torch.float64)
    assert [ssim_window(size) for size in (8, 9, 11, 28)] == [7, 9, 11, 11]
    weight = torch.exp(-0.5 * ((torch.arange(7) - 3) / 1.5).double() ** 2)
    weight = torch.outer(weight, weight) / weight.sum() ** 2
    by_hand = torch.zeros(2, dtype=torch.float64)
    mirrored, mirrored_hat = F.pad(x, [3] * 4, "reflect"), F.pad(x_hat, [3] * 4, "reflect")
    for n in range(2):
        for i in range(8):
            for j in range(8):
                a, b = mirrored[n, 0, i : i + 7, j : j + 7], mirrored_hat[n, 0, i : i + 7, j : j + 7]
                m, m_hat = (weight * a).sum(), (weight * b).sum()
                v, v_hat = (weight * (a - m) ** 2).sum(), (weight * (b - m_hat) ** 2).sum()
                c = (weight * (a - m) * (b - m_hat)).sum()
                score = (2 * m * m_hat + 1e-4) * (2 * c + 9e-4)
                by_hand[n] += score / ((m**2 + m_hat**2 + 1e-4) * (v + v_hat + 9e-4)) / 64
    torch.testing.assert_close(ssim(x, x_hat), by_hand)


def test_perfect_and_broken_reconstructions():
    x = torch.rand(2, 1, 12, 12)
    torch.testing.assert_close(ssim(x, x), torch.ones(2))
    assert psnr(x, x).tolist() == [math.inf, math.inf]
    broken = x.clone()
    broken[0, 0, 3, 3] = math.nan
    for metric in (mse, psnr, ssim):
        assert metric(x, broken).isnan().tolist() == [True, False], "a NaN is neither dropped nor spread"
