"""Active units: those that vary, by Burda's threshold on the variance."""

from __future__ import annotations

import torch

from lookalike.metrics.latent import active_units


def test_only_what_varies_over_items_counts() -> None:
    mean = torch.randn(5000, 4) * torch.tensor([1.0, 0.2, 0.05, 0.0]) + 7  # variances 1, 0.04, 0.0025, 0
    assert active_units(mean, 0.01) == 2
    assert active_units(mean, 0.001) == 3
