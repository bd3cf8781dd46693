"""SI-SDR against its closed form, whatever scale and offset an estimate has, and the pairing of estimates."""

from __future__ import annotations

import math

import pytest
import torch

from lookalike.metrics.separation import paired, si_sdr


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (-3.0, 7.0), (0.01, -1.0)])
def test_si_sdr_is_the_ratio_of_energies_whatever_the_scale_and_offset(scale, offset):
    s = torch.tensor([1.0, -1, 1, -1, 2, -2], dtype=torch.float64)
    noise = torch.tensor([1.0, 1, -1, -1, 0, 0], dtype=torch.float64)  # at right angles to s and to 1
    found = si_sdr(s + 5, scale * (s + 0.5 * noise) + offset)
    assert found.item() == pytest.approx(10 * math.log10(12 / (0.25 * 4)))


def test_the_mixture_of_two_equal_sources_scores_nothing():
    s = torch.randn(2, 100_000, dtype=torch.float64)
    assert si_sdr(s, s.sum(0).expand(2, -1)).abs().max() < 0.1
    assert si_sdr(s, s).min() > 100


def test_only_what_is_alike_changes_places():
    s = torch.randn(7, 3, 50)
    shuffled = s[:, [1, 0, 2]].clone()
    shuffled[0] = s[0]  # each item by itself
    back, scores = paired(s, shuffled, [0, 0, 1])
    torch.testing.assert_close(back, s)
    assert scores.min() > 60
    kept, scores = paired(s, shuffled, [0, 1, 2])
    torch.testing.assert_close(kept, shuffled)
    assert scores[1, 0] < 10
